"""Slides from the notebooks that need no internet: jupyter nbconvert --to slides --config docs/slides/config.py

Each deck is one file in outputs/slides. reveal.js and MathJax stand in it, from two packages that carry them along.

What is on which slide stands in the cells' metadata, which JupyterLab shows under "Common Tools":
`slideshow.slide_type` says where a slide begins, and what is left out or goes into the speaker's notes. One key is
ours: `slideshow.lines`, the number of lines of a cell's code that the slide has room for, 0 for the output alone.
"""

import importlib.util
import os
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent
REPOSITORY = DOCS.parent


def package(name):
    return Path(importlib.util.find_spec(name).origin).parent


def first_lines(source, number=None):
    """Return a cell's code as far as the slide has room for it."""
    lines = source.splitlines()
    if number is None or len(lines) <= number:
        return source
    return "\n".join([*lines[:number], f"...  # and {len(lines) - number} more lines in the notebook"])


def last_lines(text, number=2):
    """Return the end of a long printed text, such as the last epoch of a training."""
    lines = text.splitlines()
    return text if len(lines) <= 5 else "\n".join(["...", *lines[-number:]])


c = get_config()  # noqa: F821  nbconvert runs this file, and brings it
c.NbConvertApp.notebooks = [str(REPOSITORY / "notebooks" / "*.ipynb")]
c.FilesWriter.build_directory = str(Path(os.environ.get("VAE_OUTPUTS") or REPOSITORY / "outputs") / "slides")
c.SlidesExporter.template_name = "slides"
c.SlidesExporter.extra_template_basedirs = [str(DOCS)]
c.SlidesExporter.extra_template_paths = [
    str(package("sphinx_revealjs") / "_static" / "revealjs"),
    str(package("sphinx-mathjax-offline") / "static" / "mathjax"),
]
c.SlidesExporter.filters = {"first_lines": first_lines, "last_lines": last_lines}
c.SlidesExporter.exclude_input_prompt = True
c.SlidesExporter.exclude_output_prompt = True
c.SlidesExporter.exclude_anchor_links = True
c.CSSHTMLHeaderPreprocessor.style = "friendly"
