"""Each notebook as a deck of slides, made by the command of TEACHING.md and looked at in a real browser."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from browser import HEIGHT, WIDTH, browser, show  # noqa: F401  a fixture
from test_notebooks import NOTEBOOKS, ROOT, cells, headings, markdown

pytestmark = pytest.mark.slow

REVEAL = "window.Reveal && Reveal.isReady()"
# What stands beyond the edges of the slide that is shown, or is too small, or that nothing is shown.
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
            beyond.push(`${element.tagName} ${box.right} x ${box.bottom} ${element.textContent.trim().slice(0, 60)}`);
        const full = Math.min(element.naturalHeight, 560, 1160 * element.naturalHeight / element.naturalWidth);
        if (box.height < 0.6 * full) beyond.push(`a figure, shrunk to ${Math.round(100 * box.height / full)} %`);
    }
    return shown ? beyond : ["empty"];
}"""


def convert(folder, *notebooks):
    """Run the command of TEACHING.md, for the given notebooks or for all, and return the folder with the decks."""
    (command,) = re.findall(r"\.venv/bin/(jupyter nbconvert --to slides.*)", (ROOT / "TEACHING.md").read_text("utf-8"))
    command = [sys.executable, "-m", *command.split(), "--log-level=ERROR", *map(str, notebooks)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "VAE_OUTPUTS": str(folder)}, check=True)
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
        found[number] = page.evaluate(LOOK, [WIDTH, HEIGHT])
        page.evaluate("Reveal.next()")
    return {number: beyond for number, beyond in found.items() if beyond}


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
    left = "".join(page.locator(".jp-MarkdownCell").all_text_contents())
    assert not re.search(r"\$|\\(frac|mathcal|log)\b", left)


def test_deck_tells_the_whole_story(deck):
    """A teacher would find a section, or a figure, missing in front of the class."""
    path, page = deck
    titles = [re.sub(r"[^\w ]", "", title) for title in page.locator(".slides h2").all_text_contents()]
    sections = [title for level, title in headings(markdown(path)) if level == 2]
    assert titles == [re.sub(r"[^\w ]", "", title) for title in sections[:-1]]  # the last one only leads elsewhere
    kinds = [set(out.get("data", {})) for cell in cells(path, "code") for out in cell.outputs]
    figures = sum(bool(kind & {"image/png", "image/svg+xml"}) for kind in kinds)
    assert page.locator(".slides img").count() == figures


def test_what_does_not_fit_is_found_or_cut(tmp_path, browser):  # noqa: F811
    """Every slide would pass the first test, or long code be cut without a word about the rest."""
    code = "\n".join(f"line_{number} = {number}" for number in range(1, 41))
    slides = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell(code, metadata={"slideshow": {"slide_type": "subslide"}}),
        nbformat.v4.new_code_cell(code, metadata={"slideshow": {"slide_type": "subslide", "lines": 3}}),
        nbformat.v4.new_markdown_cell("$$" + "x + " * 100 + "y$$", metadata={"slideshow": {"slide_type": "subslide"}}),
    ]
    path = tmp_path / "made_up.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=slides), path)
    page = show(browser, convert(tmp_path, path) / "made_up.slides.html", REVEAL)
    assert list(overflowing(page)) == [2, 4]  # too long, and too wide
    assert re.search(r"line_3 = 3\W+and 37 more lines in the notebook", page.locator(".code").nth(1).text_content())
