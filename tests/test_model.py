"""The model against its mathematics: KL, sampling, loss, training, and what it refuses."""

import keras
import numpy as np
import pytest
from backends import gradient
from keras import ops

import utils

X = utils.binarize(np.random.default_rng(0).random((10, 28, 28)), 0)


def to_numpy(*tensors):
    return [ops.convert_to_numpy(tensor).astype("float64") for tensor in tensors]


def wild_vae(latent_dim=3):
    """A VAE whose decoder heeds z and whose posteriors are no prior, with no training."""
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(latent_dim, hidden_units=16)
    rng = np.random.default_rng(0)
    vae.set_weights([w + rng.normal(0, 1 / np.sqrt(len(w)), w.shape) for w in vae.get_weights()])
    return vae


@pytest.fixture(scope="module")
def vae():
    return wild_vae()


def test_kl_agrees_with_a_monte_carlo_estimate():
    """The closed form that notebook 02 derives would not be the divergence it claims to be."""
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(0, 1.5, (5, 3)), rng.normal(0, 1, (5, 3))
    noise = rng.standard_normal((200_000, 5, 3))
    z = mean + np.exp(log_var / 2) * noise
    log_ratio = (-(noise**2) / 2 - log_var / 2 + z**2 / 2).sum(-1)
    standard_error = log_ratio.std(0) / np.sqrt(len(noise))
    (kl,) = to_numpy(utils.kl_divergence(mean, log_var))
    assert kl.shape == (5,)
    assert (np.abs(kl - log_ratio.mean(0)) < 5 * standard_error).all()
    assert (standard_error < 0.01 * kl).all()


MEAN, LOG_VAR = np.array([1.0, -2.0, 0.0]), np.array([0.0, 1.4, -3.0])
DRAWS = 100_000


@pytest.fixture(scope="module", params=["called", "predicted"])
def noise(request):
    """Two calls' draws, of which the second and third set come from two steps of one run where there are runs."""
    inputs = [np.tile(row, (2 * DRAWS, 1)).astype("float32") for row in (MEAN, LOG_VAR)]
    sampling = utils.Sampling()
    if request.param == "called":
        first, *rest = (sampling(*(part[:DRAWS] for part in inputs)) for _ in range(3))
        z = np.concatenate([first, *rest])
    else:
        symbols = [keras.Input((3,)), keras.Input((3,))]
        model = keras.Model(symbols, sampling(*symbols))
        run = [model.predict([part[:n] for part in inputs], DRAWS, verbose=0) for n in (DRAWS, 2 * DRAWS)]
        z = np.concatenate(run)
    return (z.reshape(3, DRAWS, 3).astype("float64") - MEAN) / np.exp(LOG_VAR / 2)


def test_samples_are_normal_with_the_mean_and_the_variance_asked_for(noise):
    """The decoder would be trained on codes that are not drawn from q(z|x)."""
    # The standard errors of the first four moments of n normal draws: sqrt(1, 2, 15, 96) / sqrt(n).
    for power, moment, spread in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert (np.abs((noise**power).mean(1) - moment) < 5 * np.sqrt(spread / DRAWS)).all()


def test_samples_are_independent_across_dimensions_images_calls_and_steps(noise):
    """Noise that repeats is noise that the decoder can learn to undo: the model would be a plain autoencoder."""
    columns = noise.transpose(0, 2, 1).reshape(9, DRAWS)
    correlations = np.corrcoef([*columns, *np.roll(columns[:3], 1, axis=1)])
    assert np.abs(correlations - np.eye(12)).max() < 5 / np.sqrt(DRAWS)


def test_gradients_through_a_sample_are_those_of_the_expectation():
    """Reparameterisation would give the encoder a wrong direction."""
    sampling = utils.Sampling()
    parameters = [np.tile(row, (DRAWS, 1)) for row in (MEAN, LOG_VAR)]
    found = gradient(lambda mean, log_var: ops.sum(sampling(mean, log_var) ** 2), *parameters)
    # E[z**2] = mean**2 + exp(log_var), so the gradients are 2 * mean and exp(log_var).
    for estimates, expected in zip(found, [2 * MEAN, np.exp(LOG_VAR)], strict=True):
        estimates = estimates.astype("float64")
        standard_error = estimates.std(0) / np.sqrt(DRAWS)
        assert (np.abs(estimates.mean(0) - expected) < 5 * standard_error).all()


