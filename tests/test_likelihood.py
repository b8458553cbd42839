"""log_likelihood against integrals and sums that are worked out without it."""

import keras
import numpy as np
import pytest
from keras import ops

import utils


def to_numpy(*tensors):
    return [ops.convert_to_numpy(tensor).astype("float64") for tensor in tensors]


def log_bernoulli(x, logits):
    """log p(x|z), images by codes, in float64."""
    logits = np.asarray(logits, "float64").reshape(len(logits), -1)
    log_on, log_off = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    x = x.reshape(len(x), -1)
    return x @ log_on.T + (1 - x) @ log_off.T


@pytest.fixture(scope="module")
def digits():
    return utils.binarize(utils.load_mnist()[1][0][:400] / 255, 0)


@pytest.fixture(scope="module")
def vae(digits):
    """A VAE with one latent dimension, trained until its codes tell something of the image, that proposes N(0, 4)."""
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(1, digits.mean(0), hidden_units=32)
    vae.compile(keras.optimizers.Adam(0.01))
    vae.fit(digits, batch_size=50, epochs=3, verbose=0)
    # Trained posteriors can be so narrow that the weights of their samples have an infinite variance; N(0, 4) is not.
    for name, value in {"mean": 0.0, "log_var": np.log(4)}.items():
        head = vae.encoder.get_layer(name)
        head.kernel.assign(np.zeros(head.kernel.shape))
        head.bias.assign([value])
    return vae


@pytest.fixture(scope="module")
def integrals(vae, digits):
    """By quadrature over z, of ten images: log p(x), and the variance of p(x, z) / (p(x) q(z|x)) under q."""
    z, step = np.linspace(-10, 10, 4001, retstep=True)
    log_joint = log_bernoulli(digits[:10], vae.decoder.predict(z[:, None], 5000, verbose=0))
    assert (np.ptp(log_joint[:, 1600:2401], axis=1) > 10).all()  # else the decoder might as well ignore z
    log_joint += -(z**2) / 2 - np.log(2 * np.pi) / 2
    log_p = np.logaddexp.reduce(log_joint, axis=1) + np.log(step)
    np.testing.assert_allclose(np.logaddexp.reduce(log_joint[:, ::2], axis=1) + np.log(2 * step), log_p, atol=1e-4)
    mean, log_var = to_numpy(*vae.encoder(digits[:10]))
    log_q = -((z - mean) ** 2) / (2 * np.exp(log_var)) - log_var / 2 - np.log(2 * np.pi) / 2
    second_moment = np.exp(np.logaddexp.reduce(2 * (log_joint - log_p[:, None]) - log_q, axis=1)) * step
    return log_p, second_moment - 1


def repeated(x, bound, times):
    """Bounds of the same images with other noise each time, (times, images): cheaper than other seeds."""
    return bound(np.tile(x, (times, 1, 1))).reshape(times, len(x))


def test_log_likelihood_converges_to_the_integral_over_z(vae, digits, integrals):
    """Notebook 05's number would not be log p(x), and could not stand in a table of published ones."""
    log_p, variance = integrals
    # Importance sampling is unbiased for p(x) itself, so the mean ratio is 1.
    ratios = np.exp(repeated(digits[:10], lambda x: utils.log_likelihood(vae, x, 500), 40) - log_p)
    standard_error = np.sqrt(variance / (40 * 500))
    assert (np.abs(ratios.mean(0) - 1) < 5 * standard_error).all()
    assert (standard_error < 0.05).all()


def test_the_bound_rises_from_the_elbo_and_stays_below_log_p(vae, digits, integrals):
    """The curve of notebook 05 would fall, start elsewhere than at the ELBO, or pass what it bounds."""

    def elbo(x):
        logits, mean, log_var = to_numpy(*vae.predict(x, verbose=0))
        log_pixels = -np.logaddexp(0, np.where(x == 1, -1, 1) * logits).sum((1, 2))
        return log_pixels - (mean**2 + np.exp(log_var) - 1 - log_var).sum(-1) / 2

    bounds = [elbo] + [lambda x, k=k: utils.log_likelihood(vae, x, k) for k in (1, 5, 50)]
    draws = np.array([repeated(digits[:10], bound, 200).mean(axis=1) for bound in bounds])
    mean, error = draws.mean(axis=1), draws.std(axis=1, ddof=1) / np.sqrt(200)
    assert abs(mean[1] - mean[0]) < 5 * np.hypot(error[0], error[1])
    for lower, upper in [(0, 2), (1, 2), (2, 3)]:
        assert mean[upper] - mean[lower] > 5 * np.hypot(error[lower], error[upper])
    assert mean[3] < integrals[0].mean()


def numpy_log_likelihood(vae, x, num_samples, seed):
    """The same in one piece: log of the mean of p(x|z) p(z) / q(z|x)."""
    mean, log_var = (part[:, None] for part in to_numpy(*vae.encoder(x)))
    noise = np.random.default_rng(seed).standard_normal((len(x), num_samples, mean.shape[-1]), dtype="float32")
    z = mean + np.exp(log_var / 2) * noise
    log_prior = (-(z**2) / 2).sum(-1)
    log_posterior = (-((z - mean) ** 2) / (2 * np.exp(log_var)) - log_var / 2).sum(-1)
    log_pixels = [log_bernoulli(x[i : i + 1], vae.decoder.predict(z[i], 5000, verbose=0))[0] for i in range(len(x))]
    return np.logaddexp.reduce(log_pixels + log_prior - log_posterior, axis=1) - np.log(num_samples)


