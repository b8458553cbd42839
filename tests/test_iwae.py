"""The IWAE of notebook 05, which trains on the tighter bound."""

import keras
import numpy as np
import pytest
from backends import gradient_of_weights
from keras import ops
from test_keras import NAMES

import utils

pytestmark = pytest.mark.slow
IWAE = NAMES["IWAE"]


@pytest.fixture(scope="module")
def digits():
    return (utils.load_mnist()[0][0][:400] / 255).astype("float32")


def small(kind=utils.VAE, **options):
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(2, hidden_units=16)
    model = kind(vae.encoder, vae.decoder, **options)
    model.compile(keras.optimizers.Adam(0.01))
    return model


@pytest.mark.parametrize("k", [1, 5, 50])
def test_the_loss_of_an_iwae_is_minus_the_bound_with_k_samples(digits, k):
    """Notebook 05 would train on something else than it evaluates."""
    x = np.tile(utils.binarize(digits[:10], 0), (200, 1, 1))
    iwae = small(IWAE, k=k)
    iwae.fit(utils.binarize(digits, 1), epochs=3, batch_size=50, verbose=0)
    loss = iwae.evaluate(x, batch_size=500, verbose=0, return_dict=True)["loss"]
    bound = utils.log_likelihood(iwae, x, k).reshape(200, 10).mean(axis=1)
    # Both are means over 200 draws for each image.
    assert abs(loss + bound.mean()) < 6 * np.sqrt(2 / 200) * bound.std(ddof=1)


def test_gradients_of_an_iwae_are_weighted_by_the_importance_of_each_sample(digits):
    """Averaged before the logarithm, a good sample counts for more; averaged after it, all would count the same."""
    x = utils.binarize(digits[:3], 0)
    noise = np.random.default_rng(0).standard_normal((3, 4, 2), dtype="float32")

    class WithThisNoise(IWAE):
        def call(self, x, training=None):
            return utils.log_importance_weights(self, x, ops.convert_to_tensor(noise))

    iwae = small(WithThisNoise, k=4)
    mean, log_var = (ops.convert_to_numpy(part)[:, None] for part in iwae.encoder(x))
    p = iwae.probabilities((mean + np.exp(log_var / 2) * noise).reshape(12, 2)).reshape(3, 4, 784)
    shares = ops.convert_to_numpy(ops.softmax(iwae(x), axis=1))
    # The derivative of log p(x|z) with respect to the last layer's bias is x - p.
    expected = -np.mean(np.sum(shares[..., None] * (x.reshape(3, 1, 784) - p), axis=1), axis=0)
    found = gradient_of_weights(iwae, x)[iwae.decoder.get_layer("logits").bias.path]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(shares) > 0.1  # else the test could not tell


def test_an_iwae_shows_its_loss_and_no_parts(digits):
    """A reader would see a reconstruction and a KL of zero, which do not add up to the loss."""
    iwae = small(IWAE)
    history = iwae.fit(digits, epochs=1, validation_data=(digits,), verbose=0).history
    assert set(history) == {"loss", "val_loss"}
    assert iwae.predict(digits[:7], verbose=0).shape == (7, 5)


def test_an_iwae_survives_saving_whole(digits, tmp_path):
    """Whoever saves the whole model would get another k, or nothing."""
    iwae = small(IWAE, k=3)
    iwae.save(tmp_path / "iwae.keras")
    loaded = keras.saving.load_model(tmp_path / "iwae.keras")
    assert (type(loaded), loaded.k) == (IWAE, 3)
    for a, b in zip(iwae.encoder(digits[:5]), loaded.encoder(digits[:5]), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-6)