def test_fit_draws_fresh_noise_at_every_step():
    """The same noise would come back again and again, and the decoder could learn to undo it."""
    vae = wild_vae()
    images = np.repeat(X[:1], 4, axis=0)
    vae.compile(keras.optimizers.SGD(0.0))
    steps = [vae.fit(x[None], verbose=0).history["loss"][0] for x in images]
    assert np.min(np.diff(sorted(steps))) > 0.01
    vae.sampling.seed_generator.state.assign([1, 2])
    (first,) = vae.fit(images[:1], batch_size=1, verbose=0).history["loss"]
    vae.sampling.seed_generator.state.assign([1, 2])
    (epoch,) = vae.fit(images, batch_size=1, verbose=0).history["loss"]
    assert abs(first - epoch) > 0.01


@pytest.mark.parametrize("logit", [-1000.0, -30.0, 0.0, 2.0, 30.0, 1000.0])
@pytest.mark.parametrize("pixel", [0.0, 0.25, 1.0])
def test_a_pixel_costs_its_cross_entropy_at_any_logit(pixel, logit):
    """One overconfident pixel would turn the whole training into NaN."""
    x, logits = (ops.convert_to_tensor(np.full((1, 28, 28), value, "float32")) for value in (pixel, logit))
    (loss,) = to_numpy(utils.reconstruction_loss(x, logits))
    (found,) = gradient(lambda logits: ops.sum(utils.reconstruction_loss(x, logits)), ops.convert_to_numpy(logits))
    # -x log p - (1 - x) log(1 - p), where -log p = log(1 + exp(-logit)), the same with -p and +logit.
    cost = pixel * np.logaddexp(0, -logit) + (1 - pixel) * np.logaddexp(0, logit)
    np.testing.assert_allclose(loss, [784 * cost], rtol=1e-5, atol=1e-4)
    slope = np.exp(-np.logaddexp(0, -logit)) - pixel
    np.testing.assert_allclose(found, np.full((1, 28, 28), slope), rtol=1e-5, atol=1e-6)


def silence(dense):
    dense.kernel.assign(np.zeros(dense.kernel.shape))
    dense.bias.assign(np.zeros(dense.bias.shape))


def test_a_model_that_knows_nothing_costs_784_ln_2():
    """The first number that notebook 02 asserts, 543.4, would be wrong: a mean for a sum, or a wrong base."""
    vae = utils.build_vae(2, hidden_units=8)
    for part, name in [(vae.encoder, "mean"), (vae.encoder, "log_var"), (vae.decoder, "logits")]:
        silence(part.get_layer(name))
    loss = vae.evaluate(X, verbose=0, return_dict=True)
    assert loss["kl"] == 0
    assert [loss["reconstruction"], loss["loss"]] == pytest.approx([784 * np.log(2)] * 2, rel=1e-6)


@pytest.fixture(scope="module")
def digits():
    return utils.binarize(utils.load_mnist()[1][0][:2000] / 255, 0)


def test_a_mean_image_starts_the_model_at_the_cost_of_independent_pixels(digits):
    """Centring and the output bias would not do what notebook 03 says, and training would start 340 nats higher."""
    keras.utils.set_random_seed(0)
    mean_image = digits.mean(0)
    vae = utils.build_vae(32, mean_image)
    p = np.clip(mean_image.astype("float64"), 0.001, 0.999)
    cost = -(digits * np.log(p) + (1 - digits) * np.log(1 - p)).sum((1, 2)).mean()
    # What the untrained logits add is of second order, p (1 - p) s**2 / 2 a pixel: 0.2 nats or so at s = 0.09.
    loss = vae.evaluate(digits, verbose=0, return_dict=True)
    assert loss["reconstruction"] == pytest.approx(cost, abs=1)

    logits = vae.decoder.get_layer("logits")
    logits.kernel.assign(np.zeros(logits.kernel.shape))
    loss = vae.evaluate(digits, verbose=0, return_dict=True)
    assert loss["reconstruction"] == pytest.approx(cost, rel=1e-5)

    entropy = -(mean_image * np.log(p) + (1 - mean_image) * np.log(1 - p)).sum()
    assert entropy == pytest.approx(cost, rel=1e-5)
    assert 190 < entropy < 220  # about 206 on the whole training set


def test_the_encoder_sees_nothing_in_the_mean_image(digits):
    """The encoder would see pixels that are not centred."""
    mean_image = digits.mean(0)
    mean, log_var = to_numpy(*utils.build_vae(2, mean_image, hidden_units=8).encoder(mean_image[None]))
    assert not np.any(mean)
    assert not np.any(log_var)


def numpy_loss(vae, x, draws=400):
    """The KL of each image, and the mean and the variance of its reconstruction loss over draws of z."""
    mean, log_var = to_numpy(*vae.encoder(x))
    kl = ((mean**2 + np.exp(log_var) - 1 - log_var) / 2).sum(-1)
    noise = np.random.default_rng(1).standard_normal((draws, *mean.shape))
    z = mean + np.exp(log_var / 2) * noise
    logits = vae.decoder.predict(z.reshape(-1, z.shape[-1]), 1000, verbose=0).astype("float64")
    cost = np.logaddexp(0, np.where(x == 1, -1, 1) * logits.reshape(draws, *x.shape)).sum((-1, -2))
    return kl, cost.mean(0), cost.var(0)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10])
