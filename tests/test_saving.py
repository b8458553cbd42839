"""What is written and read back: weights, models and figures."""

import os
import subprocess
import sys

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from backends import COMPILES
from damage import damaged

import utils

X = utils.binarize(np.random.default_rng(0).random((5, 28, 28)), 0)
Z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(utils, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(utils, "ASSETS", tmp_path / "assets")
    return utils.OUTPUTS / "models" / "digits_2d.weights.h5", utils.ASSETS / "models" / "digits_2d.weights.h5"


@pytest.fixture(scope="module")
def two_vaes():
    return utils.build_vae(2), utils.build_vae(2)


def outputs(vae):
    return [keras.ops.convert_to_numpy(part) for part in (*vae.encoder(X), vae.decoder(Z))]


def assert_same_outputs(vae, expected):
    for output, wanted in zip(outputs(vae), expected, strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-5, atol=1e-6)


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------------ other processes

READ_BACK = """
import sys
import keras, numpy as np
import utils

x, z, folder = np.load("x.npy"), np.load("z.npy"), sys.argv[1]
built = utils.build_vae(2, hidden=8)
built.load_weights("trained.weights.h5")
whole = keras.models.load_model("trained.keras")
for name, vae in {"load_weights": built, "keras": whole, "load_vae": utils.load_vae("digits_2d")}.items():
    kl = vae.evaluate(x, verbose=0, return_dict=True)["kl"]
    np.savez(name, *map(keras.ops.convert_to_numpy, (*vae.encoder(x), vae.decoder(z), kl)))
"""


def test_another_process_gets_the_same_outputs(folders, two_vaes, tmp_path):
    """The model that a reader trained and saved would be another one tomorrow."""
    trained = utils.build_vae(2, X.mean(0), hidden=8)
    trained.fit(X, epochs=2, verbose=0)
    trained.save_weights(tmp_path / "trained.weights.h5")
    trained.save(tmp_path / "trained.keras")
    utils.save_vae(two_vaes[0], "digits_2d")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "z.npy", Z)
    environment = os.environ | {"VAE_OUTPUTS": str(utils.OUTPUTS), "PYTHONPATH": str(utils.ROOT)}
    command = [sys.executable, "-c", READ_BACK, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, vae in {"load_weights": trained, "keras": trained, "load_vae": two_vaes[0]}.items():
        kl = vae.evaluate(X, verbose=0, return_dict=True)["kl"]
        loaded = np.load(tmp_path / f"{name}.npz")
        for key, wanted in zip(loaded, [*outputs(vae), kl], strict=True):
            np.testing.assert_allclose(loaded[key], wanted, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------------------------ save_vae


def test_the_optimizer_is_left_out(folders, tmp_path):
    """The shipped files would be three times as large, and warn when they are loaded."""
    vae = utils.build_vae(2, hidden=8)
    vae.fit(X, verbose=0)
    vae.save_weights(tmp_path / "all.weights.h5")
    path = utils.save_vae(vae, "digits_2d")
    assert path == folders[0]
    with h5py.File(tmp_path / "all.weights.h5") as everything, h5py.File(path) as weights:
        assert len(everything["optimizer/vars"]) > 2  # or else the next line would say nothing
        assert "optimizer" not in weights or not len(weights["optimizer/vars"])


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_interrupted_save_keeps_the_earlier_file(folders, two_vaes, monkeypatch, interruption):
    """A reader who stops the kernel at the wrong moment would lose the weights of the run before."""
    path = utils.save_vae(two_vaes[0], "digits_2d")
    before = path.read_bytes()

    def write_half(self, path, **kwargs):
        path.write_bytes(b"half")
        raise interruption("stopped")

    monkeypatch.setattr(utils.VAE, "save_weights", write_half)
    with pytest.raises(interruption, match="stopped"):
        utils.save_vae(two_vaes[1], "digits_2d")
    assert path.read_bytes() == before
    assert files_below(utils.OUTPUTS) == [path]


FULL_DISK = """
import resource
import sys
import utils

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # no file may become larger
try:
    utils.save_vae(utils.build_vae(2), "digits_2d")
except OSError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_keeps_the_earlier_file(folders, two_vaes):
    """A reader whose disk is full would lose the weights of the run before, or see HDF5's own words."""
    path = utils.save_vae(two_vaes[0], "digits_2d")
    before = path.read_bytes()
    environment = os.environ | {"VAE_OUTPUTS": str(utils.OUTPUTS), "PYTHONPATH": str(utils.ROOT)}
    done = subprocess.run([sys.executable, "-c", FULL_DISK], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Cannot write" in done.stderr
    assert "Set VAE_OUTPUTS to a folder with room" in done.stderr
    assert path.read_bytes() == before
    assert files_below(utils.OUTPUTS) == [path]


SAVE_AGAIN_AND_AGAIN = """
import keras
import utils

keras.utils.set_random_seed(0)
vae = utils.build_vae(2)
for _ in range(30):
    utils.save_vae(vae, "digits_2d")
"""


def test_two_notebooks_may_save_at_the_same_time(folders, capsys):
    """Whoever runs two notebooks side by side would load half of one file and half of the other."""
    environment = os.environ | {"VAE_OUTPUTS": str(utils.OUTPUTS), "PYTHONPATH": str(utils.ROOT)}
    command = [sys.executable, "-c", SAVE_AGAIN_AND_AGAIN]
    savers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    loads = 0
    while any(saver.poll() is None for saver in savers):
        if folders[0].exists():
            utils.load_vae("digits_2d")
            loads += 1
    assert [saver.wait() for saver in savers] == [0, 0]
    assert loads > 5
    assert "Passed over" not in capsys.readouterr().out
    assert files_below(utils.OUTPUTS) == [folders[0]]


def test_saving_again_replaces(folders, two_vaes):
    """The weights of the last training would not be the ones that are loaded."""
    for vae in two_vaes:
        utils.save_vae(vae, "digits_2d")
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(two_vaes[1]))
    assert files_below(utils.OUTPUTS) == [folders[0]]


# ------------------------------------------------------------------------------------------------------------ load_vae


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
    assert capsys.readouterr().out == f"digits_2d: weights from {shipped.as_posix()}\n"
    own = utils.save_vae(two_vaes[0], "digits_2d")
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(two_vaes[0]))
    assert capsys.readouterr().out == f"digits_2d: weights from {own.as_posix()}\n"


def test_a_path_in_the_repository_is_shown_from_its_root(shipped, monkeypatch, capsys):
    """A stored notebook would show its author's folders."""
    monkeypatch.setattr(utils, "ROOT", utils.ASSETS.parent)
    utils.load_vae("digits_2d")
    assert capsys.readouterr().out == "digits_2d: weights from assets/models/digits_2d.weights.h5\n"


def garbage(path):
    path.write_bytes(b"no weights at all")


def empty(path):
    path.write_bytes(b"")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_architecture(path):
    utils.save_vae(utils.build_vae(2, hidden=8), "digits_2d")


def without_checksum(path):
    utils.build_vae(2).save_weights(path)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("damage", [garbage, empty, half, other_architecture, without_checksum])
def test_a_damaged_file_is_passed_over_with_a_sentence(shipped, two_vaes, capsys, damage):
    """After one crash in notebook 03 a reader could not run 04 any more, or would not know whose weights it used."""
    own = utils.save_vae(two_vaes[0], "digits_2d")
    damage(own)
    assert_same_outputs(utils.load_vae("digits_2d"), outputs(two_vaes[1]))
    passed_over, used = capsys.readouterr().out.splitlines()
    assert passed_over.startswith(f"Passed over {own.as_posix()}: it is damaged, or of another architecture (")
    assert used == f"digits_2d: weights from {shipped.as_posix()}"


def test_random_damage_to_weights_is_never_loaded(shipped, two_vaes, capsys):
    """A bad disk would crash the reader's kernel, or spoil the model a little, and nobody would notice."""
    own = utils.save_vae(two_vaes[0], "digits_2d")
    for what, content in damaged(own.read_bytes(), 180):
        own.write_bytes(content)
        vae = utils.load_vae("digits_2d")
        assert capsys.readouterr().out.startswith("Passed over "), what
        assert np.array_equal(vae.get_weights()[1], two_vaes[1].get_weights()[1]), what


def test_a_checksum_leaves_a_file_that_keras_reads(folders, two_vaes):
    """Weights could not be used without this repository's helpers."""
    vae = utils.build_vae(2)
    vae.load_weights(utils.save_vae(two_vaes[0], "digits_2d"))
    assert_same_outputs(vae, outputs(two_vaes[0]))


def test_where_no_file_fits_both_are_named(shipped, two_vaes, capsys):
    """A reader would use an untrained model without knowing it."""
    own = utils.save_vae(two_vaes[0], "digits_2d")
    for path in (own, shipped):
        garbage(path)
    with pytest.raises(ValueError, match="no weights that fit digits_2d: run notebook 03"):
        utils.load_vae("digits_2d")
    for path, line in zip((own, shipped), capsys.readouterr().out.splitlines(), strict=True):
        assert line.startswith(f"Passed over {path.as_posix()}: ")


@pytest.mark.parametrize(("name", "notebook"), [("digits_2d", "03"), ("benchmark_iwae", "05")])
def test_without_any_file_the_notebook_that_writes_it_is_named(folders, name, notebook):
    """A reader would use an untrained model without knowing it."""
    with pytest.raises(ValueError, match=f"no weights that fit {name}: run notebook {notebook}"):
        utils.load_vae(name)


def test_an_unknown_name_is_answered_with_the_known_ones(folders):
    """A typing error would be answered with a file that is missing."""
    with pytest.raises(ValueError, match="'digit'.*digits, digits_2d"):
        utils.load_vae("digit")


# ------------------------------------------------------------------------------------------------------------- figures


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
    assert files_below(utils.OUTPUTS) == [path]


def test_an_interrupted_figure_keeps_the_earlier_one(folders, figure, monkeypatch):
    """The README would show half an image."""
    path = utils.save_figure(figure, "curve")
    before = path.read_bytes()

    def write_half(path, **kwargs):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(figure, "savefig", write_half)
    with pytest.raises(KeyboardInterrupt):
        utils.save_figure(figure, "curve")
    assert path.read_bytes() == before
    assert files_below(utils.OUTPUTS) == [path]


@pytest.mark.parametrize("in_the_way", ["outputs", "outputs/images", "outputs/models"])
def test_a_folder_that_cannot_be_written_says_what_to_do(folders, figure, two_vaes, in_the_way):
    """On a read-only disk a reader would see a bare error from inside a library after ten minutes of training."""
    blocked = utils.OUTPUTS.parent / in_the_way
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("a file where a folder should be")
    writes = {"images": lambda: utils.save_figure(figure, "a"), "models": lambda: utils.save_vae(two_vaes[0], "digits")}
    for folder, write in writes.items():
        if blocked.name in ("outputs", folder):
            with pytest.raises(OSError, match=f"Cannot write .*{folder}.*VAE_OUTPUTS"):
                write()
    assert blocked.read_text() == "a file where a folder should be"


@pytest.mark.parametrize("there", [False, True], ids=["no outputs yet", "outputs"])
def test_a_read_only_checkout_says_what_to_do(folders, figure, two_vaes, there):
    """In a course's shared folder a reader would not learn that the results can go elsewhere."""
    folder = utils.OUTPUTS if there else utils.OUTPUTS.parent
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write anywhere")
        for write in (lambda: utils.save_figure(figure, "a"), lambda: utils.save_vae(two_vaes[0], "digits")):
            with pytest.raises(OSError, match="Cannot write .*VAE_OUTPUTS"):
                write()
    finally:
        folder.chmod(0o755)


def test_a_stack_of_digits_is_no_grid():
    """The first thing that one tries, a few images, would end in words about broadcasting."""
    with pytest.raises(ValueError, match=r"\(rows, columns, 28, 28\), not \(10, 28, 28\); x\[None\] makes one row"):
        utils.show_digits(np.zeros((10, 28, 28)))


def test_every_digit_is_shown_in_its_place():
    """Captions and labels would name other digits than the ones they stand beside."""
    x = np.random.default_rng(0).random((2, 3, 28, 28))
    figure = utils.show_digits(x, ["first", "second"], ["a", "b", "c"])
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


# -------------------------------------------------------------------------------------------------------- progress bar


def test_the_progress_bar_ends_on_the_numbers_of_the_history(progress):
    """The line that stays in a stored notebook would show other numbers than the curve below it."""
    vae = utils.build_vae(2, hidden=8)
    vae.compile(keras.optimizers.Adam(0.01), steps_per_execution=2 if COMPILES else 1)
    bar = utils.ProgressBar()
    history = vae.fit(X, batch_size=2, epochs=2, validation_data=(X,), verbose=0, callbacks=[bar]).history
    loss, reconstruction, kl, test = (history[name][-1] for name in ("loss", "reconstruction", "kl", "val_loss"))
    assert progress[0].count("█") < progress[-1].count("█") == 20
    assert "epoch 2 of 2" in progress[-1]
    assert f"loss {loss:.1f} (reconstruction {reconstruction:.1f}, KL {kl:.1f}); test loss {test:.1f}" in progress[-1]
