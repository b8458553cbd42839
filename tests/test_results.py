"""The shipped weights reach the numbers that the README prints, and the targets that the project has set itself."""

import csv
import functools
import io
import math
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops
from measure_variants import JOBS, TABLE
from test_notebooks import NOTEBOOKS, cells, texts

import utils

ROOT = utils.ASSETS.parent
pytestmark = pytest.mark.slow

TARGETS = {
    "digits": {"-ELBO": 94.2, "NLL": 90.4},
    "digits_2d": {"-ELBO": 143.0},
    "benchmark": {"-ELBO": 89.5, "NLL": 85.7},
    "benchmark_iwae": {"-ELBO": 91.0, "NLL": 85.3},
    "digits_flow": {"-ELBO": 90.4, "NLL": 87.2},
    "benchmark_flow": {"-ELBO": 85.5, "NLL": 82.9},
    "strongest": {"-ELBO": 82.5, "NLL": 80.5},
}


@functools.cache
def printed():
    """The numbers of the table under "## Evaluation": {model: {"-ELBO": ..., "NLL": ...}}, without the dashes."""
    section = re.search(r"^## Evaluation$(.*?)(?=^## |\Z)", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
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
    return utils.load_vae(name, utils.ASSETS)


def by_hand(name, x, z):
    """Return mean, log_var and logits from the file's arrays alone, in float64, with nothing of Keras."""
    with zipfile.ZipFile(utils.ASSETS / "models" / f"{name}.keras") as model:
        weights = io.BytesIO(model.read("model.weights.h5"))
    with h5py.File(weights) as file:
        values = {}
        file.visititems(lambda path, part: values.update({path: part[:]}) if isinstance(part, h5py.Dataset) else None)

    def layer(path):
        return values[f"{path}/vars/0"].astype("float64"), values[f"{path}/vars/1"]

    def dense(h, path):
        weight, bias = layer(path)
        return h @ weight + bias

    def gelu(h):
        return h * np.vectorize(math.erfc)(-h / math.sqrt(2)) / 2

    def silu(h):
        return h / (1 + np.exp(-h))

    def correlate(h, kernel, stride=1):  # (n, rows, columns, channels) without padding; kernel (k, k, channels, new)
        windows = np.lib.stride_tricks.sliding_window_view(h, kernel.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
        return np.tensordot(windows, kernel, axes=((4, 5, 3), (0, 1, 2)))

    def conv(h, path, stride=1):
        weight, bias = layer(path)
        return correlate(np.pad(h, [(0, 0), (1, 1), (1, 1), (0, 0)]), weight, stride) + bias

    def transposed(h, path):  # zeros between the pixels, then an ordinary convolution, which turns the kernel round
        weight, bias = layer(path)
        spread = np.zeros((len(h), 2 * h.shape[1], 2 * h.shape[2], h.shape[3]))
        spread[:, ::2, ::2] = h
        spread = np.pad(spread, [(0, 0), (2, 1), (2, 1), (0, 0)])
        return correlate(spread, weight[::-1, ::-1].transpose(0, 1, 3, 2)) + bias

    def residual(h, first, second):
        return silu(h + conv(silu(conv(silu(h), first)), second))

    h = x - values["encoder/layers/center/vars/0"]
    if "encoder/layers/conv2d/vars/0" not in values:
        h = gelu(dense(gelu(dense(h.reshape(-1, 784), "encoder/layers/dense")), "encoder/layers/dense_1"))
        mean, log_var = dense(h, "encoder/layers/dense_2"), dense(h, "encoder/layers/dense_3")
        h = gelu(dense(gelu(dense(z, "decoder/layers/dense")), "decoder/layers/dense_1"))
        return mean, log_var, dense(h, "decoder/layers/dense_2").reshape(-1, 28, 28)

    def convs(part, *numbers):
        return [f"{part}/layers/conv2d" + (f"_{number}" if number else "") for number in numbers]

    h = residual(conv(h[..., None], *convs("encoder", 0), stride=2), *convs("encoder", 1, 2))
    h = residual(conv(h, *convs("encoder", 3), stride=2), *convs("encoder", 4, 5))
    h = silu(dense(h.reshape(len(x), -1), "encoder/layers/dense"))
    mean, log_var = dense(h, "encoder/layers/dense_1"), dense(h, "encoder/layers/dense_2")
    h = dense(silu(dense(z, "decoder/layers/dense")), "decoder/layers/dense_1").reshape(len(z), 7, 7, -1)
    h = transposed(residual(h, *convs("decoder", 0, 1)), "decoder/layers/conv2d_transpose")
    h = transposed(residual(h, *convs("decoder", 2, 3)), "decoder/layers/conv2d_transpose_1")[..., 0]
    return mean, log_var, h - values["decoder/layers/center/vars/0"]


@pytest.mark.parametrize("name", TARGETS)
def test_shipped_weights_give_the_same_outputs_everywhere(name, x):
    """On another version, backend or processor they would be another model than that of the README's numbers."""
    vae = shipped(name)
    z = np.random.default_rng(0).standard_normal((100, vae.decoder.input_shape[-1]), dtype="float32")
    for output, wanted in zip((*vae.encoder(x[:100]), vae.decoder(z)), by_hand(name, x[:100], z), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(output), wanted, rtol=1e-4, atol=2e-4)


def test_the_readme_has_a_row_for_every_model():
    """The tests below would find nothing to check."""
    assert {name: set(numbers) for name, numbers in printed().items()} == {
        name: set(targets) for name, targets in TARGETS.items()
    }
    assert {*TARGETS, "classifier"} == {path.stem for path in utils.ASSETS.glob("models/*.keras")}


def test_the_classifier_recognises_digits():
    """On another version of Keras the shares of clear samples would be judged by something else."""
    x, y = utils.load_mnist()[1]
    right = shipped("classifier").predict(x / 255, batch_size=1000, verbose=0).argmax(axis=1) == y
    assert right.mean() > 0.97


@pytest.mark.parametrize("name", TARGETS)
def test_the_elbo_is_the_one_that_is_printed(name, x):
    """A reader who loads the shipped weights would not get the README's number."""
    loss = utils.evaluate(shipped(name), x)["loss"]
    assert loss <= TARGETS[name]["-ELBO"]
    assert loss == pytest.approx(printed()[name]["-ELBO"], abs=0.1)


@pytest.mark.parametrize("name", [name for name, targets in TARGETS.items() if "NLL" in targets])
def test_the_likelihood_is_the_one_that_the_notebooks_measure(name):
    """The table, of notebook 05 or of the README, would show another number than the run that it is said to be from."""
    notebooks = (path for path in NOTEBOOKS if path.name.startswith(("05", "07")))
    text = "\n".join(line for path in notebooks for cell in cells(path, "code") for line in texts(cell))
    found = re.findall(rf"^{name}\b.*NLL ([\d.]+)", text, re.M) + re.findall(rf"^ +([\d.]+) .* {name}\b", text, re.M)
    assert len(found) == 2
    assert {round(float(nll), 1) for nll in found} == {printed()[name]["NLL"]}
    assert printed()[name]["NLL"] <= TARGETS[name]["NLL"]


def test_the_table_of_variants_is_what_its_command_measures():
    """Notebook 05 would show rows that nobody can make again, or miss some that the command makes."""
    with TABLE.open(encoding="utf-8") as file:
        rows = [(row["table"], row["variant"], row["seed"]) for row in csv.DictReader(file)]
    expected = [(table, name, str(seed)) for table, name, seed, *_ in JOBS]
    assert sorted(rows) == sorted(expected)
