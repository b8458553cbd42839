"""The site, made by the README's command from the stored outputs, and every page of it opened in a real browser."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from browser import browser, show  # noqa: F401  a fixture
from test_notebooks import NOTEBOOKS, ROOT, SOLUTIONS
from test_readme import ADDRESS, README

from docs.conf import repository

pytestmark = pytest.mark.slow

PAGES = ["index", "docs/teaching", "CONTRIBUTING"] + [f"notebooks/{path.stem}" for path in NOTEBOOKS]
PAGES += [f"notebooks/solutions/{path.stem}" for path in SOLUTIONS]
LOADED = "document.readyState === 'complete' && (!window.MathJax?.startup || MathJax.startup.promise)"
# What a reader would see that is wrong: pictures, formulas, what sticks out, and links within the site.
LOOK = """async () => {
    await window.MathJax?.startup?.promise;
    const article = document.querySelector("article"), found = [];
    for (const image of article.querySelectorAll("img"))
        if (!image.alt.trim() || !image.naturalWidth) found.push(`picture ${image.src.slice(-60)}`);
    for (const formula of article.querySelectorAll(".math"))
        if (!formula.querySelector("mjx-container")) found.push(`formula ${formula.textContent}`);
    if (article.querySelector("mjx-merror")) found.push("a formula with an error");
    if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
    for (const element of article.querySelectorAll("*"))
        if (element.getBoundingClientRect().right > innerWidth + 1
            && !element.closest("pre, table, .cell_output, .pst-scrollable-table-container, mjx-container"))
            found.push(`${element.tagName} sticks out: ${element.textContent.slice(0, 40)}`);
    return found;
}"""
RULES = """async () => {
    const rules = ["color-contrast", "image-alt", "link-name"];
    const {violations} = await axe.run("article", {iframes: false, runOnly: rules});
    return violations.map(({id, nodes}) => `${id} ${nodes[0].html}`);
}"""
LINKS = "() => [...document.querySelectorAll('a[href]')].map(link => link.href)"


def build(folder, *options, repository=ROOT, **settings):
    command = [sys.executable, "-m", "sphinx", "-W", "-q", *options, "-c", "docs", ".", folder]
    subprocess.run(command, cwd=repository, env=os.environ | {"NO_COLOR": "1"} | settings, check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def anchors(site):
    return {path: set(re.findall(r'\bid="([^"]*)"', path.read_text("utf-8"))) for path in site.rglob("*.html")}


@pytest.mark.parametrize("name", PAGES)
def test_page_can_be_read(site, anchors, browser, name):  # noqa: F811
    """Without internet, on a phone or at night, a reader would miss a formula, a picture, or the end of a line."""
    page = show(browser, site / f"{name}.html", LOADED, color_scheme="light")
    page.evaluate(Path(AXE_FILE_PATH).read_text("utf-8"))
    for width, scheme in itertools.product((1280, 390), ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        assert page.evaluate(LOOK) == [], (width, scheme)
        if width == 1280:  # colours are the same on a phone
            assert page.evaluate(RULES) == [], scheme
    noticed = [notice for notice in page.noticed if not notice.startswith(("file:", "[PST]", "Got invalid theme mode"))]
    assert noticed == []
    for link in page.evaluate(LINKS):
        assert not link.endswith("/tree/main/"), "a link within the page leads to the repository"
        target, _, anchor = link.partition("#")
        if target.startswith("file:"):
            file = Path(target.removeprefix("file://"))
            assert file.exists(), link
            assert not anchor or anchor in anchors[file], link
    page.close()


def test_site_tells_who_wants_to_draw_where(site):
    """A reader who wants to draw a digit would get a download, or nothing."""
    assert 'href="assets/explorer.html"' in (site / "index.html").read_text("utf-8")
    assert (site / "assets" / "explorer.html").read_bytes() == (ROOT / "assets" / "explorer.html").read_bytes()


def test_site_shows_what_a_run_has_written(site, tmp_path):
    """A reader would run the series, and see the outputs of somebody else's run, or of the run before."""
    ran = tmp_path / "notebooks" / NOTEBOOKS[1].name
    ran.parent.mkdir()
    ran.write_text(NOTEBOOKS[1].read_text("utf-8").replace("543.4 nats", "543.4 of my nats"), "utf-8")
    build(site, "-t", "ran", VAE_OUTPUTS=str(tmp_path))
    for page in (site / "notebooks" / f"{ran.stem}.html", site / "slides" / f"{ran.stem}.slides.html"):
        assert "543.4 of my nats" in page.read_text("utf-8")


