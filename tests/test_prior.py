"""The learned prior: a density that is one, samples that follow it, and a loss that bounds the right number."""

import keras
import numpy as np
import pytest
from keras import ops

import utils
from utils import Flow, FlowVAE


def shaken(flow, scale=0.1):
    """Give a flow weights that are not those of the start."""
    rng = np.random.default_rng(0)
    flow.set_weights([w + scale * rng.standard_normal(w.shape) for w in flow.get_weights()])
    return flow


def flow_vae(d):
    plain = utils.build_vae(d, hidden_units=16)
    vae = FlowVAE(plain.encoder, plain.decoder, shaken(Flow(d)))
    vae.compile("adam")
    return vae


def log_prior_on_a_grid(vae):
    """Return log p(z) at the points of a grid in the plane, and the area of a cell."""
    ticks, spacing = np.linspace(-12, 12, 401, retstep=True)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2).astype("float32")
    return ops.convert_to_numpy(vae.log_prior(grid)).astype("float64"), spacing**2


@pytest.mark.parametrize("d", [2, 5, 32])
def test_inverse_goes_back(d):
    """Samples would not come from the density that was trained."""
    flow, z = shaken(Flow(d)), np.random.default_rng(1).normal(size=(50, d)).astype("float32")
    noise, _ = flow(z)
    np.testing.assert_allclose(ops.convert_to_numpy(flow.inverse(noise)), z, atol=1e-3)
    np.testing.assert_allclose(ops.convert_to_numpy(flow(flow.inverse(z))[0]), z, atol=1e-3)


def test_one_dimension_is_refused():
    """With nothing to read, a coupling's network ends the process on TensorFlow."""
    with pytest.raises(ValueError, match="two dimensions or more"):
        Flow(1)


def test_starts_as_the_standard_normal():
    """The first step of a training would be a leap."""
    plain = utils.build_vae(32, hidden_units=8)
    vae = FlowVAE(plain.encoder, plain.decoder, Flow(32))
    z = np.random.default_rng(1).normal(size=(20, 32)).astype("float32")
    np.testing.assert_allclose(vae.log_prior(z), utils.VAE.log_prior(vae, z), rtol=1e-5)


def test_density_integrates_to_one():
    """A likelihood made with it would be none: in two dimensions the sum over a grid shows it."""
    log_p, area = log_prior_on_a_grid(flow_vae(2))
    assert np.exp(log_p).sum() * area == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_samples_follow_the_density():
    """Digits from noise would be those of another prior: the mean log-density of samples is minus the entropy."""
    vae, noise = flow_vae(2), np.random.default_rng(2).standard_normal((100_000, 2), dtype="float32")
    log_p, area = log_prior_on_a_grid(vae)
    of_samples = ops.convert_to_numpy(vae.log_prior(vae.from_noise(noise)))
    error = of_samples.std() / np.sqrt(len(noise))
    assert of_samples.mean() == pytest.approx((np.exp(log_p) * log_p).sum() * area, abs=5 * error + 0.01)


def test_loss_is_the_bound_with_one_sample():
    """The training would minimise something else than what log_likelihood measures."""
    vae, x = flow_vae(3), utils.binarize(np.full((20, 28, 28), 0.3), 0)
    found = vae.evaluate(np.tile(x, (100, 1, 1)), batch_size=500, verbose=0, return_dict=True)
    bound = -utils.log_likelihood(vae, np.tile(x, (100, 1, 1)), num_samples=1)
    assert found["loss"] == pytest.approx(bound.mean(), abs=10 * bound.std() / np.sqrt(len(bound)) + 0.05)
    assert found["reconstruction"] + found["kl"] == pytest.approx(found["loss"], rel=1e-4)


def test_comes_back_from_a_file(tmp_path):
    """A model with a learned prior would be lost, or come back with another prior."""
    vae, z = flow_vae(3), np.ones((2, 3), "float32")
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(loaded.log_prior(z), vae.log_prior(z), rtol=1e-6)
