"""The explorer, assets/explorer.html, in a real browser: opened from the file, drawn on, and compared with Keras.

`python tests/test_explorer.py` takes the README's picture of it.
"""

import base64
import itertools
import json
import re
import time
import zlib

import make_explorer as make
import matplotlib.pyplot as plt
import numpy as np
import pytest
from browser import browser, show, start  # noqa: F401  a fixture
from playwright.sync_api import sync_playwright

import utils

pytestmark = pytest.mark.slow

# A test image of each class, and its strokes: the centre lines, traced once, in quarters of a pixel.
IMAGES = [3, 2, 1, 18, 4, 23, 11, 0, 84, 7]
TRACED = """
58,23 57,32 / 57,32 46,39 35,53 34,76 38,83 54,85 64,81 74,73 81,62 81,52 75,40 71,36 57,32
69,18 48,89
35,26 43,19 53,17 60,18 64,23 63,33 39,70 40,83 62,86 102,82
25,48 26,29 38,24 47,27 59,38 62,51 / 41,51 61,52 / 62,52 83,61 91,71 91,80 76,88 56,87 49,84 41,74
45,23 31,53 32,64 39,69 69,69 / 80,27 80,41 70,68 / 70,70 70,88 67,93
93,25 90,22 76,22 49,33 43,60 69,66 71,75 58,86 34,95
52,14 42,22 34,47 33,75 40,84 58,86 75,78 87,65 88,48 78,42 69,44 57,52 51,58 50,64 60,74
29,33 79,38 76,51 45,103
66,25 44,35 33,46 35,55 49,61 / 86,27 57,54 55,60 / 55,61 70,67 78,78 75,88 64,96 56,94 48,85 49,62
48,36 38,45 39,59 48,63 62,54 / 50,36 60,42 63,53 / 64,54 90,100
"""
STROKES = [  # on the pad, of 280 x 280
    [[[2.5 * (int(way) + 0.5) for way in point.split(",")] for point in stroke.split()] for stroke in digit.split("/")]
    for digit in TRACED.strip().splitlines()
]

READY = "document.body.classList.contains('ready')"


def faults(page):
    """Return what was asked for, as in a room without internet, or went wrong; not the page's worker, nor advice."""
    return [notice for notice in page.noticed if not notice.startswith(("Canvas2D: Multiple readback", "blob:"))]


@pytest.fixture(scope="module")
def page(browser):  # noqa: F811
    page = show(browser, make.PAGE, READY, reduced_motion="reduce")
    yield page
    assert faults(page) == []
    page.close()


def next_frame(page):
    page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")


def choose(page, digit):
    page.click(f"#digits button:text-is('{digit}')")


def lose_a_four(page):
    """Show a test digit that two dimensions cannot hold."""
    page.evaluate("for (testDigit(4); panels.two.lost?.there === undefined; testDigit(4));")


def draw(page, digit):
    page.evaluate("$('clear').click()")
    box = page.locator("#pad").bounding_box()
    for stroke in STROKES[digit]:
        points = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=2)
        page.mouse.up()
    next_frame(page)


def point_at(page, a, b):
    """Move the pointer to a place on the map, which goes from -4 to 4."""
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + box["width"] * (4 + a) / 8, box["y"] + box["height"] * (4 - b) / 8, steps=5)


def drag(page, start, end):
    point_at(page, *start)
    page.mouse.down()
    point_at(page, *end)
    page.mouse.up()


def grey(page, selector):
    """Return the grey levels of a canvas of 28 x 28."""
    next_frame(page)
    script = f"Array.from(document.querySelector('{selector}').getContext('2d').getImageData(0, 0, 28, 28).data)"
    return np.array(page.evaluate(script)).reshape(28, 28, 4)[..., 0]


def place(page):
    """Return the code that is decoded."""
    next_frame(page)
    return [float(value) for value in re.findall(r"-?\d+\.\d+", page.text_content("#two .what"))]