def test_evaluate_agrees_with_numpy_at_any_batch_size(vae, batch_size):
    """The loss would depend on the batch size: a short last batch would weigh as much as a full one."""
    loss = vae.evaluate(X, batch_size=batch_size, verbose=0, return_dict=True)
    kl, cost, variance = numpy_loss(vae, X)
    assert loss["loss"] == pytest.approx(loss["reconstruction"] + loss["kl"], rel=1e-6)
    assert loss["kl"] == pytest.approx(kl.mean(), rel=1e-5)
    standard_error = np.sqrt(variance.mean() * (1 / len(X) + 1 / (400 * len(X))))
    assert abs(loss["reconstruction"] - cost.mean()) < 5 * standard_error
    assert kl.std() > 0.05 * kl.mean()  # else equal weights would not show


def dataset(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(x).batch(4)


def array(x):
    return x


def first_of_a_pair(x):
    return (x, None)


@pytest.mark.parametrize(
    ("feed", "feed_validation"),
    [
        (array, None),
        pytest.param(array, first_of_a_pair, marks=pytest.mark.slow),
        pytest.param(lambda x: utils.BinarizedBatches(x, 4), array, marks=pytest.mark.slow),
        pytest.param(dataset, dataset, marks=pytest.mark.slow),
    ],
)
def test_fit_learns_from_any_kind_of_data_and_its_logs_add_up(feed, feed_validation):
    """A printed reconstruction and KL would not sum to the printed loss, or a kind of data would not work at all."""
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(2, hidden_units=16)
    vae.compile(keras.optimizers.Adam(0.01))
    extra = {} if feed_validation is None else {"validation_data": feed_validation(X[:7])}
    batching = {"batch_size": 4} if feed is array else {}
    history = vae.fit(feed(X), epochs=5, shuffle=False, verbose=0, **batching, **extra).history
    prefixes = ["", "val_"] if extra else [""]
    assert set(history) == {prefix + part for prefix in prefixes for part in ("loss", "reconstruction", "kl")}
    for prefix in prefixes:
        parts = np.add(history[prefix + "reconstruction"], history[prefix + "kl"])
        np.testing.assert_allclose(history[prefix + "loss"], parts, rtol=1e-6)
    assert history["loss"][-1] < history["loss"][0] - 1


@pytest.mark.parametrize("feed", [array, dataset])
def test_predict_gives_what_a_call_gives(vae, feed):
    """The shapes in the docstrings would be wrong, or an image would stand in another one's place."""
    logits, mean, log_var = vae.predict(feed(X), verbose=0)
    assert logits.shape == (10, 28, 28)
    assert mean.shape == log_var.shape == (10, 3)
    for predicted, called in zip((mean, log_var), to_numpy(*vae.encoder(X)), strict=True):
        np.testing.assert_allclose(predicted, called, rtol=1e-4, atol=1e-5)
    assert np.abs(np.diff(mean, axis=0)).max(axis=1).min() > 0.01  # else two images could change places


def test_probabilities_are_the_sigmoid_of_the_logits(vae):
    """Figures would show logits, or codes in another order."""
    z = np.random.default_rng(0).normal(size=(7, 3))
    (logits,) = to_numpy(vae.decoder(z))
    np.testing.assert_allclose(vae.probabilities(z), np.exp(-np.logaddexp(0, -logits)), rtol=1e-4, atol=1e-7)


ENTRIES = {
    "fit": lambda vae, x: vae.fit(x, verbose=0),
    "fit by keyword": lambda vae, x: vae.fit(x=x, verbose=0),
    "BinarizedBatches": lambda vae, x: utils.BinarizedBatches(x),
    "binarize": lambda vae, x: utils.binarize(x, 0),
    "log_likelihood": lambda vae, x: utils.log_likelihood(vae, x, 2),
    "show_digits": lambda vae, x: utils.show_digits(x[None]),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_images_from_0_to_255_are_refused_before_any_time_is_lost(vae, entry):
    """A reader who forgot to divide by 255 would train for minutes on nonsense."""
    with pytest.raises(ValueError, match="divide 0..255 by 255"):
        ENTRIES[entry](vae, 200 * X)
    assert int(vae.optimizer.iterations) == 0


def test_the_prior_is_the_standard_normal_distribution(vae):
    """Digits from noise, and the likelihood, would be those of another model than the KL is for."""
    z = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    densities = np.exp(-(z.astype("float64") ** 2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(ops.convert_to_numpy(vae.log_prior(z)), np.log(densities).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(vae.from_noise(z), z)
