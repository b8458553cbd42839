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
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from docutils import nodes
from sphinx import addnodes

REPOSITORY = Path(__file__).resolve().parent.parent
PLACEHOLDER = "YOUR_ACCOUNT/Variational-Autoencoder"
SITE = re.compile(r"https://[\w-]+\.github\.io/Variational-Autoencoder/")
OUTPUTS = REPOSITORY / Path(os.environ.get("VAE_OUTPUTS") or "outputs").expanduser()


def repository(address):
    """Return the "account/name" in the address of a repository on GitHub, and None for any other address."""
    github = r"(?:https://(?:[^/@]+@)?|(?:ssh://)?git@)github\.com[:/]([\w-]+/[\w.-]+?)(?:\.git)?/?"
    found = re.fullmatch(github, address.strip())
    return found and found[1]


# Where this checkout comes from. With --git-dir, git does not go on to look in the folders above.
HERE = repository(subprocess.getoutput(f'git --git-dir="{REPOSITORY / ".git"}" remote get-url origin'))

project = html_title = "Variational Autoencoder"
author = "the authors of Variational-Autoencoder"
root_doc = "README"
include_patterns = ["README.md", "docs/teaching.md", "CONTRIBUTING.md", "notebooks/**.ipynb"]
extensions = ["myst_nb", "sphinx-mathjax-offline"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
html_theme = "sphinx_book_theme"
html_theme_options = {"show_toc_level": 2, "navbar_persistent": []}  # the sidebar has a search field
if HERE:
    html_theme_options["repository_url"] = f"https://github.com/{HERE}"
    html_theme_options["repository_branch"] = "main"
    html_theme_options["launch_buttons"] = {"colab_url": "https://colab.research.google.com"}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
BADGE = re.compile(r"\[!\[Open in\s+Colab\]\([^)]*\)\]\([^)]*/notebooks/(solutions/)?(\w+)\.ipynb\)(\s*·)?")
TO_NOBODY = re.compile(rf"\[([^][]*)\]\([^()\s]*{PLACEHOLDER}[^()\s]*\)")
# The cell that finds the repository, and the one with the imports: nobody reads them to learn what a notebook is about.
SETUP = re.compile(r"import sys\nfrom pathlib[\s\S]*|(?:(?:import |from |keras\.utils\.set_random_seed|\s*#).*\s*)+")
LINK = re.compile(r"(?<=\]\()([^()\s:#]*)(#[^()\s]+)?(?=\))")


def address(link, folder):
    """Return where a relative link on a page in a folder leads in the site: a page, or what only the repository has."""
    path, anchor = link[1], unquote(link[2] or "")
    target = (folder / path).resolve()
    if path and (target.is_dir() or target == REPOSITORY / "assets" / "README.md"):
        return f"https://github.com/{PLACEHOLDER}/tree/main/{target.relative_to(REPOSITORY).as_posix()}"
    # JupyterLab's anchors keep the case and the punctuation of their headings.
    return path + ("#" if anchor else "") + re.sub(r"[^\w-]", "", anchor).lower()


def settle(text):
    """Let addresses of the repository lead where it is; where that is not known, take such links away."""
    return text.replace(PLACEHOLDER, HERE) if HERE else TO_NOBODY.sub(r"\1", text)


def words(text, name):
    """Let the links of a page lead on, as on GitHub and in JupyterLab; for Colab the theme has a button of its own."""

    def deck(badge):
        solutions, notebook, dot = badge.groups("")
        return "" if solutions else f'<a href="{"../" * name.count("/")}slides/{notebook}.slides.html">Slides</a>{dot}'

    text = SITE.sub("/", re.sub(rf"\({SITE.pattern}\)", "(/README.md)", BADGE.sub(deck, text)))
    return settle(LINK.sub(lambda link: address(link, (REPOSITORY / name).parent), text))


def notebook_file(app, name):
    """Return the notebook in the repository or, with `-t ran`, the one that a run has written."""
    ran = OUTPUTS / f"{name}.ipynb"
    return ran if app.tags.has("ran") and ran.exists() else REPOSITORY / f"{name}.ipynb"


def prepare(app, name, source):
    """Make a page of the site of what stands on a page or in a notebook."""
    if not name.startswith("notebooks/"):
        source[0] = words(source[0], name)
        if name == root_doc:
            source[0] += "\n" + (REPOSITORY / "docs" / "index.md").read_text("utf-8")
        return
    notebook = json.loads(settle(notebook_file(app, name).read_text("utf-8")))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = words(text, name)
        if alt := cell["metadata"].get("alt"):
            cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
        if SETUP.fullmatch(text) and "exercises" not in text:
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
    """Put the front page, the explorer and the slides where links, and the frame in notebook 04, look for them."""
    if error:
        return
    shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")
    images = app.outdir / "assets" / "images"
    images.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "assets" / "explorer.html", app.outdir / "assets")
    for picture in (REPOSITORY / "assets" / "images").glob("learning.*"):  # Sphinx does not look into <picture>
        shutil.copy(picture, images)
    series = [name for name in sorted(app.env.found_docs) if re.match(r"notebooks/\d", name)]
    with TemporaryDirectory() as folder:
        copies = [Path(folder, Path(name).name).with_suffix(".ipynb") for name in series]
        for name, copy in zip(series, copies, strict=True):
            copy.write_text(settle(notebook_file(app, name).read_text("utf-8")), "utf-8")
        make_slides(app.outdir / "slides", copies)


def setup(app):
    # Read all pages each time: Sphinx would look at the notebook in the repository to see if a run has changed it.
    app.connect("env-get-outdated", lambda app, env, *changes: env.found_docs)
    app.connect("source-read", prepare)
    app.connect("doctree-resolved", open_explorer)
    app.connect("build-finished", finish)
