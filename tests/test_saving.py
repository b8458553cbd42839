"""What is written and read back: weights, models and figures; and what utils says, or keeps to itself, on import."""

import os
import subprocess
import sys
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jupyter_client import KernelManager
from keras import layers

import utils

ROOT = utils.ASSETS.parent
X = utils.binarize(np.random.default_rng(0).random((5, 28, 28)), 0)
Z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(utils, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(utils, "ASSETS", tmp_path / "assets")
    return utils.OUTPUTS / "models" / "digits_2d.keras", utils.ASSETS / "models" / "digits_2d.keras"


@pytest.fixture(scope="module")
def two_vaes():
    return small(), small()


def small():
    return utils.build_vae(2, hidden_units=32)


def outputs(vae):
    return [keras.ops.convert_to_numpy(part) for part in (*vae.encoder(X), vae.decoder(Z))]


def assert_same_outputs(vae, expected):
    for output, wanted in zip(outputs(vae), expected, strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-5, atol=1e-6)


def run(code, folder, **environment):
    """Run Python code in a folder, as a script would be, and return what it did."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)


READ_BACK = """
import keras, numpy as np
import utils

for name, vae in {"load_vae": utils.load_vae("digits_2d"), "keras": keras.models.load_model("trained.keras")}.items():
    outputs = (*vae.encoder(np.load("x.npy")), vae.decoder(np.load("z.npy")))
    np.savez(name, *map(keras.ops.convert_to_numpy, outputs))
"""


@pytest.mark.slow
def test_another_process_gets_the_same_outputs(folders, two_vaes, tmp_path):
    """The model that a reader trained and saved would be another one tomorrow."""
    two_vaes[0].save(tmp_path / "trained.keras")
    utils.save_vae(two_vaes[0], "digits_2d")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "z.npy", Z)
    done = run(READ_BACK, tmp_path, VAE_OUTPUTS="~/outputs", HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for name in ("load_vae", "keras"):
        for loaded, wanted in zip(np.load(tmp_path / f"{name}.npz").values(), outputs(two_vaes[0]), strict=True):
            np.testing.assert_allclose(loaded, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_optimizer_is_left_out(folders):
    """The shipped files would be three times as large, and warn when they are loaded."""
    vae = utils.build_vae(2)
    vae.fit(X, verbose=0)
    path = utils.save_vae(vae, "digits_2d")
    assert path == folders[0]
    assert path.stat().st_size < 1.1 * 4 * vae.count_params()


@pytest.fixture
def shipped(folders, two_vaes):
    """The second model's weights, at the place of the shipped ones."""
    path = utils.save_vae(two_vaes[1], "digits_2d")
    folders[1].parent.mkdir(parents=True)
    return path.rename(folders[1])


@pytest.mark.filterwarnings("error::UserWarning")
def test_own_weights_come_before_shipped_ones(shipped, two_vaes, capsys):
    """Notebook 04 would judge the shipped model and not the one that the reader has just trained, or not say which."""
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(two_vaes[1]))
    assert capsys.readouterr().out == "digits_2d: weights from assets/models/digits_2d.keras\n"
    utils.save_vae(two_vaes[0], "digits_2d")
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(two_vaes[0]))
    assert capsys.readouterr().out == "digits_2d: weights from outputs/models/digits_2d.keras\n"
    assert_same_outputs(utils.load_vae("digits_2d", utils.ASSETS), outputs(two_vaes[1]))


def convolutional():
    pixels, z = keras.Input((28, 28)), keras.Input((5,))
    h = layers.Conv2D(4, 3, strides=4, activation="relu")(layers.Reshape((28, 28, 1))(pixels))
    h = layers.BatchNormalization()(layers.Flatten()(h))
    encoder = keras.Model(pixels, [layers.Dense(5)(h), layers.Dense(5)(h)])
    return utils.VAE(encoder, keras.Model(z, layers.Reshape((28, 28))(layers.Dense(784)(z))))


def with_a_flow():
    plain = utils.build_vae(5, hidden_units=8)
    return utils.FlowVAE(plain.encoder, plain.decoder, utils.Flow(5, couplings=3, width=16))


class TwoRates(utils.VAE):
    def __init__(self, encoder, decoder, low, high=2.0):
        super().__init__(encoder, decoder)
        self.low, self.high = low, high


