"""Every run of pytest: its notebooks and tests write to a temporary folder, and reach no network.

So they leave the checkout as they found it, and prove that nothing is downloaded.
"""

import os
import tempfile
from pathlib import Path

import matplotlib
import pytest

OUTPUTS = tempfile.TemporaryDirectory(prefix="vae-", ignore_cleanup_errors=True)
# Before utils is imported, which looks once; the notebooks' kernels inherit it, so 04 judges what 03 has just trained.
os.environ["VAE_OUTPUTS"] = OUTPUTS.name
OFFLINE = """
import socket
import sys


def offline(event, arguments, here=frozenset({None, "", "localhost", "127.0.0.1", "::1", socket.gethostname()})):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in here:
        raise ConnectionError(f"the tests run without a network, but something asked for {host}")


sys.addaudithook(offline)
"""
exec(OFFLINE)
# The notebooks' kernels run every file of this folder first, and other programs respect the proxies.
STARTUP = Path(OUTPUTS.name, "ipython", "profile_default", "startup")
STARTUP.mkdir(parents=True)
(STARTUP / "offline.py").write_text(OFFLINE, encoding="utf-8")
os.environ["IPYTHONDIR"] = str(STARTUP.parent.parent)
os.environ |= dict.fromkeys(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9")
# The tests open no windows. Not through MPLBACKEND: the kernels would inherit it, and show no figures.
matplotlib.use("Agg")


def pytest_addoption(parser):
    parser.addoption("--colab", type=int, metavar="TIMES", help="run all notebooks as in Colab, and each so many times")


def pytest_configure(config):
    """With several processes of xdist, give each a whole file, in order: the cells of a notebook need each other."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist, config.option.loadscopereorder = "loadfile", False


def pytest_generate_tests(metafunc):
    if "colab_notebook" in metafunc.fixturenames:
        notebooks = sorted(metafunc.config.rootpath.glob("notebooks/*.ipynb"))
        times = metafunc.config.getoption("colab")
        chosen = [(notebook, times or 1) for notebook in (notebooks if times else notebooks[:1])]
        metafunc.parametrize(("colab_notebook", "colab_times"), chosen, ids=[path.stem for path, _ in chosen])


def pytest_itemcollected(item):
    if item.path.suffix == ".ipynb":
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Run each notebook in its order, whatever has shuffled the tests, and ask last whether the checkout changed."""

    def place(item):
        if item.path.suffix == ".ipynb":
            return 1, str(item.path), item.cell_num
        return 2 * (item.name == "test_run_leaves_the_checkout_as_it_was"), "", 0

    items.sort(key=place)


def pytest_unconfigure():
    OUTPUTS.cleanup()