@pytest.mark.parametrize(("images", "num_samples"), [(7, 2000), pytest.param(2, 12_345, marks=pytest.mark.slow)])
def test_chunks_change_nothing(digits, images, num_samples, monkeypatch):
    """The likelihood would depend on how the work is cut into pieces that fit in memory, or on dimensions past one."""
    keras.utils.set_random_seed(0)
    vae = utils.build_vae(4, hidden_units=8)
    rng = np.random.default_rng(0)
    vae.set_weights([w + rng.normal(0, 1 / np.sqrt(len(w)), w.shape) for w in vae.get_weights()])
    sizes, predict_on_batch = [], keras.Model.predict_on_batch

    def noting_sizes(model, x):
        sizes.append(x[1].shape[0] * x[1].shape[1])
        return predict_on_batch(model, x)

    monkeypatch.setattr(keras.Model, "predict_on_batch", noting_sizes)
    bound = utils.log_likelihood(vae, digits[:images], num_samples, seed=3)
    np.testing.assert_allclose(bound, numpy_log_likelihood(vae, digits[:images], num_samples, 3), rtol=1e-5)
    assert max(sizes) <= 2500
    assert sum(sizes) == images * num_samples


class BroadPrior(utils.VAE):
    """The codes are N(1, 9)."""

    def log_prior(self, z):
        return -0.5 * ops.sum(ops.square((z - 1) / 3) + np.log(2 * np.pi * 9), axis=-1)


def test_another_prior_is_heeded(vae, digits):
    """A model that has learned its prior would be scored by the standard normal one."""
    z, step = np.linspace(-29, 31, 6001, retstep=True)
    log_joint = log_bernoulli(digits[:10], vae.decoder.predict(z[:, None], 5000, verbose=0))
    log_joint += -(((z - 1) / 3) ** 2) / 2 - np.log(2 * np.pi * 9) / 2
    log_p = np.logaddexp.reduce(log_joint, axis=1) + np.log(step)
    broad = BroadPrior(vae.encoder, vae.decoder)
    bound = repeated(digits[:10], lambda x: utils.log_likelihood(broad, x, 500), 40)
    ratios = np.exp(bound - log_p)
    standard_error = ratios.std(axis=0) / np.sqrt(40)
    assert (np.abs(ratios.mean(axis=0) - 1) < 5 * standard_error).all()
    assert (np.abs(bound.mean(axis=0) - utils.log_likelihood(vae, digits[:10], 500)) > 0.1).any()


def test_another_decoder_is_heeded(vae, digits):
    """Whoever exchanges a part of the model would get the number of the old one."""
    other = utils.VAE(vae.encoder, vae.decoder)
    before = utils.log_likelihood(other, digits[:3], 5)
    other.decoder = utils.build_vae(1, hidden_units=4).decoder
    fresh = utils.VAE(vae.encoder, other.decoder)
    after = utils.log_likelihood(other, digits[:3], 5)
    np.testing.assert_allclose(after, utils.log_likelihood(fresh, digits[:3], 5))
    assert (np.abs(after - before) > 1).all()


def blind_vae(bias):
    """A VAE whose decoder ignores z and whose encoder answers with the prior."""
    vae = utils.build_vae(2, hidden_units=4)
    for part, name in [(vae.encoder, "mean"), (vae.encoder, "log_var"), (vae.decoder, "logits")]:
        dense = part.get_layer(name)
        dense.kernel.assign(np.zeros(dense.kernel.shape))
    vae.decoder.get_layer("logits").bias.assign(bias)
    return vae


@pytest.mark.parametrize("num_samples", [1, 3, 500, 6001])
def test_a_decoder_that_ignores_z_scores_its_bernoulli_likelihood(digits, num_samples):
    """A constant would be lost, such as the log of the number of samples."""
    bias = np.random.default_rng(0).normal(0, 2, 784).astype("float32")
    bound = utils.log_likelihood(blind_vae(bias), digits[:3], num_samples)
    np.testing.assert_allclose(bound, log_bernoulli(digits[:3], bias[None])[:, 0], rtol=1e-5)


def test_a_seed_repeats_its_bound_and_another_does_not(vae, digits):
    """A reader could not reproduce a printed number, or all seeds would be one sample."""
    one, same, other = (utils.log_likelihood(vae, digits[:5], 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert (np.abs(one - other) > 1e-3).any()


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float64"])
def test_black_and_white_images_of_any_type_are_scored(vae, digits, dtype):
    """Images thresholded with x > 0.5 would meet a type error deep inside."""
    bound = utils.log_likelihood(vae, digits[:2], 3)
    np.testing.assert_allclose(utils.log_likelihood(vae, digits[:2].astype(dtype), 3), bound, rtol=1e-5)


def test_progress_is_shown_if_it_is_asked_for(vae, digits, capsys):
    """A reader would stare at an idle cell for a minute, or a script's output would be full of bars."""
    utils.log_likelihood(vae, digits[:3], 10)
    assert capsys.readouterr().out == ""
    utils.log_likelihood(vae, digits[:3], 3000, verbose=1)
    assert "3/3" in capsys.readouterr().out
