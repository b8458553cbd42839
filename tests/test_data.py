"""MNIST as it is loaded, checked and binarised."""

import hashlib

import keras
import numpy as np
import pytest
from backends import COMPILES
from damage import damaged

import utils

SHIPPED = utils.ASSETS / "mnist.npz"
SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="module")
def mnist():
    return utils.load_mnist()


@pytest.fixture(scope="module")
def arrays(mnist):
    (x_train, y_train), (x_test, y_test) = mnist
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


# ------------------------------------------------------------------------------------------------------------- loading


def test_the_shipped_arrays_are_mnist_byte_for_byte(arrays):
    """Were it another data set, no number of the series could stand beside a published one."""
    assert {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()} == SHA256
    assert utils.SHA256 == SHA256


def test_load_mnist_returns_what_keras_documents(arrays):
    """A reader who swaps in keras.datasets.mnist.load_data() would get something else."""
    shapes = {"x_train": (60000, 28, 28), "y_train": (60000,), "x_test": (10000, 28, 28), "y_test": (10000,)}
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert {array.dtype for array in arrays.values()} == {np.dtype("uint8")}


@pytest.mark.parametrize(("labels", "counts"), [("y_train", TRAIN_COUNTS), ("y_test", TEST_COUNTS)])
def test_every_class_has_its_known_count(arrays, labels, counts):
    """The class counts of notebook 01 would differ from everybody else's."""
    assert np.bincount(arrays[labels]).tolist() == counts


def truncated(path, arrays):
    path.write_bytes(SHIPPED.read_bytes()[: SHIPPED.stat().st_size // 2])


def random_bytes(path, arrays):
    path.write_bytes(np.random.default_rng(0).bytes(10_000))


def empty(path, arrays):
    path.touch()


def without_y_test(path, arrays):
    np.savez(path, **{name: array for name, array in arrays.items() if name != "y_test"})


def one_pixel_off(path, arrays):
    x_test = arrays["x_test"].copy()
    x_test[1234, 14, 14] ^= 1
    np.savez(path, **arrays | {"x_test": x_test})


def pickled(path, arrays):
    np.savez(path, **arrays | {"y_train": np.array([0, "one"], dtype=object)})


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        (truncated, "damaged"),
        (random_bytes, "damaged"),
        (empty, "damaged"),
        (without_y_test, "y_test"),
        (one_pixel_off, "x_test is not MNIST's"),
        (pickled, "allow_pickle"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong_and_how_to_mend_it(tmp_path, arrays, damage, wrong):
    """A reader with a broken clone would train on wrong digits, or meet a traceback from inside zipfile."""
    path = tmp_path / "mnist.npz"
    damage(path, arrays)
    with pytest.raises(ValueError, match=wrong) as error:
        utils.load_mnist(path)
    assert str(path) in str(error.value)
    assert "git checkout -- mnist.npz" in str(error.value)


def test_random_damage_is_never_taken_for_mnist(tmp_path):
    """A bad disk or a broken download would crash the reader's kernel, or change an image and nobody would notice."""
    path, attempts, refused, unharmed = tmp_path / "mnist.npz", 0, 0, 0
    for what, content in damaged(SHIPPED.read_bytes(), 180):
        path.write_bytes(content)
        attempts += 1
        try:
            (x_train, y_train), (x_test, y_test) = utils.load_mnist(path)
        except ValueError as error:
            refused += "is damaged" in str(error)
        else:  # the zip file has bytes that mean nothing, or are there twice
            arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
            assert {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()} == SHA256, what
            unharmed += 1
    assert refused + unharmed == attempts
    assert refused > 120


def test_an_absent_file_is_downloaded(tmp_path, monkeypatch, mnist, arrays):
    """A notebook copied out of the repository would not find its data."""
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: mnist)
    (x_train, y_train), (x_test, y_test) = utils.load_mnist(tmp_path / "mnist.npz")
    loaded = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())


def test_without_file_and_network_both_ways_out_are_named(tmp_path, monkeypatch):
    """Behind a firewall a reader would see an URL error and not that one git command mends it."""

    def no_network():
        raise OSError("no route to host")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", no_network)
    with pytest.raises(FileNotFoundError, match="no route to host") as error:
        utils.load_mnist(tmp_path / "mnist.npz")
    message = str(error.value)
    assert str(tmp_path / "mnist.npz") in message
    assert "git checkout" in message
    assert "internet" in message


def test_a_wrong_download_is_refused(tmp_path, monkeypatch, mnist):
    """A broken mirror would pass for MNIST."""
    train, (x_test, y_test) = mnist
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (train, (x_test[::-1], y_test)))
    with pytest.raises(ValueError, match=r"x_test is not MNIST's.*~/\.keras"):
        utils.load_mnist(tmp_path / "mnist.npz")


