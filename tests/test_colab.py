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
WIDGET = "application/vnd.jupyter.widget-view+json"
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
    monkeypatch.delenv("VAE_OUTPUTS")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    folder = tmp_path / "Übung 1"  # a path with a space and an umlaut, too
    folder.mkdir()
    return folder


class Kernel(NotebookClient):
    """Runs the code cells of a notebook in a folder, as often as asked."""

    def __init__(self, sources, folder):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        super().__init__(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}})

    def run_all(self, times=1):
        with self.setup_kernel():
            for _ in range(times):
                for number, cell in enumerate(self.nb.cells):
                    self.execute_cell(cell, number)
        return [output for cell in self.nb.cells for output in cell.outputs]


def test_the_repository_is_fetched_once(content, monkeypatch):
    """A second click on the first cell, or a restart of the runtime, would fail or fetch everything again."""
    for _ in range(2):  # a new kernel each time: the runtime is restarted
        assert Kernel([SETUP, HERE], content).run_all(times=2) == []
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nowhere")
        monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")  # from now on fetching would fail


def test_a_repository_that_is_there_is_used(content, served, monkeypatch):
    """Who has fetched it by hand, and changed it, would lose the changes or be told that the folder exists."""
    subprocess.run(["git", "clone", "--quiet", served, content / REPOSITORY], check=True)
    with (content / REPOSITORY / "utils.py").open("a", encoding="utf-8") as file:
        file.write("\nmine = True\n")
    assert Kernel([SETUP, HERE, "assert utils.mine"], content).run_all() == []


def test_without_a_network_git_says_so(content, monkeypatch):
    """The only message would be that there is no module utils."""
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nowhere")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    kernel = Kernel([SETUP], content)
    with pytest.raises(CellExecutionError):
        kernel.run_all()
    assert "fatal: transport 'https' not allowed" in "".join(
        output.get("text", "") for output in kernel.nb.cells[0].outputs
    )


def test_runs_to_its_end(content, colab_notebook, colab_times):
    """A reader who opens this notebook from its badge would get stuck, see no figures, or run out of memory."""
    shutil.copy(colab_notebook, content)
    kernel = Kernel([*(cell.source for cell in cells(colab_notebook, "code")), PEAK], content)
    outputs = kernel.run_all(colab_times)
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert {path.stem for path in (content / REPOSITORY / "outputs").glob("images/*.png")} == figures(colab_notebook)
    shown = [output.get("data", {}) for output in outputs]
    stored = [output.get("data", {}) for cell in cells(colab_notebook, "code") for output in cell.outputs]
    assert sum("image/png" in data for data in shown) == sum("image/png" in data for data in stored)
    sources = "".join(cell.source for cell in cells(colab_notebook, "code"))
    assert any(WIDGET in data for data in shown) == ("interact(" in sources)
    assert any('srcdoc="&lt;!DOCTYPE' in data.get("text/html", "") for data in shown) == ("explorer.html" in sources)
    memory = "".join(output.text for output in kernel.nb.cells[-1].outputs)  # a line may come in two parts
    peak = int(memory) / (1e9 if sys.platform == "darwin" else 1e6)  # bytes there, kilobytes elsewhere
    print(f"{colab_notebook.stem}: at most {peak:.1f} GB")
    assert peak < 3
    unchanged = subprocess.run(
        ["git", "status", "--porcelain"], cwd=content / REPOSITORY, capture_output=True, check=True
    )
    assert unchanged.stdout == b""