def test_site_looks_for_outputs_where_utils_puts_them():
    """A reader who keeps the outputs under ~ would see the ones that come with the repository."""
    command = [sys.executable, "-c", "from docs import conf; print(conf.OUTPUTS)"]
    for wanted, found in {"~/mine": Path.home() / "mine", "mine": ROOT / "mine", "": ROOT / "outputs"}.items():
        printed = subprocess.check_output(command, cwd=ROOT, env=os.environ | {"VAE_OUTPUTS": wanted}, text=True)
        assert Path(printed.strip()) == found


@pytest.mark.parametrize(
    ("address", "found"),
    {
        "https://github.com/octocat/Variational-Autoencoder": "octocat/Variational-Autoencoder",
        "https://github.com/octocat/Variational-Autoencoder.git": "octocat/Variational-Autoencoder",
        "https://octocat@github.com/octocat/vae.2.git": "octocat/vae.2",
        "git@github.com:octocat/Variational-Autoencoder.git": "octocat/Variational-Autoencoder",
        "ssh://git@github.com/octo-cat/vae": "octo-cat/vae",
        "https://gitlab.com/octocat/Variational-Autoencoder": None,
        "https://example.org/github.com/octocat/Variational-Autoencoder": None,
        "/home/octocat/github.com/Variational-Autoencoder": None,
        "fatal: not a git repository: '/home/github.com/octocat/vae/.git'": None,
    }.items(),
)
def test_repository_is_found_in_its_address(address, found):
    """The buttons would lead to a page that does not exist, or would be missing from a site that could have them."""
    assert repository(address) == found


@pytest.mark.parametrize("remote", ["", "git@github.com:octocat/Variational-Autoencoder.git"], ids=["folder", "GitHub"])
def test_links_lead_to_the_repository_that_the_site_comes_from(tmp_path, remote):
    """A reader would open a page that does not exist; and the site could not be published without TensorFlow."""
    copy, missing, made = (tmp_path / name for name in ("copy", "missing", "site"))
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "outputs", "__pycache__"))
    if remote:
        subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
        subprocess.run(["git", "remote", "add", "origin", remote], cwd=copy, check=True)
    missing.mkdir()
    for name in ("tensorflow", "keras", "jax", "numpy", "matplotlib", "sklearn"):
        (missing / f"{name}.py").write_text("raise ImportError")
    build(made, repository=copy, PYTHONPATH=str(missing))
    pages = {path.relative_to(made).as_posix(): path.read_text("utf-8") for path in made.rglob("*.html")}
    links = {link for page in pages.values() for link in re.findall(r'(?:href|src)="([^"]*)"', page)}
    assert not [link for link in links if "YOUR_ACCOUNT" in link]
    owners = {owner for link in links for owner in re.findall(ADDRESS, link)} - set(re.findall(ADDRESS, README))
    assert owners == ({"octocat"} if remote else set())
    for path in NOTEBOOKS + SOLUTIONS:
        name = path.relative_to(ROOT).as_posix()
        page = pages[name.replace(".ipynb", ".html")]
        button = f'href="https://colab.research.google.com/github/octocat/Variational-Autoencoder/blob/main/{name}"'
        assert (button in page) == bool(remote)
        assert not remote or "YOUR_ACCOUNT" not in page  # in the cell that clones the repository