def test_page_is_made_from_its_sources_and_the_shipped_weights():
    """The page would show another model than the notebooks, or its sources other code than the page runs."""
    made, shown = make.page(), make.PAGE.read_text(encoding="utf-8")
    scripts = re.compile(r'(<script [^>]*id="(?:data|weights)">).*?(</script>)', re.DOTALL)
    assert scripts.sub(r"\1\2", made) == scripts.sub(r"\1\2", shown)
    ours, theirs = (json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]) for page in (made, shown))
    for name, model in ours["models"].items():
        for part, layer in model["layers"].items():
            np.testing.assert_allclose(layer["steps"], theirs["models"][name]["layers"][part]["steps"], rtol=1e-4)
    assert ours["models"]["digits_flow"]["flow"] == theirs["models"]["digits_flow"]["flow"]
    for name in ("two", "many"):
        codes = [np.frombuffer(zlib.decompress(base64.b64decode(data["dots"][name])), "<i2") for data in (ours, theirs)]
        np.testing.assert_allclose(*codes, atol=1.1)
    assert len(shown.encode()) < 6_000_000


def test_networks_agree_with_keras_and_samples_with_the_distribution(page):
    """The page would show other distributions, digits and samples than the model of the notebooks."""
    x = utils.load_mnist()[1][0][:200].astype("float32") / 255
    for name, variable in {"digits_2d": "twin", "digits": "main"}.items():
        found = page.evaluate(
            f"""(images) => images.map((x) => {{
                const code = {variable}.encode(Float32Array.from(x));
                return [code.mean, code.logVar, {variable}.decode(code.mean).map(sigmoid)].map((each) => [...each]);
            }})""",
            x.reshape(200, 784).tolist(),
        )
        found_mean, found_log_var, found_digits = map(np.array, zip(*found, strict=True))
        vae = utils.load_vae(name, utils.ASSETS)
        mean, log_var = vae.encoder.predict(x, verbose=0)
        assert np.abs((found_mean - mean) / np.exp(0.5 * log_var)).max() < 0.5
        assert np.abs(found_log_var - log_var).max() < 0.2
        off = 255 * np.abs(found_digits - vae.probabilities(mean).reshape(200, 784))
        assert off.mean() < 0.5
        assert off.max() < 4

    noise = np.random.default_rng(0).standard_normal((200, 32), dtype="float32")
    script = "(all) => all.map((noise) => [...flow.decode(flow.fromNoise(Float32Array.from(noise))).map(sigmoid)])"
    vae = utils.load_vae("digits_flow", utils.ASSETS)
    expected = vae.probabilities(vae.from_noise(noise)).reshape(200, 784)
    off = 255 * np.abs(np.array(page.evaluate(script, noise.tolist())) - expected)
    assert off.mean() < 0.5
    assert off.max() < 4

    draws = page.evaluate("Array.from({length: 10000}, () => sample({mean: [1, -2], logVar: [0, Math.log(0.25)]}))")
    np.testing.assert_allclose(np.mean(draws, axis=0), [1, -2], atol=0.05)
    np.testing.assert_allclose(np.std(draws, axis=0), [1, 0.5], rtol=0.05)
    assert abs((np.abs(np.subtract(draws, [1, -2])) < [1, 0.5]).mean() - 0.683) < 0.02  # if uniform, 0.577


def test_strokes_become_digits_as_in_mnist(page):
    """A drawing would be something that the model has never met, or another if drawn slowly, small or in a corner."""
    images = utils.load_mnist()[1][0][IMAGES].astype("float32") / 255
    own, _ = utils.load_vae("digits_2d", utils.ASSETS).encoder(images)
    found = []
    for digit in range(10):
        draw(page, digit)
        found.append(page.evaluate("[[...panels.two.code.mean], classNear(panels.two.code.mean), [...image]]"))
    codes, classes, seen = zip(*found, strict=True)
    assert sum(label == digit for digit, label in enumerate(classes)) >= 9
    assert np.median(np.linalg.norm(np.subtract(own, codes), axis=1)) < 0.5  # on a map that goes from -4 to 4
    for image in np.reshape(seen, (10, 28, 28)):
        for ways in np.mgrid[:28, :28] - 13.5:
            assert abs((image * ways).sum() / image.sum()) < 0.3
        assert 19 <= max(np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (0, 1)) <= 22
    assert np.mean(seen) == pytest.approx(images.mean(), rel=0.15)

    (fast,) = STROKES[2]
    slow = [np.interp(np.arange(0, len(fast), 0.2), range(len(fast)), way) for way in np.transpose(fast)]
    small = 0.6 * np.transpose(slow) + [5, 100]
    drawings = [[fast], [small.tolist()], [[[20, 250]]]]
    once, again, dot = page.evaluate("(drawings) => drawings.map((drawing) => [...asMnist(drawing)])", drawings)
    assert np.abs(np.subtract(once, again)).mean() < 0.02
    assert np.reshape(dot, (28, 28))[13:15, 13:15].min() > 0.9
    assert np.sum(dot) < 15


