"""The two models that stand in a notebook alone: the VAE of notebook 00, and the mixture of notebook 01."""

import ast
import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops
from test_notebooks import NOTEBOOKS, parsed

import utils


def run(number, wanted, **names):
    """Run the statements of a notebook that define or assign what is wanted, and return its names."""
    for node in (node for tree in parsed(NOTEBOOKS[number]) for node in tree.body):
        targets = [ast.unparse(target) for target in getattr(node, "targets", [])]
        if getattr(node, "name", None) in wanted or set(targets) & set(wanted):
            exec(compile(ast.Module([node], []), NOTEBOOKS[number].name, "exec"), names)
    return names


@pytest.fixture(scope="module")
def page():
    """The model of notebook 00, untrained."""
    keras.utils.set_random_seed(0)
    parts = {"pixels", "h", "encoder", "z", "decoder", "VAE", "vae"}
    return run(0, parts, keras=keras, layers=layers, ops=ops, latent_dim=32)["vae"]


def test_the_page_is_the_model_that_the_series_explains(page):
    """A reader who copies notebook 00 into a project would train something else than what notebook 02 derives."""
    keras.utils.set_random_seed(0)
    x = utils.binarize(np.random.default_rng(0).random((50, 28, 28)), 0)
    model = utils.VAE(page.encoder, page.decoder)
    start, losses, trained = model.get_weights(), [], [[np.array(weight) for weight in page.trainable_weights]]
    for vae, noise in ((page, page.seed_generator), (model, model.sampling.seed_generator)):
        vae.compile(keras.optimizers.SGD(1e-4))
        model.set_weights(start)
        noise.state.assign([7, 0])
        losses.append(vae.evaluate(x, verbose=0, batch_size=50, return_dict=True)["loss"])
        noise.state.assign([7, 0])
        vae.train_on_batch(x)
        trained.append([ops.convert_to_numpy(weight) for weight in page.trainable_weights])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for before, one, other in zip(*trained, strict=True):
        assert not np.array_equal(one, before)
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.fixture(scope="module")
def mixture():
    """The steps of notebook 01 for images of six pixels, and three prototypes."""
    rng = np.random.default_rng(0)
    names = run(1, {"log_joint", "e_step", "m_step"}, np=np, mean_image=np.full((2, 3), 0.4))
    weights, prototypes = rng.dirichlet(np.ones(3)), rng.uniform(0.05, 0.95, (3, 6))
    return names, weights, prototypes, np.array(list(itertools.product((0.0, 1.0), repeat=6)))


def test_probabilities_of_all_images_add_up_to_one(mixture):
    """The likelihood that is called exact would not be one."""
    names, weights, prototypes, every_image = mixture
    posterior, log_p = names["e_step"](every_image, weights, prototypes)
    assert np.exp(log_p).sum() == pytest.approx(1)
    by_hand = [
        [w * np.prod(np.where(x, p, 1 - p)) for w, p in zip(weights, prototypes, strict=True)] for x in every_image
    ]
    np.testing.assert_allclose(np.exp(log_p), np.sum(by_hand, axis=1))
    np.testing.assert_allclose(posterior, by_hand / np.sum(by_hand, axis=1, keepdims=True))


def test_em_finds_the_mixture_that_made_the_images(mixture):
    """The prototypes would be something else than the ones that fit best."""
    names, weights, prototypes, _ = mixture
    rng = np.random.default_rng(1)
    prototypes = np.where(np.arange(6) // 2 == np.arange(3)[:, None], 0.95, 0.05)
    chosen = rng.choice(3, 50_000, p=[0.2, 0.3, 0.5])
    x = (rng.random((50_000, 6)) < prototypes[chosen]).astype(float)
    found = np.full(3, 1 / 3), (prototypes + 0.5) / 2
    for _ in range(50):
        found = names["m_step"](x, names["e_step"](x, *found)[0])
    np.testing.assert_allclose(found[0], [0.2, 0.3, 0.5], atol=0.01)
    np.testing.assert_allclose(found[1], prototypes, atol=0.02)
