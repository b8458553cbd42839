"""The training that notebooks 03 and 05 share, and the tighter bound that notebook 05 trains on."""

import keras
import numpy as np
import pytest
from backends import gradient_of_weights
from keras import ops

import utils


@pytest.fixture(scope="module")
def digits():
    return (utils.load_mnist()[0][0][:400] / 255).astype("float32")


def small(kind=utils.VAE, **options):
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(2, hidden=16)
    model = kind(vae.encoder, vae.decoder, **options)
    model.compile(keras.optimizers.Adam(0.01))
    return model


class Interruption(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [utils.VAE, utils.IWAE])
def test_an_interrupted_training_goes_on_where_it_stopped(digits, tmp_path, kind):
    """A closed laptop would cost the minutes before it, or give another model than an unbroken run."""

    def train(model, backup, **options):
        batches = utils.BinarizedBatches(digits, 10)  # 40 steps
        return utils.train(model, batches, tmp_path / backup, 4, weight_decay=0.03, **options)

    whole, broken, resumed = small(kind), small(kind), small(kind)
    history = train(whole, "whole")
    with pytest.raises(KeyboardInterrupt):
        train(broken, "broken", callbacks=[Interruption()])
    history_resumed = train(resumed, "broken")
    assert len(history["loss"]) == 4
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(history_resumed["loss"], history["loss"][2:], rtol=1e-4)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-2)
    assert not (tmp_path / "broken").exists() or not any((tmp_path / "broken").iterdir())


def test_a_backup_that_cannot_be_written_is_refused_at_once(digits, tmp_path):
    """In a read-only folder a reader would wait for a whole epoch, and then lose it."""
    (tmp_path / "in the way").touch()
    model = small()
    with pytest.raises(OSError, match="Set VAE_OUTPUTS"):
        utils.train(model, utils.BinarizedBatches(digits, 10), tmp_path / "in the way" / "backup", 1)
    assert model.optimizer.iterations == 0


def test_a_backup_of_another_model_is_named(digits, tmp_path):
    """Who changes the model after an interruption would read which objects cannot be loaded, not what to do."""
    batches = utils.BinarizedBatches(digits, 10)
    with pytest.raises(KeyboardInterrupt):
        utils.train(small(), batches, tmp_path / "backup", 4, callbacks=[Interruption()])
    with pytest.raises(ValueError, match="backup of another model: delete it"):
        utils.train(utils.build_vae(3, hidden=16), batches, tmp_path / "backup", 4)


def test_weight_decay_shrinks_the_weights(digits, tmp_path):
    """The option would be passed over in silence, and notebook 05 would regularise nothing."""
    sizes = []
    for weight_decay in (None, 10):
        model = small()
        utils.train(model, utils.BinarizedBatches(digits, 10), tmp_path / "backup", 1, weight_decay=weight_decay)
        sizes.append(sum(float(ops.sum(ops.square(weights))) for weights in model.trainable_weights))
    assert sizes[1] < 0.7 * sizes[0]


def test_the_learning_rate_climbs_for_a_tenth_of_the_steps_and_ends_at_zero():
    """The curve that notebook 03 draws would be another one."""
    rates = np.array([float(utils.schedule(1000)(step)) for step in range(0, 1001, 10)])
    assert rates[10] == rates.max() == pytest.approx(4e-3)
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)


# ------------------------------------------------------------------------------------------------------- tighter bound


@pytest.mark.parametrize("k", [1, 5, 50])
def test_the_loss_of_an_iwae_is_minus_the_bound_with_k_samples(digits, k):
    """Notebook 05 would train on something else than it evaluates."""
    x = np.tile(utils.binarize(digits[:10], 0), (200, 1, 1))
    iwae = small(utils.IWAE, k=k)
    iwae.fit(utils.binarize(digits, 1), epochs=3, batch_size=50, verbose=0)
    loss = iwae.evaluate(x, batch_size=500, verbose=0, return_dict=True)["loss"]
    bound = utils.log_likelihood(iwae, x, k).reshape(200, 10).mean(axis=1)
    # Both are means over 200 draws for each image.
    assert abs(loss + bound.mean()) < 6 * np.sqrt(2 / 200) * bound.std(ddof=1)


def test_the_loss_of_an_iwae_tightens_with_k(digits):
    """The class would ignore k."""
    vae = small()
    vae.fit(utils.binarize(digits, 1), epochs=3, batch_size=50, verbose=0)
    x = np.tile(utils.binarize(digits[:50], 0), (20, 1, 1))
    losses = []
    for k in (1, 5, 50):
        iwae = utils.IWAE(vae.encoder, vae.decoder, k=k)
        iwae.compile(optimizer="adam")
        losses.append(iwae.evaluate(x, batch_size=500, verbose=0, return_dict=True)["loss"])
    assert losses[0] > losses[1] + 0.1
    assert losses[1] > losses[2] + 0.1


def test_gradients_of_an_iwae_are_weighted_by_the_importance_of_each_sample(digits):
    """Averaged before the logarithm, a good sample counts for more; averaged after it, all would count the same."""
    x = utils.binarize(digits[:3], 0)
    noise = np.random.default_rng(0).standard_normal((3, 4, 2), dtype="float32")

    class WithThisNoise(utils.IWAE):
        def call(self, x):
            return utils.log_weights(self, x, ops.convert_to_tensor(noise))

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
    iwae = small(utils.IWAE)
    history = iwae.fit(digits, epochs=1, validation_data=(digits,), verbose=0).history
    assert set(history) == {"loss", "val_loss"}
    assert iwae.predict(digits[:7], verbose=0).shape == (7, 5)


def test_an_iwae_survives_saving_whole(digits, tmp_path):
    """Whoever saves the whole model would get another k, or nothing."""
    iwae = small(utils.IWAE, k=3)
    iwae.save(tmp_path / "iwae.keras")
    loaded = keras.saving.load_model(tmp_path / "iwae.keras")
    assert (type(loaded), loaded.k) == (utils.IWAE, 3)
    for a, b in zip(iwae.encoder(digits[:5]), loaded.encoder(digits[:5]), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-6)
