"""What is written and read back: weights, models and figures; and what utils says, or keeps to itself, on import."""

import os
import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

import utils

ROOT = utils.ASSETS.parent
X = utils.binarize(np.random.default_rng(0).random((5, 28, 28)), 0)
Z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(utils, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(utils, "ASSETS", tmp_path / "assets")
    return utils.OUTPUTS / "models" / "digits_2d.weights.h5", utils.ASSETS / "models" / "digits_2d.weights.h5"


@pytest.fixture(scope="module")
def two_vaes():
    return small(), small()


def small():
    """Build the model that is stored as digits_2d."""
    return utils.build_vae(2, hidden_units=256)


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
    vae = small()
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
    assert capsys.readouterr().out == "digits_2d: weights from assets/models/digits_2d.weights.h5\n"
    utils.save_vae(two_vaes[0], "digits_2d")
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(two_vaes[0]))
    assert capsys.readouterr().out == "digits_2d: weights from outputs/models/digits_2d.weights.h5\n"
    assert_same_outputs(utils.load_vae("digits_2d", utils.ASSETS), outputs(two_vaes[1]))


@pytest.mark.slow
def test_weights_that_keras_saved_are_loaded(shipped):
    """A reader who saves with Keras's own method would be told that the file is damaged, or get the shipped weights."""
    vae = small()
    vae.fit(X, verbose=0)
    utils.OUTPUTS.joinpath("models").mkdir(exist_ok=True)
    vae.save_weights(utils.OUTPUTS / "models" / "digits_2d.weights.h5")
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(vae))


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_architecture(path):
    utils.save_vae(utils.build_vae(2, hidden_units=8), "digits_2d")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("damage", [half, other_architecture])
def test_weights_that_do_not_fit_are_named_with_what_to_do(shipped, two_vaes, damage):
    """After a crash in notebook 03, or a change to the layers, a reader could not tell why 04 stops and what to do."""
    own = utils.save_vae(two_vaes[0], "digits_2d")
    damage(own)
    with pytest.raises(ValueError, match="does not fit digits_2d.*delete yours") as error:
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


def test_a_folder_that_cannot_be_written_says_what_to_do(folders, figure, two_vaes):
    """On a read-only disk a reader would see a bare error from inside a library after ten minutes of training."""
    utils.OUTPUTS.write_text("a file where a folder should be")
    for write in (lambda: utils.save_figure(figure, "a"), lambda: utils.save_vae(two_vaes[0], "digits")):
        with pytest.raises(OSError, match="cannot write .*set VAE_OUTPUTS .*restart the kernel"):
            write()


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


def test_an_error_of_tensorflow_can_be_seen(tmp_path):
    """In CI a TensorFlow that does not start would leave only "Aborted"."""
    broken = 'import os\nos.write(2, b"no such instruction\\n")\nos.abort()\n'
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(broken)
    done = run("import utils", tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}", KERAS_BACKEND="tensorflow")
    assert done.returncode != 0
    assert "no such instruction" in done.stderr
