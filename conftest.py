"""Every run of pytest: its notebooks and tests write to a temporary folder, and leave the checkout as they found it."""

import os
import tempfile

import matplotlib

OUTPUTS = tempfile.TemporaryDirectory(prefix="vae-", ignore_cleanup_errors=True)
# Before utils is imported, which looks once; the notebooks' kernels inherit it, so 04 judges what 03 has just trained.
os.environ["VAE_OUTPUTS"] = OUTPUTS.name
# The tests open no windows. Not through MPLBACKEND: the kernels would inherit it, and show no figures.
matplotlib.use("Agg")


def pytest_collection_modifyitems(items):
    """Ask after the last notebook, and not before the first, whether the checkout is as it was."""
    items.sort(key=lambda item: item.name == "test_run_leaves_the_checkout_as_it_was")


def pytest_unconfigure():
    OUTPUTS.cleanup()
