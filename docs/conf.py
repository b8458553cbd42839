"""Sphinx makes the site, with the explorer and the slides: sphinx-build -c docs . outputs/site

With `-t ran` it takes the notebooks that a run has written to outputs/notebooks instead of the ones in the repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from docutils import nodes
from sphinx import addnodes

REPOSITORY = Path(__file__).resolve().parent.parent
GITHUB = "https://github.com/YOUR_ACCOUNT/Variational-Autoencoder"
SITE = "https://YOUR_ACCOUNT.github.io/Variational-Autoencoder/"
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
BADGE = re.compile(r"\[!\[Open in\s+Colab\]\([^)]*\)\]\([^)]*/notebooks/(solutions/)?(\w+)\.ipynb\)(\s*·)?")
LINK = re.compile(r"(?<=\]\()([^()\s:#]*)(#[^()\s]+)?(?=\))")


def address(link):
    """Return where a relative link leads in the site: a page, or what only the repository has."""
    path, anchor = link[1], unquote(link[2] or "")
    if path and (REPOSITORY / path).is_dir() or path.startswith("assets/README"):
        return f"{GITHUB}/tree/main/{path}"
    # JupyterLab's anchors keep the case and the punctuation of their headings.
    return path.replace("README.md", "index.md") + ("#" if anchor else "") + re.sub(r"[^\w-]", "", anchor).lower()


def words(text, name):
    """Let the links of a page lead on, as on GitHub and in JupyterLab; for Colab the theme has a button of its own."""

    def deck(badge):
        solutions, notebook, dot = badge.groups("")
        return "" if solutions else f'<a href="{"../" * name.count("/")}slides/{notebook}.slides.html">Slides</a>{dot}'

    text = text.replace(f"({SITE})", "(/index.md)").replace(SITE, "/")
    return LINK.sub(address, BADGE.sub(deck, text))


def notebook_file(app, name):
    """Return the notebook in the repository or, with `-t ran`, the one that a run has written."""
    ran = OUTPUTS / f"{name}.ipynb"
    return ran if app.tags.has("ran") and ran.exists() else REPOSITORY / f"{name}.ipynb"


def prepare(app, name, source):
    """Make a page of the site of what stands on a page or in a notebook."""
    if not name.startswith("notebooks/"):
        source[0] = words(source[0], name)
        return
    notebook = json.loads(notebook_file(app, name).read_text("utf-8"))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = words(text, name)
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


def make_slides(folder, notebooks):
    """Make a deck of each notebook."""
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to=slides", "--config=docs/slides/config.py"]
    subprocess.run([*command, "--log-level=WARN", f"--output-dir={folder}", *notebooks], cwd=REPOSITORY, check=True)


def finish(app, error):
    """Put the explorer and the slides where the links, and the frame in notebook 04, look for them."""
    if error:
        return
    (app.outdir / "assets").mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "assets" / "explorer.html", app.outdir / "assets")
    series = [name for name in sorted(app.env.found_docs) if re.match(r"notebooks/\d", name)]
    make_slides(app.outdir / "slides", [notebook_file(app, name) for name in series])


def setup(app):
    # Read all pages each time: Sphinx would look at the notebook in the repository to see if a run has changed it.
    app.connect("env-get-outdated", lambda app, env, *changes: env.found_docs)
    app.connect("source-read", prepare)
    app.connect("include-read", lambda app, path, name, content: prepare(app, name, content))
    app.connect("doctree-resolved", open_explorer)
    app.connect("build-finished", finish)
