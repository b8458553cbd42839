"""Sphinx makes the site: sphinx-build -c docs . outputs/site

With `-t ran` it takes the notebooks that a run has written to outputs/notebooks instead of the ones in the repository.
"""

import json
import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

from docutils import nodes
from sphinx import addnodes

REPOSITORY = Path(__file__).resolve().parent.parent
GITHUB = "https://github.com/YOUR_ACCOUNT/Variational-Autoencoder"
OUTPUTS = REPOSITORY / (os.environ.get("VAE_OUTPUTS") or "outputs")

project = html_title = "Variational Autoencoder"
author = "the authors of Variational-Autoencoder"
root_doc = "index"
include_patterns = ["index.md", "TEACHING.md", "CONTRIBUTING.md", "notebooks/**.ipynb"]
extensions = ["myst_nb", "sphinx-mathjax-offline"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": GITHUB,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "show_toc_level": 2,
}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
BADGE = re.compile(r"\[!\[Open in\s+Colab\]\([^)]*\)\]\([^)]*\)(\s*·)?")  # the theme has a button of its own
LINK = re.compile(r"(?<=\]\()([^()\s:#]*)(#[^()\s]+)?(?=\))")


def address(link):
    """Return where a relative link leads in the site: a page, or what only the repository has."""
    path, anchor = link[1], unquote(link[2] or "")
    if path and (REPOSITORY / path).is_dir() or path.startswith("assets/README"):
        return f"{GITHUB}/tree/main/{path}"
    # JupyterLab's anchors keep the case and the punctuation of their headings.
    return path.replace("README.md", "index.md") + ("#" if anchor else "") + re.sub(r"[^\w-]", "", anchor).lower()


def words(text):
    """Let the links of a page lead on, as they do on GitHub and in JupyterLab."""
    return LINK.sub(address, BADGE.sub("", text))


def prepare(app, name, source):
    """Make a page, or a notebook, of what stands in the repository or, with `-t ran`, of what a run has written."""
    if not name.startswith("notebooks/"):
        source[0] = words(source[0])
        return
    ran = OUTPUTS / f"{name}.ipynb"
    notebook = json.loads(ran.read_text("utf-8") if app.tags.has("ran") and ran.exists() else source[0])
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = words(text)
        if alt := cell["metadata"].get("alt"):
            cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
        if text.startswith("import sys\nfrom pathlib"):
            cell["metadata"]["tags"] = ["hide-input"]
    source[0] = json.dumps(notebook)


def open_explorer(app, doctree, name):
    """Open the explorer where a link leads to it; Sphinx would offer it for download."""
    for link in list(doctree.findall(addnodes.download_reference)):
        if link["reftarget"].endswith("explorer.html"):
            uri = "../" * name.count("/") + "assets/explorer.html"
            link.replace_self(nodes.reference("", "", *link.children, refuri=uri))


def copy_explorer(app, error):
    """Put it where the links and the frame in notebook 04 look for it."""
    (app.outdir / "assets").mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "assets" / "explorer.html", app.outdir / "assets")


def setup(app):
    app.connect("source-read", prepare)
    app.connect("include-read", lambda app, path, name, content: prepare(app, name, content))
    app.connect("doctree-resolved", open_explorer)
    app.connect("build-finished", copy_explorer)