def of_a_class_of_ones_own():
    plain = utils.build_vae(5, hidden_units=8)
    return TwoRates(plain.encoder, plain.decoder, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("build", [convolutional, with_a_flow, of_a_class_of_ones_own])
def test_what_is_saved_can_be_loaded_whatever_it_is(folders, build):
    """A model of another size, with other layers or another name would be lost after minutes of training."""
    vae, z = build(), np.random.default_rng(1).normal(size=(3, 5)).astype("float32")
    vae.compile("adam")
    vae.fit(X, verbose=0)
    utils.save_vae(vae, "letters")
    loaded = utils.load_vae("letters")
    assert type(loaded) is type(vae)
    assert getattr(loaded, "low", 0.5) == 0.5
    np.testing.assert_allclose(loaded.probabilities(z), vae.probabilities(z), rtol=1e-5)
    np.testing.assert_allclose(loaded.log_prior(z), vae.log_prior(z), rtol=1e-5)
    np.testing.assert_allclose(loaded.encoder(X)[0], vae.encoder(X)[0], rtol=1e-5, atol=1e-6)
    assert vae.optimizer.iterations == 1  # it can be trained on
    vae.fit(X, verbose=0)
    loaded.fit(X, verbose=0)


def test_a_model_that_cannot_be_saved_can_still_be_trained(folders, two_vaes):
    """A full disk would cost the optimizer, too, and the training could not go on."""
    (utils.OUTPUTS / "models" / "full.keras").mkdir(parents=True)
    optimizer = two_vaes[0].optimizer
    with pytest.raises(OSError, match="full.keras"):
        utils.save_vae(two_vaes[0], "full")
    assert two_vaes[0].optimizer is optimizer


def test_loading_leaves_the_random_numbers_alone():
    """A seed would give other weights after a model has been loaded than before it."""
    first = []
    for load in (False, True):
        keras.utils.set_random_seed(0)
        if load:
            utils.load_vae("digits_2d")
        first.append(utils.build_vae(2, hidden_units=8).get_weights()[1])
    np.testing.assert_array_equal(*first)


def test_a_file_that_cannot_be_loaded_is_named_with_what_to_do(shipped, two_vaes):
    """After a crash in notebook 03 a reader could not tell why 04 stops and what to do."""
    own = utils.save_vae(two_vaes[0], "digits_2d")
    own.write_bytes(own.read_bytes()[: own.stat().st_size // 2])
    with pytest.raises(ValueError, match="cannot be loaded: define its class first, or delete it") as error:
        utils.load_vae("digits_2d")
    assert str(own) in str(error.value)


def test_an_unknown_name_is_answered_with_the_known_ones():
    """A typing error would be answered with a file that is missing."""
    with pytest.raises(ValueError, match="'digit'.*digits, digits_2d"):
        utils.load_vae("digit")


@pytest.fixture
def figure():
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.plot([0, 1])
    yield figure
    plt.close(figure)


def test_a_figure_is_written_as_a_png(folders, figure):
    """The README would have no figures to show."""
    path = utils.save_figure(figure, "curve")
    assert path == utils.OUTPUTS / "images" / "curve.png"
    assert plt.imread(path).std() > 0  # a PNG, and not an empty one


def test_classes_that_are_missing_are_left_out(recwarn):
    """A map of some of the classes would print a warning for each of the others."""
    figure, axes = plt.subplots()
    utils.show_map(axes, np.random.default_rng(0).normal(size=(20, 2)), np.array([3, 7] * 10))
    assert [text.get_text() for text in axes.texts] == ["3", "7"]
    assert not recwarn
    plt.close(figure)


def test_a_stack_of_digits_is_no_grid():
    """The first thing that one tries, a few images, would end in words about broadcasting."""
    with pytest.raises(ValueError, match=r"\(rows, columns, 28, 28\), not \(10, 28, 28\); x\[None\] makes one row"):
        utils.show_digits(list(np.zeros((10, 28, 28))))


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_every_digit_is_shown_in_its_place(kind):
    """Captions and labels would name other digits than the ones they stand beside."""
    x = np.random.default_rng(0).random((2, 3, 28, 28))
    figure = utils.show_digits(kind(x), ["first", "second"], ["a", "b", "c"])
    (axes,) = figure.axes
    (image,) = axes.images
    grid = np.asarray(image.get_array())
    columns, rows = (
        {text.get_text(): int(place) for text, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)}
        for axis in (axes.xaxis, axes.yaxis)
    )
    for i, row in enumerate(["first", "second"]):
        for j, column in enumerate("abc"):
            # A label stands at the middle of its digit: 14 pixels from its first one.
            top, left = rows[row] - 13, columns[column] - 13
            np.testing.assert_array_equal(grid[top : top + 28, left : left + 28], x[i, j])
    paper, ink = image.to_rgba(np.array([0.0, 1.0]))[:, :3]
    assert list(paper) == [1, 1, 1]
    assert list(ink) == [0, 0, 0]
    plt.close(figure)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no kernel on Windows gathers what a library prints")
@pytest.mark.parametrize("kernel", [False, True], ids=["script", "kernel"])
def test_an_error_of_tensorflow_can_be_seen(tmp_path, kernel):
    """A TensorFlow that does not start on this processor would leave only "Aborted", or a kernel that has died."""
    broken = 'import os\nos.write(2, b"no such instruction\\n")\nos.abort()\n'
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(broken)
    settings = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "KERAS_BACKEND": "tensorflow"}
    if not kernel:
        done = run("import utils", tmp_path, **settings)
        assert done.returncode != 0
        assert "no such instruction" in done.stderr
        return
    manager = KernelManager()
    with open(tmp_path / "terminal", "w") as terminal:
        manager.start_kernel(env=os.environ | settings, stderr=terminal)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute("import utils")
        for _ in range(600):
            if not manager.is_alive():
                break
            time.sleep(0.1)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "no such instruction" in (tmp_path / "terminal").read_text()
