"""MNIST as it is loaded, checked and binarised."""

import hashlib

import keras
import numpy as np
import pytest

import utils

SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def test_load_mnist_returns_mnist_as_keras_does():
    """Were it another data set, or in another form, no number of the series could stand beside a published one."""
    (x_train, y_train), (x_test, y_test) = utils.load_mnist()
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    assert {name: hashlib.sha256(array).hexdigest() for name, array in arrays.items()} == SHA256
    assert [array.shape for array in arrays.values()] == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
    assert {array.dtype for array in arrays.values()} == {np.dtype("uint8")}


X = np.zeros((3, 28, 28), "float32")


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.full((3, 28, 28), 200, "uint8"), "from 200 to 200: divide 0..255 by 255"),
        (X - 0.5, "from -0.5 to -0.5"),
        (np.where(np.arange(28) == 14, np.nan, X), "some are NaN"),
        (X[0], r"\(n, 28, 28\).*not \(28, 28\)"),
        (X[..., None], r"\(n, 28, 28\).*not \(3, 28, 28, 1\)"),
        (X[:0], "n > 0"),
        (list(X), "not a list: np.stack"),
        ((X, np.zeros(3)), "not a tuple"),
        (None, "not a NoneType"),
    ],
)
def test_what_is_no_images_is_refused_in_one_sentence(x, reason):
    """A reader who forgot to divide by 255, or gave labels, would meet a shape error deep inside, or nonsense."""
    with pytest.raises(ValueError, match=reason) as error:
        utils.check_images(x)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [np.asarray, keras.ops.convert_to_tensor])
def test_images_come_out_as_numpy(kind):
    """Images on a device would be refused, or could not be drawn from."""
    assert type(utils.check_images(kind(X))) is np.ndarray


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
    again.set_epoch(3)
    assert same(epoch_of(batches), epoch_of(again))
    assert same(epoch_of(batches), epoch_of(again))
    assert not same(epoch_of(batches), epoch_of(utils.BinarizedBatches(NUMBERED, 4, seed=1)))
    other_seed = utils.BinarizedBatches(NUMBERED, 4, seed=2)
    other_seed.set_epoch(3)
    assert not same(epoch_of(batches), epoch_of(other_seed))


class Recorded(utils.BinarizedBatches):
    """Keeps what fit asked for."""

    def __init__(self, *args, **kwargs):
        self.asked = []
        super().__init__(*args, **kwargs)

    def __getitem__(self, index):
        self.asked.append((self.epoch, index))
        return super().__getitem__(index)


@pytest.mark.slow
def test_fit_goes_through_the_epochs_one_by_one():
    """Batches fetched ahead of time would belong to another epoch, and some images would be left out."""
    batches = Recorded(NUMBERED, 4)
    vae = utils.build_vae(2, hidden_units=4)
    set_epoch = keras.callbacks.LambdaCallback(on_epoch_begin=batches.set_epoch)
    vae.fit(batches, epochs=3, shuffle=False, callbacks=[set_epoch], verbose=0)
    # Before it trains, fit looks at a few batches, to learn their shapes. Two workers may note theirs in either order.
    epochs = [sorted(batches.asked[-15:][5 * epoch :][:5]) for epoch in range(3)]
    assert epochs == [[(epoch, index) for index in range(5)] for epoch in range(3)]
