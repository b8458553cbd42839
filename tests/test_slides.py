"""Each notebook as a deck of slides, looked at in a real browser."""

import re

import nbformat
import pytest
from browser import HEIGHT, WIDTH, browser, show  # noqa: F401  a fixture
from test_notebooks import NOTEBOOKS, headings, markdown

from docs.conf import make_slides

pytestmark = pytest.mark.slow

WORDS = 45  # on a slide, beside its title, code, results, formulas and tables
REVEAL = "window.Reveal && Reveal.isReady()"
# What is wrong with the slide that is shown: something beyond its edges, too small or too much, no title, or nothing.
LOOK = """([width, height, most]) => {
    const wrong = [], slide = Reveal.getCurrentSlide();
    const title = slide.querySelector("h1, h2"), body = slide.querySelector(".body");
    if (!title?.textContent.trim()) wrong.push("no title");
    else if (title.clientHeight > 1.5 * parseFloat(getComputedStyle(title).lineHeight)) wrong.push("a long title");
    for (const element of slide.querySelectorAll("*")) {
        const box = element.getBoundingClientRect();
        if (!box.width || !box.height || element.closest("aside, mjx-assistive-mml")) continue;
        const scrolls = element.clientHeight && element.scrollHeight > element.clientHeight + 1
            && getComputedStyle(element).overflowY !== "visible";
        const top = body.contains(element) ? title.getBoundingClientRect().bottom - 1 : 0;
        if (scrolls || box.left < 0 || box.top < top || box.right > width + 1 || box.bottom > height + 1)
            wrong.push(`${element.tagName} ${box.right} x ${box.bottom} ${element.textContent.trim().slice(0, 60)}`);
        const wide = element.naturalWidth, high = element.naturalHeight;
        const size = Math.min(box.width / wide, box.height / high) / Math.min(1160 / wide, 560 / high);
        if (size < 0.6) wrong.push(`a figure, shrunk to ${Math.round(100 * size)} %`);
        if (element.closest("pre") && parseFloat(getComputedStyle(element).fontSize) < 24) wrong.push("small code");
        if (element.matches("[display] > svg") && 1000 * box.width / element.viewBox.baseVal.width < 22)
            wrong.push("a small formula");
    }
    const words = [...body.querySelectorAll(".words")].map(part => part.cloneNode(true));
    words.forEach(part => part.querySelectorAll("mjx-container, pre, table").forEach(other => other.remove()));
    const number = words.map(part => part.textContent).join(" ").match(/\\S*[a-z0-9]\\S*/gi)?.length || 0;
    if (number > most) wrong.push(`${number} words`);
    return body.innerText.trim() || body.querySelector("img") ? wrong : ["empty"];
}"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decks")
    make_slides(folder, NOTEBOOKS)
    return folder


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def deck(request, browser, decks):  # noqa: F811
    """A notebook's path, and the page that shows its slides."""
    page = show(browser, decks / f"{request.param.stem}.slides.html", REVEAL)
    yield request.param, page
    page.close()


def faults(page):
    """Go through a deck, with all fragments shown, and return {number of the slide: what is wrong with it}."""
    found = {}
    for number, at in enumerate(page.evaluate("Reveal.getSlides().map(slide => Reveal.getIndices(slide))"), 1):
        page.evaluate("at => Reveal.slide(at.h, at.v, 99)", at)
        found[number] = page.evaluate(LOOK, [WIDTH, HEIGHT, WORDS])
    return {number: wrong for number, wrong in found.items() if wrong}


def test_every_slide_can_be_projected(deck):
    """A class would see half of a figure, a wall of text, or code that only the first row can read."""
    path, page = deck
    assert (5 if path == NOTEBOOKS[0] else 11) <= page.evaluate("Reveal.getTotalSlides()") <= 28
    assert faults(page) == {}


def test_deck_needs_nothing_else(deck):
    """In a room without internet the deck would be blank, or without its formulas."""
    path, page = deck
    assert page.noticed == []
    assert page.locator("mjx-merror").count() == 0
    assert page.locator("mjx-container").count() > 0 or "$" not in markdown(path)
    left = "".join(page.locator(".words, aside").all_text_contents())
    assert not re.search(r"\$|\\(frac|mathcal|log)\b", left)


def test_deck_tells_the_whole_story(deck):
    """A teacher would find a section, a figure, or what there is to say, missing in front of the class."""
    path, page = deck
    titles = page.locator(".slides h2").all_text_contents()
    sections = [title for level, title in headings(markdown(path)) if level == 2]
    left_out = 0 if path == NOTEBOOKS[0] else 2  # exercises and links
    assert [title for title in titles if title in sections] == sections[: len(sections) - left_out]
    assert len(set(titles)) == len(titles)
    kept = [cell for cell in nbformat.read(path, as_version=4).cells if cell.metadata.slideshow.slide_type != "skip"]
    borrowed = sum("figure" in cell.metadata.slideshow for cell in kept)
    kinds = [set(out.get("data", {})) for cell in kept for out in cell.get("outputs", ())]
    figures = sum("image/png" in kind for kind in kinds)
    assert page.locator(".slides img").count() == figures + borrowed
    notes = " ".join(" ".join(page.locator("aside.notes").all_text_contents()).split())
    prose = "\n\n".join(cell.source for cell in kept if cell.cell_type == "markdown")
    prose = re.sub(r"^#[^\n]*|\]\([^)]*\)|\$\$.*?\$\$", "", prose, flags=re.MULTILINE | re.DOTALL)
    phrases = re.findall(r"(?<![\w$\\])[A-Za-z]{3,}(?: [a-z]+){2,}(?= )", prose)
    assert [phrase for phrase in phrases if phrase not in notes] == []


def test_model_begins_with_pictures(browser, decks):  # noqa: F811
    """The lecture on the model would begin with formulas about what nobody has seen."""
    page = show(browser, decks / "02_model.slides.html", REVEAL)
    first = "kind => Reveal.getSlides().findIndex(slide => slide.querySelector(kind))"
    digits, diagram = (page.evaluate(first, picture) for picture in ("img", 'img[alt^="The graphical model"]'))
    assert digits < 5
    assert diagram <= page.evaluate(first, ".words mjx-container")


def test_what_does_not_fit_is_found(tmp_path, browser):  # noqa: F811
    """Every slide would pass the first test."""
    code = "\n".join(f"line_{number} = {number}" for number in range(1, 41))
    formula, text = "$$" + "x + " * 100 + "y$$", "Some words stand here. " * 12
    made_up = [("code", code, {"lines": "1-40"}), ("code", code, {"lines": "3-4, 7"}), ("markdown", formula, {})]
    made_up += [("markdown", text, {"show": "1-12"}), ("markdown", text, {"title": "words " * 20})]
    slides = [nbformat.v4.new_markdown_cell("# Title")]
    for kind, source, own in made_up:
        metadata = {"slideshow": {"slide_type": "subslide", "title": "A claim", **own}}
        slides.append(getattr(nbformat.v4, f"new_{kind}_cell")(source, metadata=metadata))
    path = tmp_path / "made_up.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=slides), path)
    make_slides(tmp_path, [path])
    page = show(browser, tmp_path / "made_up.slides.html", REVEAL)
    assert list(faults(page)) == [1, 2, 4, 5, 6]  # empty, long, too wide, wordy, and a long title