def test_the_file_comes_before_the_download(monkeypatch):
    """A class behind a firewall would wait for a download although the data is in the repository."""
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: pytest.fail("downloaded although the file is there"))
    utils.load_mnist()


# ------------------------------------------------------------------------------------------------------- binarisation


def test_binarize_repeats_with_its_seed_and_only_then():
    """The binarised test set would change from run to run, or be the same for all seeds."""
    grey = np.full((3, 28, 28), 0.5, "float32")
    draw = utils.binarize(grey, 7)
    assert draw.shape == grey.shape
    assert draw.dtype == "float32"
    assert np.array_equal(draw, utils.binarize(grey, 7))
    assert np.array_equal(utils.binarize(grey, [1, 2]), utils.binarize(grey, [1, 2]))
    for other in (8, [7, 1], [1, 7]):
        # 2,352 fair coins, half of which agree by chance: the standard error of that share is 0.0103.
        assert abs(np.mean(draw == utils.binarize(grey, other)) - 0.5) < 5 * 0.0103


def test_a_grey_level_is_the_probability_that_its_pixel_is_on():
    """The loss would be the likelihood of other images than the ones that are shown."""
    levels = np.linspace(0, 1, 28)
    draws = utils.binarize(np.tile(levels, (1000, 28, 1)), 0)
    assert set(np.unique(draws)) == {0, 1}
    frequency = draws.mean((0, 1))
    assert frequency[0] == 0
    assert frequency[-1] == 1
    standard_error = np.sqrt(levels * (1 - levels) / 28_000)
    assert (np.abs(frequency - levels) <= 5 * standard_error).all()


@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_pixels_are_drawn_independently(shift):
    """A Bernoulli likelihood that multiplies over pixels would not be the likelihood of these images."""
    draws = utils.binarize(np.full((100, 28, 28), 0.5), 0) - 0.5
    products = 4 * draws * np.roll(draws, shift, (0, 1, 2))
    assert abs(products.mean()) < 5 / np.sqrt(products.size)


# ------------------------------------------------------------------------------------------------------------- batches

NUMBERED = np.full((17, 28, 28), 0.5, "float32")
NUMBERED[:, 0, :5] = np.arange(17)[:, None] >> np.arange(5) & 1  # black or white, so that binarising keeps the number


def numbers(batch):
    return (batch[:, 0, :5] @ 2 ** np.arange(5)).astype(int)


def epoch_of(batches):
    return [batches[index] for index in range(len(batches))]


def same(batches, others):
    return all(np.array_equal(batch, other) for batch, other in zip(batches, others, strict=True))


def test_an_epoch_holds_every_image_once():
    """Some digits would be trained on twice and others never."""
    batches = utils.BinarizedBatches(NUMBERED, batch_size=4)
    for _ in range(3):
        epoch = epoch_of(batches)
        assert [len(batch) for batch in epoch] == [4, 4, 4, 4, 1]
        assert sorted(np.concatenate([numbers(batch) for batch in epoch])) == list(range(17))
        batches.on_epoch_end()


