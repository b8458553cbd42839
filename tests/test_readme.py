"""The README: what it shows, promises and links is there."""

import re

from test_notebooks import COLAB, NOTEBOOKS, ROOT, SOLUTIONS, figures, git, headings

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = ["Introduction", "Dataset", "Variational Autoencoder", "Training", "Evaluation", "References"]
ADDRESS = r"(?:github\.com[/:]|colab\.research\.google\.com/github/)([\w.-]+)/Variational-Autoencoder\b"


def test_images_exist_and_are_made_by_a_notebook():
    """A reader would see a broken image, one that nobody can make again, or, being blind, none at all."""
    images = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", README)
    for tag in re.findall(r"<img\b[^>]*>", README):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        images.append((attributes.get("alt", ""), attributes["src"]))
    written = set().union(*map(figures, NOTEBOOKS))
    local = [ROOT / target for _, target in images if not target.startswith("https://")]
    assert local
    assert all(alt.strip() for alt, _ in images)
    for path in local:
        assert path.exists()
        assert path.stem in written or path.name == "explorer.png"  # which a test of the explorer takes


def test_sections_are_there():
    """A link or a habit that leads to one of the README's sections would find nothing."""
    assert [title for level, title in headings(README) if level == 2 and title in SECTIONS] == SECTIONS


def test_table_lists_every_notebook():
    """A reader would not find a notebook, find the series in another order, or open the wrong one in Colab."""
    rows = [line for line in README.splitlines() if line.startswith("|") and ".ipynb" in line]
    assert len(rows) == len(NOTEBOOKS)
    for row, path in zip(rows, NOTEBOOKS, strict=True):
        assert f"](notebooks/{path.name})" in row
        (address,) = COLAB.findall(row)
        assert address.endswith(f"/Variational-Autoencoder/blob/main/notebooks/{path.name}")


def test_repository_has_one_address():
    """A badge or a clone would go to another account than the others, or than the one that this checkout is from."""
    pages = [README, *(path.read_text(encoding="utf-8") for path in NOTEBOOKS + SOLUTIONS)]
    owners = {owner for page in pages for owner in re.findall(ADDRESS, page)}
    owners.update(re.findall(ADDRESS, git("remote", "get-url", "origin")))
    assert len(owners) == 1, "CONTRIBUTING.md says how to write your own account everywhere"
