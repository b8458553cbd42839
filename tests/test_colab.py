"""A notebook opened in Colab: one file in an empty folder, which fetches the rest and runs to its end.

Only the first notebook runs whole by default, to save time; `pytest --colab 2 tests/test_colab.py` runs all of them,
each twice in one kernel.
"""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from test_notebooks import NOTEBOOKS, ROOT, cells, figures, git

SETUP = cells(NOTEBOOKS[0], "code")[0].source
(ADDRESS,) = re.findall(r"https://\S+", SETUP)
REPOSITORY = ADDRESS.rsplit("/", 1)[1]
COLAB = 'import sys, types\nsys.modules["google.colab"] = types.ModuleType("google.colab")\n'
HERE = "from pathlib import Path\nassert Path(utils.__file__).parent == Path.cwd() / 'Variational-Autoencoder'"
PEAK = "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"

NO_CHECKOUT = not (ROOT / ".git").exists() or not shutil.which("git") or sys.platform == "win32"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NO_CHECKOUT, reason="needs a git checkout")]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The working tree as it is now, committed, so that it can be cloned."""
    folder = tmp_path_factory.mktemp("served")
    for name in filter(None, git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "as it is"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def content(served, tmp_path, monkeypatch):
    """An empty folder that plays /content, in a world where git finds the repository's address in `served`."""
    shutil.copytree(os.environ["IPYTHONDIR"], tmp_path / "ipython")
    (tmp_path / "ipython" / "profile_default" / "startup" / "colab.py").write_text(COLAB, encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{served.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", ADDRESS)
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    monkeypatch.delenv("VAE_OUTPUTS")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    folder = tmp_path / "Übung 1"  # a path with a space and an umlaut, too
    folder.mkdir()
    return folder


def run_all(sources, folder, times=1):
    """Run code cells in a folder, in one kernel and as often as asked, and return the outputs of each."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}})
    with client.setup_kernel():
        for _ in range(times):
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
    return [cell.outputs for cell in notebook.cells]


def test_the_repository_is_fetched_once(content, monkeypatch):
    """A second click on the first cell, or a restart of the runtime, would fail, or undo what a reader has changed."""
    assert run_all([SETUP, HERE], content, times=2) == [[], []]
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nowhere")  # from now on fetching would fail
    with (content / REPOSITORY / "utils.py").open("a", encoding="utf-8") as file:
        file.write("\nmine = True\n")
    assert run_all([SETUP, HERE, "assert utils.mine"], content) == [[], [], []]


def test_without_a_network_git_says_so(content, monkeypatch):
    """The only message would be that there is no module utils."""
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nowhere")
    with pytest.raises(CellExecutionError, match="fatal: transport 'https' not allowed"):
        run_all([SETUP], content)


def test_runs_to_its_end(content, colab_notebook, colab_times):
    """A reader who opens this notebook from its badge would get stuck, see no figures, or run out of memory."""
    shutil.copy(colab_notebook, content)
    code = cells(colab_notebook, "code")
    *each, memory = run_all([*(cell.source for cell in code), PEAK], content, colab_times)
    outputs = sum(each, [])
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert {path.stem for path in (content / REPOSITORY / "outputs").glob("images/*.png")} == figures(colab_notebook)
    shown = [output.get("data", {}) for output in outputs]
    stored = [output.get("data", {}) for cell in code for output in cell.outputs]
    assert sum("image/png" in data for data in shown) == sum("image/png" in data for data in stored)
    sources = "".join(cell.source for cell in code)
    assert any("application/vnd.jupyter.widget-view+json" in data for data in shown) == ("interact(" in sources)
    assert any('srcdoc="&lt;!DOCTYPE' in data.get("text/html", "") for data in shown) == ("explorer.html" in sources)
    limit = 3e9 if sys.platform == "darwin" else 3e6  # bytes there, kilobytes elsewhere
    assert int("".join(output.text for output in memory)) < limit  # a line may come in two parts
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=content / REPOSITORY) == b""
