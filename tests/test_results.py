"""The shipped weights reach the numbers that the README prints, and the targets that the project has set itself."""

import csv
import functools
import re

import keras
import numpy as np
import pytest
from measure_variants import CHANGES, SEEDS, TABLE

import utils

TARGETS = {
    "digits": {"-ELBO": 94.2, "NLL": 90.4},
    "digits_2d": {"-ELBO": 143.0},
    "benchmark": {"-ELBO": 89.5, "NLL": 85.7},
    "benchmark_iwae": {"-ELBO": 91.0, "NLL": 85.3},
}


@functools.cache
def printed():
    """The numbers of the table under "## Evaluation": {model: {"-ELBO": ..., "NLL": ...}}, without the dashes."""
    section = re.search(r"^## Evaluation$(.*?)(?=^## |\Z)", (utils.ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in section[1].splitlines() if "|" in line]
    return {
        row[0].split("`")[1]: {
            column: float(cell)
            for column, cell in zip(("passes", "-ELBO", "NLL"), row[1:], strict=True)
            if column != "passes" and re.fullmatch(r"[\d.]+", cell)
        }
        for row in rows
        if row[0].startswith("`")
    }


@pytest.fixture(scope="module")
def x():
    return utils.binarize(utils.load_mnist()[1][0] / 255, 0)


def shipped(name):
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(utils.LATENT_DIM[name])
    utils.VAE(vae.encoder, vae.decoder).load_weights(utils.ASSETS / "models" / f"{name}.weights.h5")
    return vae


def test_the_readme_has_a_row_for_every_model():
    """The tests below would find nothing to check."""
    assert {name: set(numbers) for name, numbers in printed().items()} == {
        name: set(targets) for name, targets in TARGETS.items()
    }
    assert set(TARGETS) == set(utils.LATENT_DIM)


@pytest.mark.parametrize("name", TARGETS)
def test_the_elbo_is_the_one_that_is_printed(name, x):
    """Whoever loads the shipped weights would not get the README's number."""
    vae = shipped(name)
    # One draw of z per image leaves a standard error of about 0.04 nats; four draws halve it.
    loss = np.mean([vae.evaluate(x, batch_size=1000, verbose=0, return_dict=True)["loss"] for _ in range(4)])
    assert loss <= TARGETS[name]["-ELBO"]
    assert loss == pytest.approx(printed()[name]["-ELBO"], abs=0.1)


@pytest.mark.parametrize("name", [name for name, targets in TARGETS.items() if "NLL" in targets])
def test_the_likelihood_is_the_one_that_is_printed(name, x):
    """The model's row would not belong in the table of published likelihoods."""
    nll = -utils.log_likelihood(shipped(name), x, 500).mean()
    assert nll <= TARGETS[name]["NLL"]
    assert nll == pytest.approx(printed()[name]["NLL"], abs=0.1)


def test_the_table_of_variants_is_what_its_command_measures():
    """Notebook 05 would show rows that nobody can make again, or miss some that the command makes."""
    with TABLE.open(encoding="utf-8") as file:
        rows = [(row["table"], row["variant"], row["seed"]) for row in csv.DictReader(file)]
    expected = [("changes", name, "0") for name in CHANGES] + [("seeds", "digits", str(seed)) for seed in SEEDS]
    expected.append(("control", "benchmark, 35 more passes on the ELBO", "0"))
    assert sorted(rows) == sorted(expected)