def test_a_stroke_gives_a_distribution_samples_and_a_reconstruction(page):
    """What the page is for would not happen, its numbers be others than Keras's, or a blind reader not hear them."""
    choose(page, 2)
    page.evaluate("$('clear').click()")
    assert (grey(page, "#two .reconstruction") == 255).all()
    assert page.text_content("#two .kl-nats") == "–"
    empty_map = page.locator("#map").screenshot()
    page.wait_for_function("$('status').textContent.startsWith('Decoded: nothing drawn yet')")
    page.evaluate("window.heard = []")
    listen = "new MutationObserver(() => heard.push($('status').textContent)).observe($('status'), {childList: true})"
    page.evaluate(listen)
    draw(page, 7)
    page.wait_for_function("heard.length > 0")
    what, cost, kl = (page.text_content(f"#two .{name}") for name in ("what", "reconstruction-nats", "kl-nats"))
    assert what == "from the drawing, placed among the 7s"
    assert page.evaluate("heard") == [f"Decoded: {what}. The drawing: reconstruction {cost} nats, KL {kl} nats."]
    assert page.locator("#map").screenshot() != empty_map
    assert grey(page, "#two .reconstruction").min() < 100
    assert len({grey(page, f"#two .samples canvas:nth-child({n})").tobytes() for n in range(1, 7)}) == 6
    x = np.array(page.evaluate("[...image]"), "float32").reshape(1, 28, 28)
    samples = np.array(page.evaluate("panels.two.samples.map((z) => [...z])"), "float32")
    vae = utils.load_vae("digits_2d", utils.ASSETS)
    costs = utils.reconstruction_loss((x >= 0.5).astype("float32"), vae.decoder(samples))
    assert float(cost) == pytest.approx(np.mean(costs), abs=1)
    assert float(kl) == pytest.approx(np.mean(utils.kl_divergence(*vae.encoder(x))), abs=1)
    page.click("#undo")
    assert page.text_content("#two .kl-nats") == "–"


def picture(page, path):
    draw(page, 6)
    page.screenshot(path=path)


def test_decoded_digits_lie_behind_the_dots(page, tmp_path):
    """The box would do nothing, or the README's picture could not be taken again."""
    picture(page, tmp_path / "explorer.png")
    assert plt.imread(tmp_path / "explorer.png").shape == plt.imread(utils.ASSETS / "explorer.png").shape
    behind = page.locator("#map").screenshot()
    page.uncheck("#manifold")
    assert page.locator("#map").screenshot() != behind
    page.check("#manifold")
    assert page.locator("#map").screenshot() == behind


def test_a_slip_on_the_pad_costs_nothing(page):
    """A slip of the pen, a wrong button or a palm on the screen would cost or spoil the whole drawing."""
    draw(page, 4)
    both = page.evaluate("[...image]")
    page.click("#undo")
    one = page.evaluate("[...image]")
    assert one not in (both, [0] * 784)
    page.click("#pad", button="right")
    choose(page, 2)
    page.click("#clear")
    page.click("#undo", click_count=2)
    assert page.evaluate("[...image]") == one
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    palm = {"pointerId": 2, "clientX": box["x"] + 250, "clientY": box["y"] + 250}
    for event in ("pointerdown", "pointermove", "pointerup"):
        page.dispatch_event("#pad", event, palm)
    page.mouse.move(box["x"] + 60, box["y"] + 500)  # beyond the edge
    page.mouse.up()
    stroke = page.evaluate("strokes.at(-1)")
    assert max(x for x, _ in stroke) <= 61
    assert max(y for _, y in stroke) == 280


