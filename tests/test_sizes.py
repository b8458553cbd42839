"""A model of another size than the shipped one, in the notebooks that load it."""

import ast
import sys
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from backends import forgotten  # noqa: F401  a fixture
from take_out import position
from test_notebooks import NOTEBOOKS, ROOT

import utils

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forgotten")]
LOADING = [path for path in NOTEBOOKS if path.name[:2] in ("04", "05", "07")]  # 02 comes before 03


class WithoutAssertions(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)


@pytest.fixture
def small_world(tmp_path, monkeypatch):
    """Another `digits`, hardly trained, in place of the shipped one; fewer images, and likelihoods from two samples."""
    (x_train, y_train), (x_test, y_test) = utils.load_mnist()
    few = (x_train[:10_000], y_train[:10_000]), (x_test, y_test)
    likelihood = utils.log_likelihood
    monkeypatch.setattr(utils, "OUTPUTS", tmp_path)
    monkeypatch.setattr(utils, "load_mnist", lambda: few)
    monkeypatch.setattr(utils, "log_likelihood", lambda vae, x, num_samples=500, **options: likelihood(vae, x, 2))
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(16, few[0][0].mean(axis=0) / 255, hidden_units=30)
    vae.fit(utils.binarize(few[0][0] / 255, 0), verbose=0)
    utils.save_vae(vae, "digits")
    yield
    plt.close("all")


@pytest.mark.parametrize("path", LOADING, ids=lambda path: path.stem)
def test_notebooks_run_with_a_model_of_another_size(path, small_world):
    """A reader who changes latent_dim or a layer in 03 would meet shape errors in the notebooks that follow."""
    names = {"__name__": "__main__", "sys": sys, "Path": Path, "repository": ROOT, "utils": utils}
    every = nbformat.read(path, as_version=4).cells
    _, *sources = (cell.source for cell in every[: position(every, "Exercises")] if cell.cell_type == "code")
    for source in sources:  # without the setup
        tree = ast.fix_missing_locations(WithoutAssertions().visit(ast.parse(source)))
        exec(compile(tree, path.name, "exec"), names)
    assert np.shape(names.get("trained", names.get("vae")).encoder(np.zeros((1, 28, 28)))[0]) == (1, 16)
