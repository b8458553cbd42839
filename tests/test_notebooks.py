"""What a reader sees in a notebook before a cell is run, and what holds for the series as a whole."""

import ast
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
PAGES = (
    [path for folder in (".", "docs", "assets") for path in sorted(ROOT.glob(f"{folder}/*.md"))] + NOTEBOOKS + SOLUTIONS
)

COLAB = re.compile(r"\[!\[[^\]]+\]\([^)]+\)\]\((https://colab\.research\.google\.com/github/[^)\s]+)\)")
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(tmp|home|root|work|Users)\b|\bC:\\")
NOISE = re.compile(r"Warning|cuda|oneDNN|absl::|\bat 0x[0-9a-fA-F]|Traceback|TF-TRT")
README_FIGURES = {
    "01_data_exploration": {"training_samples", "test_samples"},
    "04_evaluation": {"eval_samples_training", "eval_samples_test"},
}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_chapter = pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)  # the first is a single page
each_file = pytest.mark.parametrize("path", NOTEBOOKS + SOLUTIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")


@cache
def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind and cell.source.strip()]


def texts(cell):
    """Yield what the outputs of a cell say in words."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))


def markdown(path):
    """Return a page's, or a notebook's, markdown."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def opening(path):
    """Return a notebook's markdown above the first code."""
    before = itertools.takewhile(lambda cell: cell.cell_type == "markdown", nbformat.read(path, as_version=4).cells)
    return "\n\n".join(cell.source for cell in before)


def headings(text):
    """Return (level, title) of each heading: a # in a code block is none."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(len(marks), title.strip()) for marks, title in re.findall(r"^(#+) (.*)$", text, re.MULTILINE)]


def links(text):
    """Return the targets of all links and images outside code and formulas."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r'\]\(([^)\s]+)|(?:src|href)="([^"]+)"|^\[[^\]]+\]: (\S+)', text, re.MULTILINE)
    return [next(filter(None, groups)) for groups in found]


def anchors(path):
    """Return what may stand behind the # of a link to a page, as GitHub and Jupyter make it from the headings."""
    titles = [title for _, title in headings(markdown(path))]
    if path.suffix == ".md":
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    return {title.replace(" ", "-") for title in titles}


def parsed(path):
    """Return the code of a notebook as syntax trees, one for each cell; the setup cell may clone the repository."""
    sources = [cell.source for cell in cells(path, "code")]
    sources[:1] = [re.sub(r"^( *)!git clone .*", r"\1pass", source, flags=re.MULTILINE) for source in sources[:1]]
    return [ast.parse(source, path.name) for source in sources]


def definitions(trees):
    """Return (name, code without docstrings) of the functions and classes at the top level, as Python reads them."""
    found = []
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for part in ast.walk(node):
                    if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part) is not None:
                        part.body = part.body[1:] or [ast.Pass()]
                found.append((node.name, ast.unparse(node)))
    return found