def test_a_test_digit_can_be_chosen_again(page):
    """A test digit that was drawn over could not be had back, or there would be only one of each class."""
    choose(page, 3)
    first = page.evaluate("[...image]")
    draw(page, 5)
    choose(page, 3)
    assert page.evaluate("[...image]") == first
    assert page.get_attribute("#digits [aria-pressed=true]", "title").startswith("Show a test digit 3")
    choose(page, 3)
    assert page.evaluate("[...image]") != first


def test_the_map_answers_to_the_pointer(page):
    """Moving over the map would decode nothing, a slip there start a walk, or no way lead back to the drawing."""
    drag(page, (-2, 0), (2, 0))
    assert page.is_visible("#play")
    choose(page, 2)
    assert page.is_hidden("#play")
    drawing = grey(page, "#two .reconstruction")
    drag(page, (-1, -2), (-0.98, -2))
    assert page.is_hidden("#play")
    drag(page, (0, 4.3), (0, -2))
    assert page.is_hidden("#play")
    point_at(page, -2, 0)
    assert place(page) == pytest.approx([-2, 0], abs=0.02)
    assert page.is_hidden("#two .back")  # the mouse that moves to it would leave the map
    assert not np.array_equal(drawing, grey(page, "#two .reconstruction"))
    assert page.text_content("#two .what").startswith("from the point")
    assert "for the drawing" in page.text_content("#two .six p")
    page.wait_for_function("/from the point .* The drawing: reconstruction/.test($('status').textContent)")
    drag(page, (-2, 0), (2, 0))
    assert place(page) == pytest.approx([2, 0], abs=0.02)
    page.fill("#walk", "50")
    assert place(page) == pytest.approx([0, 0], abs=0.02)
    page.click("#two .back")
    np.testing.assert_array_equal(drawing, grey(page, "#two .reconstruction"))
    assert page.is_hidden("#two .back")


