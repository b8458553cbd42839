"""Slides from the notebooks, each deck one file that needs no internet. docs/conf.py makes them with the site:

    jupyter nbconvert --to slides --config docs/slides/config.py --output-dir outputs/site/slides notebooks/*.ipynb

reveal.js and MathJax stand in the file, from two packages that carry them along.

What is on a slide stands in the metadata of the notebook's cells, which JupyterLab shows under "Common Tools".
A slide shows its title, displayed formulas, tables, figures and printed results; all prose is in the speaker's notes.
`slideshow.slide_type` says where a slide begins and what is left out; a cell of type "fragment" waits for a click.
Five keys are ours:

    title    of the slide that the cell begins, where it has no heading of its own
    show     the sentences of its text that stand on the slide, by number: "1, 3-4"; a fragment shows its first
    lines    the lines of its code that do, likewise
    printed  how many of the last lines that it printed do: all, unless given
    figure   a cell from whose output the slide borrows a figure: "01_data_exploration.ipynb#cell-12"
"""

import importlib.util
import re
import struct
from base64 import b64decode
from pathlib import Path
from textwrap import dedent

import nbformat

DOCS = Path(__file__).resolve().parent.parent
REPOSITORY = DOCS.parent
ALWAYS = ("$$", "|", "    ", "![")  # how a formula, a table, code and a picture begin
END = re.compile(r"(?<!\*\d\.)(?<!\s[A-Z]\.)(?<! al\.)(?:(?<=[.?!])|(?<=[.?!]\)))\s+(?=[A-Z*$`(\[−])")  # of a sentence
NOISE = re.compile(r"━|: weights from ")


def package(name):
    return Path(importlib.util.find_spec(name).origin).parent


def numbers(wanted):
    """Return the numbers that "1, 3-5" stands for."""
    ends = [part.partition("-") for part in str(wanted).split(",")]
    return {number for first, _, last in ends for number in range(int(first), int(last or first) + 1)}


def words(source, show):
    """Return the markdown of a cell that its slide shows: what is displayed, and the sentences to `show`."""
    kept, number, show = [], 0, numbers(show)
    for block in re.split(r"\n\s*\n", source):
        if block.startswith(ALWAYS):
            kept.append(re.sub(r"[\s,.]+(\\end\{aligned\})?\$\$$", r"\1$$", block))  # no full stop on its own
        elif not block.startswith("#"):
            for item in re.split(r"\n(?=- )", block):
                sentences = list(enumerate(END.split(" ".join(item.split())), number + 1))
                number = sentences[-1][0]
                kept.append(" ".join(sentence for n, sentence in sentences if n in show))
    assert number == 0 or max(show) <= number, f"there is no sentence {max(show)} in: {source}"
    return re.sub(":$", ".", "\n\n".join(filter(None, kept)))


def printed(text, number):
    """Return the last lines of a printed text, without what only tells that something was loaded or is in progress."""
    lines = [line for line in text.splitlines() if not NOISE.search(line)]
    return "\n".join(lines[max(0, len(lines) - number) :])


def figures(cell):
    """Yield the figures among a cell's outputs."""
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/png" in data:
            content = data["image/png"].replace("\n", "")
            width, height = struct.unpack(">II", b64decode(content[:32])[16:24])
            url = f"data:image/png;base64,{content}"
            yield {"url": url, "alt": cell.metadata.get("alt", ""), "width": width, "height": height}


def parts(cell):
    """Yield (kind, content) of what a slide shows of a cell."""
    own = cell.metadata.get("slideshow", {})
    if "figure" in own:
        notebook, name = own["figure"].split("#")
        cells = nbformat.read(REPOSITORY / "notebooks" / notebook, as_version=4).cells
        yield from (("figure", figure) for other in cells if other.id == name for figure in figures(other))
    if cell.cell_type == "markdown":
        yield "words", words(cell.source, own.get("show", int(own.get("slide_type") == "fragment")))
    else:
        lines = numbers(own.get("lines", 0))
        code = re.sub("  # .*", "", cell.source).splitlines()  # comments at the end of a line would break it
        yield "code", dedent("\n".join(line for n, line in enumerate(code, 1) if n in lines))
        text = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
        yield "printed", printed(text, own.get("printed", len(text)))
        yield from (("figure", figure) for figure in figures(cell))


def slide(cell, cells):
    """Return what is on the slide that begins with a cell, and its notes."""
    place = cells.index(cell)
    after = (n for n in range(place + 1, len(cells)) if cells[n].metadata.get("subslide_start"))
    group = [one for one in cells[place : next(after, None)] if one.metadata.slide_type != "skip"]
    prose = "\n\n".join(one.source for one in group if one.cell_type == "markdown")
    notes = re.sub(r"^#+ .*", "", prose, flags=re.MULTILINE).strip()
    above = "\n".join(one.source for one in cells[: place + 1] if one.cell_type == "markdown")
    mark, heading = re.findall(r"^(#+) (.*)", above, re.MULTILINE)[-1]
    shown = [(one, *part) for one in group if one.metadata.slide_type != "notes" for part in parts(one) if part[1]]
    if not shown:  # nobody has said what this slide shows
        shown = [(cell, "code", cell.source) if cell.cell_type == "code" else (cell, "words", words(notes, 1))]
    pictures = [content for _, kind, content in shown if kind == "figure"]
    return {
        "title": cell.metadata.get("slideshow", {}).get("title", heading),
        "level": 1 if mark == "#" else 2,
        "parts": shown,
        "beside": len(shown) > len(pictures) == 1 and pictures[0]["width"] < 1.65 * pictures[0]["height"],
        "notes": notes,
    }


c = get_config()  # noqa: F821  nbconvert runs this file, and brings it
c.SlidesExporter.template_name = "slides"
c.SlidesExporter.extra_template_basedirs = [str(DOCS)]
c.SlidesExporter.extra_template_paths = [
    str(package("sphinx_revealjs") / "_static" / "revealjs"),
    str(package("sphinx-mathjax-offline") / "static" / "mathjax"),
]
c.SlidesExporter.filters = {"slide": slide}
c.CSSHTMLHeaderPreprocessor.style = "friendly"