def module(name):
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def figures(path):
    """Return the names under which a notebook saves its figures; a name has to stand in the call as it is."""
    calls = [node for tree in parsed(path) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [call for call in calls if ast.unparse(call.func).split(".")[-1] == "save_figure"]
    arguments = [[*call.args[1:], *(word.value for word in call.keywords if word.arg == "name")] for call in calls]
    return {name.value for names in arguments for name in names if isinstance(name, ast.Constant)}


def git(*arguments):
    """Return what a git command prints here, "" where this folder is no checkout."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return ""
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8").stdout


def test_series_is_complete():
    """A missing notebook would break the series, and with none found the tests below would have nothing to fail on."""
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


@each_file
def test_file_is_a_valid_notebook(path):
    """Jupyter would warn on opening it, show a gap, or the next one to save it would change every cell's id."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    ids = [cell.get("id") for cell in raw["cells"]]
    assert all(ids)
    assert len(ids) == len(set(ids))
    nbformat.validate(raw)
    assert all("".join(cell["source"]).strip() for cell in raw["cells"])


@each_file
def test_kernel_is_the_one_that_every_installation_has(path):
    """A reader would be asked to choose a kernel, for want of the author's."""
    kernel = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
    assert (kernel["name"], kernel["display_name"]) == ("python3", "Python 3")


@each_file
def test_was_run_from_top_to_bottom(path):
    """The stored outputs might come from other code, or another order, than the reader sees."""
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@each_file
def test_outputs_hold_nothing_to_ignore(path):
    """A reader would meet an error, a warning or a log line and wonder whether something is wrong."""
    for cell in cells(path, "code"):
        assert not [out for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"]
        assert not [text for text in texts(cell) if NOISE.search(text)]
        assert not [out for out in cell.outputs if any("widget" in kind for kind in out.get("data", {}))]


@each_file
def test_figures_have_an_alternative_text(path):
    """A reader who cannot see a figure would hear nothing of it, and nbconvert would warn."""
    for cell in cells(path, "code"):
        figures = [out for out in cell.outputs if any(kind.startswith("image/") for kind in out.get("data", {}))]
        assert len(figures) <= 1
        assert all("image/png" in out["data"] for out in figures)  # Jupyter hides an SVG that it does not trust
        assert not figures or len(cell.metadata.get("alt", "").split()) >= 8, cell.source


@each_file
def test_nothing_points_into_the_authors_machine(path):
    """A path of the author's machine means nothing on the reader's."""
    shown = [cell.source for kind in ("markdown", "code", "raw") for cell in cells(path, kind)]
    shown += [text for cell in cells(path, "code") for text in texts(cell)]
    assert not [text for text in shown if MACHINE_PATH.search(text)]


@each_file
def test_checked_cells_have_something_to_check(path):
    """An output that looks checked would not be: nbval passes a cell without a stored text, and unknown tags."""
    for cell in cells(path, "code"):
        tags = cell.metadata.get("tags", [])
        assert set(tags) <= {"nbval-check-output", "solution"}
        assert "nbval-check-output" not in tags or any(text.strip() for text in texts(cell)), cell.source
        assert not re.search(r"^\s*#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source, re.MULTILINE), "use a tag instead"


@each_file
def test_setup_is_the_same_everywhere(path):
    """A notebook opened alone, in Colab or elsewhere, would not find its helpers the way the others do."""
    assert cells(path, "code")[0].source == cells(NOTEBOOKS[0], "code")[0].source


def set_up(folder):
    """Run the setup cell in a folder, without importing utils, and return what it did."""
    setup = ast.unparse(parsed(NOTEBOOKS[0])[0]).replace("import utils", "print(repository)")
    return subprocess.run([sys.executable, "-c", setup], cwd=folder, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize("folder", ["", "notebooks", "notebooks/solutions"])
def test_setup_finds_the_helpers(folder):
    """VS Code may start a notebook in the repository's folder, Jupyter starts it in its own: utils must be found."""
    assert set_up(ROOT / folder).stdout.strip() == str(ROOT)


@pytest.mark.parametrize("utils", [False, True], ids=["alone", "beside another utils.py"])
def test_setup_says_what_is_missing_and_where_it_looked(tmp_path, utils):
    """Who opens a notebook without its repository would read that there is no module utils, or not which one it has."""
    if utils:
        (tmp_path / "utils.py").write_text("mine = True")
    result = set_up(tmp_path)
    assert result.returncode != 0
    assert "needs the rest of its repository" in result.stderr
    assert str(tmp_path) in result.stderr


@each_notebook
def test_opening_says_what_awaits_the_reader(path):
    """A reader could not tell from the top what the notebook is for, what it takes and how long."""
    title, first, *_ = (text for text in opening(path).split("\n\n") if not COLAB.search(text))
    assert title.startswith("# " if path == NOTEBOOKS[0] else f"# {path.name[:2]} ")
    assert [level for level, _ in headings(markdown(path))].count(1) == 1
    assert re.match(r"[A-Z]", first), "a sentence that says what is at stake comes before any list"
    assert "**What you need:**" in opening(path)
    assert path == NOTEBOOKS[0] or "**What you'll be able to do:**" in opening(path)
    words = sum(len(cell.source.split()) for kind in ("markdown", "code") for cell in cells(path, kind))
    assert abs(words / 200 - int(re.search(r"about (\d+)\s+minutes\s+to\s+read", opening(path))[1])) < 3


@each_notebook
def test_badge_opens_this_notebook(path):
    """The Colab badge would open another notebook, or none."""
    (address,) = COLAB.findall(opening(path))
    assert address.endswith(f"/Variational-Autoencoder/blob/main/notebooks/{path.name}")


@each_notebook
def test_neighbours_are_linked(path):
    """A reader would have to go back to the README to find the next notebook."""
    here = NOTEBOOKS.index(path)
    neighbours = {other.name for other in NOTEBOOKS[max(0, here - 1) : here + 2]} - {path.name}
    assert neighbours <= set(links(markdown(path)))


@each_chapter
def test_ends_with_summary_exercises_and_next(path):
    """The reader would be left without what to remember, what to try and where to go."""
    titles = [title.lower() for level, title in headings(markdown(path)) if level == 2][-3:]
    assert len(titles) == 3
    for title, word in zip(titles, ("summary", "exercises", "next"), strict=True):
        assert word in title
    assert nbformat.read(path, as_version=4).cells[-1].cell_type == "markdown"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(path):
    """A reader would click on a link, or look for an image, that is not there."""
    for link in links(markdown(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = unquote(link).partition("#")
        target = path.parent / target if target else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_file
def test_no_line_is_lost_on_the_site(path):
    """The site would leave out a line of prose that begins with %, as that is a comment there."""
    prose = re.sub(r"^```.*?^```$", "", markdown(path), flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"^\s*%", prose, re.MULTILINE)


def test_first_notebook_is_one_page():
    """A newcomer who wants to see a VAE would have to read a chapter, or lists, before the first picture."""
    page = nbformat.read(NOTEBOOKS[0], as_version=4).cells
    assert len(page) <= 12
    assert len(markdown(NOTEBOOKS[0]).split()) <= 500
    picture = next(
        n for n, cell in enumerate(page) if any("image/png" in out.get("data", {}) for out in cell.get("outputs", ()))
    )
    assert not [cell for cell in page[:picture] if re.search(r"^- |^\|", cell.source, re.MULTILINE)]


def test_series_gets_no_longer():
    """A reader with an afternoon would not reach the end: what is added replaces something."""
    assert sum(len(markdown(path).split()) for path in NOTEBOOKS) <= 17_500


@each_notebook
def test_cells_are_short(path):
    """A reader would lose the thread in long cells, or wait for a page of a megabyte."""
    lines = [[line.strip() for line in cell.source.splitlines()] for cell in cells(path, "code")]
    lengths = [sum(line != "" and not line.startswith("#") for line in cell) for cell in lines]
    assert path == NOTEBOOKS[0] or statistics.median(lengths) <= 6
    assert max(lengths) <= 45
    assert path.stat().st_size < 1_000_000


def methods(trees, name):
    """Return the methods of a class: notebook 02 shows it in parts, `class VAE(VAE)` after the first."""
    classes = [ast.parse(code).body[0] for found, code in definitions(trees) if found == name]
    return sorted(ast.unparse(part) for node in classes for part in node.body)


@each_chapter
def test_shown_definitions_are_the_ones_in_utils(path):
    """The reader would study other code than the later notebooks run."""
    helpers = dict(definitions([module("utils.py")]))
    for name, code in definitions(parsed(path)):
        assert name == "VAE" or code == helpers.get(name, code)


def test_model_is_shown_whole():
    """A method of the model would be one that no reader has seen, or another than the one that was shown."""
    assert methods(parsed(NOTEBOOKS[2]), "VAE") == methods([module("utils.py")], "VAE")


def test_imports_run_one_way():
    """A reader who copies utils.py would find that it needs the rest, and a change here would break what is there."""
    own = {path.stem for path in [*ROOT.glob("*.py"), *ROOT.glob("*/*.py")]} | {path.name for path in ROOT.iterdir()}
    for name, allowed in {"utils.py": set(), "exercises/checks.py": {"utils"}}.items():
        imports = [node for node in ast.walk(module(name)) if isinstance(node, ast.Import | ast.ImportFrom)]
        found = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module for node in imports if isinstance(node, ast.ImportFrom)}
        assert {part.split(".")[0] for part in found} & own <= allowed


def test_utils_is_short():
    """The one module that a reader has to know would not fit in a head."""
    lines = (ROOT / "utils.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400
    classes = [node for node in module("utils.py").body if isinstance(node, ast.ClassDef)]
    assert max(node.end_lineno - node.lineno for node in classes) < 72  # one screen


NOT_SHOWN = {"load_mnist", "check_images", "build_vae", "save_vae", "load_vae", "log_likelihood", "show_digits"}
NOT_SHOWN |= {"save_figure", "ASSETS", "OUTPUTS"}


def test_what_is_shared_was_shown():
    """The reader would meet a part of the model, of its training or of its measure only as an import."""
    public = {name for name, _ in definitions([module("utils.py")])}
    public |= {target.id for node in module("utils.py").body if isinstance(node, ast.Assign) for target in node.targets}
    shown = {name for path in NOTEBOOKS for name, _ in definitions(parsed(path))}
    assert {name for name in public - shown if not name.startswith("_")} == NOT_SHOWN
    assert len(NOT_SHOWN) <= 10


def test_figures_come_from_the_notebooks():
    """A figure of the README would be one that nobody can make again."""
    written = {path.stem: figures(path) for path in NOTEBOOKS}
    for notebook, names in README_FIGURES.items():
        assert names <= written[notebook]
    assert {path.stem for path in ROOT.glob("assets/images/*")} <= set().union(*written.values())


@pytest.mark.parametrize("command", [("check",), ("format", "--check", "--diff")], ids=lambda command: command[0])
def test_style(command):
    """The code would not look the same from file to file, or hold what ruff calls a mistake."""
    subprocess.run([sys.executable, "-m", "ruff", *command], cwd=ROOT, check=True)