def test_the_map_answers_to_keys(page):
    """A reader without a mouse would be left out."""
    choose(page, 2)
    drawing = grey(page, "#two .reconstruction")
    page.press("#map", "ArrowUp")
    start = place(page)
    page.keyboard.press("Enter")
    for key in ("Shift+ArrowLeft", "Shift+ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert place(page) == pytest.approx([start[0] - 1, start[1] - 0.1], abs=0.011)
    page.keyboard.press("Enter")
    page.wait_for_function("walk && !playing")
    page.fill("#walk", "0")
    assert place(page) == pytest.approx(start, abs=0.011)
    assert not np.array_equal(drawing, grey(page, "#two .reconstruction"))
    page.press("#map", "Escape")
    np.testing.assert_array_equal(drawing, grey(page, "#two .reconstruction"))


def test_motion_can_be_had_or_not(page, browser):  # noqa: F811
    """Who gets sick from motion would see it; who does not would not see a walk or samples fall."""
    page.click("#two .again")
    assert page.evaluate("panels.two.dropped") == 6
    moving = show(browser, make.PAGE, READY)
    moving.click("#two .again")
    assert moving.evaluate("panels.two.dropped") < 6
    moving.wait_for_function("panels.two.dropped === 6")
    drag(moving, (-3, 0), (-1, -3))
    moving.wait_for_function("playing && 20 < $('walk').value && $('walk').value < 80")
    moving.wait_for_function("!playing && $('walk').value === '100'")
    drag(moving, (-3, 0), (-1, -3))
    moving.click("#tab-noise")
    moving.wait_for_function("!playing")
    moving.wait_for_timeout(800)  # what is spoken comes after a pause
    assert faults(moving) == []
    moving.close()


def test_a_slider_changes_the_digit_and_the_drawing_comes_back(page):
    """The second tab would show a model that cannot be moved."""
    draw(page, 5)
    page.press("#tab-two", "ArrowRight")
    before = grey(page, "#many .reconstruction")
    nats = [float(label.split()[0]) for label in page.locator("#sliders span:first-child").all_text_contents()]
    assert nats == sorted(nats, reverse=True)
    assert len(nats) == page.evaluate("data.models.digits.active.length")
    code = utils.load_vae("digits", utils.ASSETS).encoder(np.array(page.evaluate("[...image]")).reshape(1, 28, 28))
    used = page.evaluate("data.models.digits.active.map((each) => each.dimension)")
    bars = (
        "(all) => all.map(({ style }) => ['--mean', '--deviation'].map((name) => Number(style.getPropertyValue(name))))"
    )
    expected = np.transpose([code[0][0], np.exp(0.5 * code[1][0])])[used]
    np.testing.assert_allclose(page.eval_on_selector_all("#sliders input", bars), expected, atol=0.05)
    assert f"other {32 - len(used)} dimensions are unused" in page.text_content("#unused")
    page.locator("#sliders input").first.fill("3")
    assert not np.array_equal(before, grey(page, "#many .reconstruction"))
    assert page.text_content("#many .what") == "from the sliders"
    page.click("#many .back")
    np.testing.assert_array_equal(before, grey(page, "#many .reconstruction"))
    page.click("#tab-two")


def test_what_two_dimensions_cannot_hold_is_said_and_32_hold_it(page):
    """A clear 4 would come back as a 9 without a word, or a digit that is well drawn back be called lost."""
    lost = page.evaluate(
        "data.digits.labels.map((label) => (testDigit(label), panels.two.lost && [label, panels.two.lost]))"
    )
    poor = [each for each in lost if each and "there" not in each[1]]
    assert 1 <= len(poor) <= 0.1 * len(lost)
    lost = [each for each in lost if each and "there" in each[1]]
    assert sum(label == 4 for label, _ in lost) >= 2
    assert sum(label in (0, 1, 6) for label, _ in lost) == 0
    assert sum(label == each["there"] != each["here"] for label, each in lost) >= 0.9 * len(lost)
    draw(page, 0)
    assert page.is_hidden("#two .note")
    lose_a_four(page)
    assert re.search("among the 9s, in 32 among the 4s", page.text_content("#two .note"))
    assert page.evaluate("panels.two.lost.saved") > 20
    ink = grey(page, "#seen")
    before = np.abs(grey(page, "#two .reconstruction") - ink).mean()
    page.evaluate("for (testDigit(5); !panels.two.lost || 'there' in panels.two.lost; testDigit(5));")
    assert "poorly" in page.text_content("#two .note")
    lose_a_four(page)
    page.click("#two .deeper")
    assert page.evaluate("document.activeElement.id") == "tab-many"
    assert np.abs(grey(page, "#many .reconstruction") - ink).mean() < 0.7 * before
    page.click("#tab-two")


def test_one_noise_becomes_a_digit_under_each_prior(page):
    """The third tab would show other digits than the notebooks' models, or pairs that cannot be compared."""
    page.click("#tab-noise")
    assert page.is_hidden("#pad")
    pairs = [[f"#pairs div:nth-child({n}) canvas:nth-child({k})" for n in (1, 12)] for k in (1, 2)]
    noise = np.array(page.evaluate("noises.map((noise) => [...noise])"), "float32")
    ways = np.stack([noise[0], noise[11], (noise[0] + noise[11]) / np.sqrt(2)])
    for k, name in enumerate(("digits", "digits_flow")):
        vae = utils.load_vae(name, utils.ASSETS)
        between = []
        for place in (0, 100, 50):
            page.fill("#mix", str(place))
            between.append(grey(page, f"#between figure:nth-child({k + 1}) canvas"))
        expected = 255 * (1 - vae.probabilities(vae.from_noise(ways)).reshape(3, 28, 28))
        assert np.abs(between - expected).max() < 5
        np.testing.assert_array_equal([grey(page, canvas) for canvas in pairs[k]], between[:2])
    page.click("#new-noise")
    assert page.text_content("#seed") == "seed 2"
    assert page.evaluate("noises[0][0]") != noise[0, 0]
    assert page.evaluate("(newNoise(1), noises[0][0])") == noise[0, 0]
    page.click("#tab-two")


def test_keyboard_and_screen_reader_keep_their_place(page):
    """The focus would fall back to the top of the page, a slider read out a bare number, or two voices talk at once."""
    assert page.locator("[role=status], [role=alert], [aria-live], output").count() == 1
    assert page.evaluate("[...document.querySelectorAll('[type=range]')].filter((it) => !it.ariaValueText)") == []
    for control, key in [("#clear", "Enter"), *[("#undo", "Enter")] * 2, ("#map", "ArrowUp"), ("#two .back", "Enter")]:
        page.press(control, key)
        next_frame(page)
        assert page.evaluate("document.activeElement !== document.body"), control
    drag(page, (-2, 0), (2, 0))
    page.focus("#walk")
    draw(page, 1)
    assert page.evaluate("document.activeElement.id") == "map"
    page.click("#tab-many")
    page.press("#sliders input", "ArrowRight")
    page.press("#many .back", "Enter")
    assert page.evaluate("document.activeElement.matches('#sliders input')")
    page.click("#tab-two")


def test_every_control_says_what_it_does(page):
    """A reader would meet a control that explains nothing, or that a screen reader cannot name."""
    untitled = ":is(button, select, input, canvas:not(.digit), summary):not([title], [title] *)"
    unnamed = ":is(canvas, input, select):not([aria-label]:not([aria-label='']), label *)"
    for lacking in (untitled, unnamed):
        assert page.evaluate("(css) => [...document.querySelectorAll(css)].map((it) => it.outerHTML)", lacking) == []


SIZES = [(1920, 1080), (1280, 800), (1280, 720), (1024, 768), (844, 390), (640, 400), (390, 844), (320, 640)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_window_shows_the_page(page, width, height):
    """What is pointed at and what it decodes to would not be seen together, or a finger miss a button."""
    page.set_viewport_size({"width": width, "height": height})
    sides = [("x", "width", width), ("y", "height", height)]
    page.evaluate("scrollTo(0, 0)")
    lose_a_four(page)
    boxes = [page.locator(seen).bounding_box() for seen in ("#pad", "#map", "#two .reconstruction", "#two .note")]
    assert all(box[a] >= 0 and box[a] + box[b] <= most for box in boxes for a, b, most in sides)
    for one, other in itertools.combinations(boxes, 2):
        assert any(one[a] + one[b] <= other[a] or other[a] + other[b] <= one[a] for a, b, _ in sides)
    assert boxes[1]["width"] == pytest.approx(boxes[1]["height"], abs=1)
    assert boxes[1]["width"] >= 240
    point_at(page, 0, 2)
    assert place(page) == pytest.approx([0, 2], abs=0.05)
    for tab in ("many", "noise", "learn", "two"):
        page.click(f"#tab-{tab}")
        small = """[...document.querySelectorAll("button, input, summary, select")].filter((it) => it.checkVisibility())
            .filter((it) => Math.min(it.getBoundingClientRect().width, it.getBoundingClientRect().height) < 24)
            .map((it) => it.outerHTML)"""
        assert page.evaluate(small) == []
    lens, digits, more = (page.locator(it).bounding_box() for it in ("#lens", "#digits", "details"))
    if width >= 1280:  # there is room beside the map
        assert lens["x"] + lens["width"] <= boxes[1]["x"]
        assert digits["y"] + digits["height"] <= lens["y"] <= more["y"] - lens["height"]
    page.set_viewport_size({"width": 1280, "height": 720})


def test_no_width_scrolls_sideways(page):
    """On some phone or window the page would have to be pushed sideways."""
    for tab, height in itertools.product(("many", "noise", "learn", "two"), (400, 800)):
        page.click(f"#tab-{tab}")
        for width in range(320, 1400, 40):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (tab, width)
    page.set_viewport_size({"width": 1280, "height": 720})


def test_phone_with_a_finger(browser):  # noqa: F811
    """On a phone the page would scroll where it should draw, a tap leave no ink, or the place go with the finger."""
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = show(browser, make.PAGE, READY, reduced_motion="reduce", **phone)
    page.tap("#clear")
    page.tap("#pad", position={"x": 40, "y": 40})
    assert grey(page, "#seen").min() < 255
    at = 40 * 560 / page.locator("#pad").bounding_box()["width"]
    assert page.evaluate(f"[...$('pad').getContext('2d').getImageData({at}, {at}, 1, 1).data]") == [0, 0, 0, 255]
    assert page.evaluate("getComputedStyle($('pad')).touchAction") == "none"
    box = page.locator("#map").bounding_box()
    page.tap("#map", position={"x": box["width"] / 4, "y": box["height"] / 2})
    assert place(page) == pytest.approx([-2, 0], abs=0.1)
    page.tap("#tab-many")
    digit, slider = page.locator("#many .large").bounding_box(), page.locator("#sliders input").nth(9).bounding_box()
    assert digit["y"] >= 0
    assert digit["y"] + digit["height"] < slider["y"] < 740
    page.dispatch_event("#sliders input", "pointerdown")
    page.fill("#sliders label:first-child input", "3")
    page.dispatch_event("#sliders input", "pointercancel")  # the finger went on to scroll the page
    next_frame(page)
    assert page.text_content("#many .what") == "from the drawing"
    page.close()


@pytest.mark.parametrize("scheme", ["dark", "forced", "light"])
def test_words_borders_and_dots_can_be_seen(page, scheme):
    """On a projector in a bright room, in the dark, or in colours that a reader chose, they would vanish."""
    forced = {"forced_colors": "active" if scheme == "forced" else "none"}
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce", **forced)
    next_frame(page)
    found = page.evaluate(
        """(() => {
            const style = (it, name) => getComputedStyle(it)[name];
            const clear = (it) => style(it, "backgroundColor") === "rgba(0, 0, 0, 0)";
            const ground = (it) => (clear(it) ? ground(it.parentElement) : style(it, "backgroundColor"));
            const seen = (css) => [...document.querySelectorAll(css)].filter((it) => it.checkVisibility());
            const active = "button:not([aria-disabled=true])";
            return [
                seen(`h1, h2, p, summary, ${active}, figcaption, th, td, label, li`)
                    .map((it) => [it, 4.5, style(it, "color"), it]),
                seen(`${active}, canvas`).map((it) => [it, 3, style(it, "borderTopColor"), it.parentElement]),
                seen("#legend span").map((it) => [it, 3, ground(it), it.parentElement]),
                [[$("tab-two"), 3, ground($("tab-two")), $("tab-many")]],
            ].flat().map(([it, least, shade, behind]) => [it.outerHTML, least, shade, ground(behind)]);
        })()"""
    )
    assert len(found) > 60
    channels = np.array([[re.findall(r"[\d.]+", shade)[:3] for shade in pair] for _, _, *pair in found], float)
    channels[channels.max(axis=2) > 1] /= 255  # mixed colours come as shares of one
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722] + 0.05  # as in WCAG 2.2
    contrast = luminance.max(axis=1) / luminance.min(axis=1)
    assert [each for each, ratio in zip(found, contrast, strict=True) if ratio < each[1]] == []


@pytest.mark.parametrize(("tab", "control"), [("two", "#map"), ("two", "#pad"), ("many", "#sliders input")])
def test_dragging_is_smooth(page, tab, control):
    """Drawing and dragging would stutter. Five moves a second, not sixty: machines are busy, some without graphics."""
    page.click(f"#tab-{tab}")
    choose(page, 2)
    page.locator(control).first.hover()
    page.mouse.down()
    box = page.locator(control).first.bounding_box()
    began = time.perf_counter()
    for step in range(60):
        page.mouse.move(box["x"] + 20 + 3 * step, box["y"] + 20 + 3 * step)
        page.evaluate("new Promise(requestAnimationFrame)")
    assert (time.perf_counter() - began) / 60 < 0.2
    page.mouse.up()
    page.click("#tab-two")


if __name__ == "__main__":
    with sync_playwright() as playwright:
        explorer = show(start(playwright.chromium), make.PAGE, READY, reduced_motion="reduce")
        picture(explorer, utils.ASSETS / "explorer.png")
