"""Every run of pytest: its notebooks and tests write to a temporary folder, and leave the checkout as they found it."""

import os
import tempfile
import types

import matplotlib
import pytest

OUTPUTS = tempfile.TemporaryDirectory(prefix="vae-", ignore_cleanup_errors=True)
# Before utils is imported, which looks once; the notebooks' kernels inherit it, so 04 judges what 03 has just trained.
os.environ["VAE_OUTPUTS"] = OUTPUTS.name
# The tests open no windows. Not through MPLBACKEND: the kernels would inherit it, and show no figures.
matplotlib.use("Agg")


def pytest_addoption(parser):
    parser.addoption("--colab", type=int, metavar="TIMES", help="run all notebooks as in Colab, and each so many times")


def pytest_generate_tests(metafunc):
    if "colab_notebook" in metafunc.fixturenames:
        notebooks = sorted(metafunc.config.rootpath.glob("notebooks/*.ipynb"))
        times = metafunc.config.getoption("colab")
        chosen = [(notebook, times or 2) for notebook in (notebooks if times else notebooks[:1])]
        metafunc.parametrize(("colab_notebook", "colab_times"), chosen, ids=[path.stem for path, _ in chosen])


def pytest_collection_modifyitems(items):
    """Ask after the last notebook, and not before the first, whether the checkout is as it was."""
    items.sort(key=lambda item: item.name == "test_run_leaves_the_checkout_as_it_was")


@pytest.fixture
def progress(monkeypatch):
    """The texts, one after the other, of a progress line in a notebook."""
    import utils

    texts = []

    class Line:
        def update(self, data, raw):
            texts.append(data["text/plain"])

    monkeypatch.setattr(utils, "get_ipython", lambda: types.SimpleNamespace(kernel=None))
    monkeypatch.setattr(utils, "display", lambda *args, **kwargs: Line())
    monkeypatch.setattr(utils._ProgressLine, "patience", -1)
    return texts


def pytest_unconfigure():
    OUTPUTS.cleanup()
