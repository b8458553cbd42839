"""The README: what it shows, promises and links is there."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from test_notebooks import COLAB, NOTEBOOKS, ROOT, SOLUTIONS, figures, git, headings

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in ROOT.glob(".github/workflows/*.yml")}
(OWNER,) = (step for step in WORKFLOWS["account"]["jobs"]["account"]["steps"] if "env" in step)
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
    assert len(owners) == 1, "CONTRIBUTING.md says how to write your own account everywhere"
    remote = set(re.findall(ADDRESS, git("remote", "get-url", "origin")))
    assert not remote or owners <= remote | {"YOUR_ACCOUNT"}, "CONTRIBUTING.md says how to write your own account"


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("git"), reason="needs git and Unix")
@pytest.mark.parametrize(
    "command",
    [OWNER["run"], re.search(r"`(perl [^`]*)`", CONTRIBUTING)[1].replace("\n", " ").replace("your-name", "octocat")],
    ids=["workflow", "by hand"],
)
def test_account_is_written_where_a_reader_clicks(tmp_path, command):
    """In a copy of the repository a badge would open a page that does not exist, or a notebook would not open."""
    copy = tmp_path / "copy"
    left_out = shutil.ignore_patterns(".git", ".venv", "assets", "outputs", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    for arguments in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *arguments], cwd=copy, check=True)
    files = [path for path in sorted(copy.rglob("*")) if path.is_file() and ".git" not in path.parts]
    wanted = {path: path.read_bytes() for path in files}
    for path in wanted:
        if path.suffix in (".md", ".ipynb") and path.name != "CONTRIBUTING.md":
            wanted[path] = wanted[path].replace(b"YOUR_ACCOUNT", b"octocat")
    for _ in range(2):  # the second time, there is nothing left to do
        subprocess.run(["bash", "-e", "-c", command], cwd=copy, env=os.environ | {"OWNER": "octocat"}, check=True)
        assert {path: path.read_bytes() for path in files} == wanted
    for path in copy.glob("notebooks/**/*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))


def test_account_is_no_part_of_a_command():
    """Somebody could choose the name of an account, or of a branch, so that a workflow runs it."""
    assert OWNER["env"] == {"OWNER": "${{ github.repository_owner }}"}
    for workflow in WORKFLOWS.values():
        commands = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
        assert not [command for command in commands if "${{ github" in command]


def test_workflows_may_do_no_more_than_they_need():
    """An action that somebody has changed would run, or one that tests could write into the repository."""
    writers = set()
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] in ({}, {"contents": "read"})
        for name, job in workflow["jobs"].items():
            writers |= {name} if job.get("permissions", {}).get("contents") == "write" else set()
            for step in job["steps"]:
                assert "run" in step or re.search(r"@[0-9a-f]{40}$", step["uses"])
    assert writers == {"account"}


def test_site_is_published_whole_and_only_after_the_tests():
    """Readers would see a site whose tests fail, or half of one that a newer push has stopped."""
    workflow = WORKFLOWS["notebooks"]
    assert workflow["jobs"]["site"]["needs"] == "readme"
    assert workflow["jobs"]["site"]["if"].startswith("github.ref == 'refs/heads/main' && ")
    assert workflow["concurrency"]["cancel-in-progress"] == "${{ github.ref != 'refs/heads/main' }}"
    assert "${{ github.event_name }}" in workflow["concurrency"]["group"]  # a push does not stop the weekly run
    assert not workflow["jobs"]["site"]["concurrency"]["cancel-in-progress"]


def test_branches_are_tested_once_and_main_everywhere():
    """A contributor would wait for five machines, or a reader be the first to run a notebook on theirs."""
    matrix = WORKFLOWS["notebooks"]["jobs"]["readme"]["strategy"]["matrix"]["include"]
    branch, main = map(json.loads, re.findall(r"'(\[.*?\])'", matrix, re.DOTALL))
    assert "github.ref != 'refs/heads/main' && '" in matrix
    assert [job["os"] for job in branch] == ["ubuntu-latest"]
    assert {job["os"].split("-")[0] for job in main} == {"ubuntu", "macos", "windows"}
    promised = re.search(r"You need Python (.*?), and git", README)[1]
    assert {job["python"] for job in main} == set(re.findall(r"3\.\d+", promised))