def test_every_epoch_and_every_batch_is_a_fresh_draw():
    """Training would see the same black-and-white images again and again and overfit them."""
    batches = utils.BinarizedBatches(NUMBERED, batch_size=4)
    first = np.concatenate(epoch_of(batches))
    batches.on_epoch_end()
    second = np.concatenate(epoch_of(batches))
    assert list(numbers(first)) != list(numbers(second))
    by_number = first[np.argsort(numbers(first))], second[np.argsort(numbers(second))]
    # Of 783 coins per image, half agree by chance: over 17 images the standard error of that share is 0.0043.
    for one, other in [(first[:4], first[4:8]), by_number]:
        agreement = np.mean(one[:, 1:] == other[:, 1:])
        assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(one[:, 1:].size)


def test_a_draw_depends_on_seed_epoch_and_batch_alone():
    """A resumed training would go on with other images than the one that was interrupted."""
    batches, again = utils.BinarizedBatches(NUMBERED, 4, seed=1), utils.BinarizedBatches(NUMBERED, 4, seed=1)
    for _ in range(3):
        batches.on_epoch_end()
    again.start_epoch(3)
    assert same(epoch_of(batches), epoch_of(again))
    assert same(epoch_of(batches), epoch_of(again))
    assert not same(epoch_of(batches), epoch_of(utils.BinarizedBatches(NUMBERED, 4, seed=1)))
    other_seed = utils.BinarizedBatches(NUMBERED, 4, seed=2)
    other_seed.start_epoch(3)
    assert not same(epoch_of(batches), epoch_of(other_seed))


class Recorded(utils.BinarizedBatches):
    """Keeps what fit asked for."""

    def __init__(self, *args, **kwargs):
        self.asked = []
        super().__init__(*args, **kwargs)

    def __getitem__(self, index):
        self.asked.append((self.epoch, index))
        return super().__getitem__(index)


@pytest.mark.parametrize("steps_per_execution", [1, 2] if COMPILES else [1])
def test_fit_goes_through_the_epochs_one_by_one(steps_per_execution):
    """Batches fetched ahead of time would belong to another epoch, and some images would be left out."""
    batches = Recorded(NUMBERED, 4)
    vae = utils.build_vae(2, hidden=4)
    vae.compile("adam", steps_per_execution=steps_per_execution)
    start_epoch = keras.callbacks.LambdaCallback(on_epoch_begin=batches.start_epoch)
    vae.fit(batches, epochs=3, shuffle=False, callbacks=[start_epoch], verbose=0)
    # Before it trains, fit looks at a few batches, to learn their shapes. Two workers may note theirs in either order.
    epochs = [sorted(batches.asked[-15:][5 * epoch :][:5]) for epoch in range(3)]
    assert epochs == [[(epoch, index) for index in range(5)] for epoch in range(3)]


class Interrupted(Exception):
    pass


def test_an_interrupted_training_resumes_where_it_was(tmp_path):
    """A reader whose training was cut short could not go on to the model of an uninterrupted one."""
    start_weights = utils.build_vae(2, hidden=8).get_weights()

    def run(folder, stop_before=None):
        def begin(epoch, logs):
            if epoch == stop_before:
                raise Interrupted
            batches.start_epoch(epoch)
            # Keras stores no state of a random generator: the runs can only agree if each epoch starts from its own.
            vae.sampling.seed_generator.state.assign([0, 100 * epoch])

        vae = utils.build_vae(2, hidden=8)
        vae.set_weights(start_weights)
        batches = utils.BinarizedBatches(NUMBERED, 4)
        callbacks = [keras.callbacks.BackupAndRestore(folder), keras.callbacks.LambdaCallback(on_epoch_begin=begin)]
        history = vae.fit(batches, epochs=4, shuffle=False, callbacks=callbacks, verbose=0)
        return vae.get_weights(), history.epoch

    expected, _ = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "backup", stop_before=2)
    resumed, epochs = run(tmp_path / "backup")

    assert epochs == [2, 3]
    for weight, wanted in zip(resumed, expected, strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=1e-4, atol=1e-6)
    assert any(np.abs(wanted - at_start).max() > 0.01 for wanted, at_start in zip(expected, start_weights, strict=True))
