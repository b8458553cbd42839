"""Each notebook as a deck of slides, made by the command of TEACHING.md and looked at in a real browser."""

import copy
import os
import re
import subprocess
import sys

import nbformat
import pytest
from browser import HEIGHT, WIDTH, browser, show  # noqa: F401  a fixture
from test_notebooks import NOTEBOOKS, ROOT, headings, markdown

pytestmark = pytest.mark.slow

REVEAL = "window.Reveal && Reveal.isReady()"
# What stands beyond the edges of the slide that is shown, or is too small; and whether anything stands within them.
LOOK = """([width, height]) => {
    const beyond = [];
    let shown = 0;
    for (const element of Reveal.getCurrentSlide().querySelectorAll("*")) {
        const box = element.getBoundingClientRect();
        if (!box.width || !box.height || element.closest("aside, mjx-assistive-mml")) continue;
        shown += 1;
        const scrolls = element.clientHeight && element.scrollHeight > element.clientHeight + 1
            && getComputedStyle(element).overflowY !== "visible";
        if (scrolls || box.left < 0 || box.top < 0 || box.right > width + 1 || box.bottom > height + 1)
            beyond.push(`${element.tagName} ${Math.round(box.right)} x ${Math.round(box.bottom)} `
                + element.textContent.trim().slice(0, 60));
        const full = Math.min(element.naturalHeight, 560, 1160 * element.naturalHeight / element.naturalWidth);
        if (box.height < 0.6 * full) beyond.push(`a figure, shrunk to ${Math.round(100 * box.height / full)} %`);
    }
    return [shown, beyond];
}"""


def convert(folder, *notebooks):
    """Run the command of TEACHING.md, for the given notebooks or for all, and return the folder with the decks."""
    (command,) = re.findall(
        r"\.venv/bin/(jupyter nbconvert --to slides[^`\n]*)", (ROOT / "TEACHING.md").read_text("utf-8")
    )
    subprocess.run(
        [sys.executable, "-m", *command.split(), "--log-level=ERROR", *map(str, notebooks)],
        cwd=ROOT,
        env={**os.environ, "VAE_OUTPUTS": str(folder)},
        check=True,
    )
    return folder / "slides"


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("decks"))


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def deck(request, browser, decks):  # noqa: F811
    """A notebook's path, and the page that shows its slides."""
    page = show(browser, decks / f"{request.param.stem}.slides.html", REVEAL)
    yield request.param, page
    page.close()


def overflowing(page):
    """Go through a deck and return {number of the slide: what does not fit}; an empty slide fits nobody, either."""
    found = {}
    for number in range(1, page.evaluate("Reveal.getTotalSlides()") + 1):
        shown, beyond = page.evaluate(LOOK, [WIDTH, HEIGHT])
        if beyond or not shown:
            found[number] = beyond or "empty"
        page.evaluate("Reveal.next()")
    return found


def test_every_slide_fits(deck):
    """A class would see half of a figure, or the end of a line would be missing."""
    _, page = deck
    assert page.evaluate("Reveal.getTotalSlides()") >= 20
    assert overflowing(page) == {}


def test_deck_needs_nothing_else(deck):
    """In a room without internet the deck would be blank, or without its formulas."""
    path, page = deck
    assert page.noticed == []
    assert page.locator("mjx-merror").count() == 0
    assert page.locator("mjx-container").count() > 0 or "$" not in markdown(path)
    left = page.evaluate("[...document.querySelectorAll('.jp-MarkdownCell')].map(cell => cell.textContent).join()")
    assert not re.search(r"\$|\\(frac|mathcal|log)\b", left)


def test_deck_tells_the_whole_story(deck):
    """A teacher would find a section, or a figure, missing in front of the class."""
    path, page = deck
    titles = page.evaluate("[...document.querySelectorAll('.slides h2')].map(title => title.textContent)")
    plain = [re.sub(r"[^\w ]", "", title) for title in titles]
    sections = [title for level, title in headings(markdown(path)) if level == 2]
    assert plain == [re.sub(r"[^\w ]", "", title) for title in sections[:-1]]  # the last one only leads elsewhere
    outputs = [out for cell in nbformat.read(path, as_version=4).cells for out in cell.get("outputs", [])]
    figures = sum("image/png" in out.get("data", {}) for out in outputs)
    assert page.locator(".slides img").count() == figures


@pytest.fixture
def made_up(tmp_path):
    """A function that makes a deck of two cells, of which the second is given."""

    def made_up(cell):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), cell])
        path = tmp_path / "made_up.ipynb"
        nbformat.write(notebook, path)
        return convert(tmp_path, path) / "made_up.slides.html"

    return made_up


LONG = nbformat.v4.new_code_cell("\n".join(f"line_{number} = {number}" for number in range(1, 41)))
LONG.metadata["slideshow"] = {"slide_type": "subslide"}
CUT = copy.deepcopy(LONG)
CUT.metadata["slideshow"]["lines"] = 3
WIDE = nbformat.v4.new_markdown_cell("$$" + "x + " * 100 + "y$$")


@pytest.mark.parametrize(("cell", "where"), [(LONG, 2), (WIDE, 1)], ids=["too long", "too wide"])
def test_what_does_not_fit_is_found(cell, where, made_up, browser):  # noqa: F811
    """The test above would let every slide pass."""
    assert list(overflowing(show(browser, made_up(cell), REVEAL))) == [where]


def test_code_is_cut_to_what_fits(made_up, browser):  # noqa: F811
    """Long code would run out of the slide, or be cut without a word about the rest."""
    page = show(browser, made_up(CUT), REVEAL)
    assert overflowing(page) == {}
    code = page.locator(".code").text_content()
    assert "line_3 = 3" in code
    assert "line_4" not in code
    assert "37 more lines in the notebook" in code
