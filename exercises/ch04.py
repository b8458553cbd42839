"""04 Evaluate the model."""

import functools

import keras
import numpy as np
from keras import layers, ops

import utils
from exercises.checks import (
    ask,
    check_outputs,
    exercise,
    expect,
    expect_near,
    numbers,
    one_of,
    originals,
    seeded,
    trained,
)


@exercise
def without_kl_and_noise(it_can):
    it_can = one_of(it_can, ("reconstruct", "draw", "both", "neither"))
    expect(it_can not in ("draw", "both"), "what would make its latent codes look like samples from the prior?")
    expect(it_can != "neither", "nothing stops it from keeping all of an image in its latent code")


@exercise
def cost_of_each_class(guess, mean_costs):
    guess = one_of(guess, range(10))
    *_, x_test, y_test = originals()
    x, y, vae = utils.binarize(x_test[::10], seed=0), y_test[::10], trained("digits")
    cost = -utils.log_likelihood(vae, x, num_samples=10)
    right = np.array([cost[y == digit].mean() for digit in range(10)])
    mistakes = [
        (-right, "a cost is minus a log-likelihood"),
        (right * np.bincount(y), "a class with more images does not cost more: take means"),
        (np.sort(right), "in the order of the digits, not of the costs"),
    ]
    hint = "the mean of -utils.log_likelihood(vae, x, num_samples=10) over the images with y == 0, with y == 1, ..."
    expect_near(ask(lambda x, y: mean_costs(vae, x, y), x, y), right, mistakes, hint, 0.01)
    return f"{right.argmin()} costs the least and {right.argmax()} the most; your guess was {guess}"


def transparent_parts(d):
    """Return an encoder and a decoder in whose outputs one can read what they were given."""
    pixels, label, z = keras.Input((28, 28)), keras.Input((10,)), keras.Input((d,))
    told = ops.matmul(label, np.linspace(-1.5, 1.5, 10 * d, dtype="float32").reshape(10, d))
    outputs = [pixels[:, row, 12 : 12 + d] + told for row in (14, 15)]
    logits = ops.pad(ops.concatenate([z, label], axis=1), ((0, 0), (0, 774 - d)))
    return keras.Model([pixels, label], outputs), keras.Model([z, label], layers.Reshape((28, 28))(logits))


@functools.cache
def fitted_with_labels(model_class, parts):
    """Return the conditional model after two epochs."""
    x_train, y_train, *_ = originals()
    keras.utils.set_random_seed(0)
    vae = model_class(*parts())
    vae.compile(keras.optimizers.Adam(2e-3))
    given = [utils.binarize(x_train, seed=0), np.eye(10, dtype="float32")[y_train]]
    vae.fit(given, batch_size=100, epochs=2, verbose=0)
    return vae


@exercise
def conditional_vae(model_class, parts, draw):
    x_train, y_train, *_ = originals()
    onehot = np.eye(10, dtype="float32")
    d = parts()[1].input_shape[0][1]
    encoder, decoder = transparent_parts(d)
    vae = model_class(encoder, decoder)
    given = [ops.convert_to_tensor(part) for part in (utils.binarize(x_train[:2000], 0), onehot[y_train[:2000]])]
    (logits, mean, log_var), (again, *_) = (check_outputs(vae.call(given)) for _ in range(2))
    expect(not logits.reshape(2000, 784)[:, d + 10 :].any(), "call should return the logits as the decoder gives them")
    unlabelled = numbers(encoder([given[0], 0 * given[1]])[0])
    expect(not np.allclose(mean, unlabelled), "is the encoder told the label?")
    wanted = [numbers(part) for part in encoder(given)]
    expect(np.allclose((mean, log_var), wanted), "call should return the encoder's mean and log_var after the logits")
    z, label = np.split(logits.reshape(2000, 784)[:, : d + 10], [d], axis=1)
    expect(np.allclose(label, onehot[y_train[:2000]]), "is the decoder told the label?")
    expect(not np.allclose(logits, again), "called twice, it repeats itself: is z sampled?")
    noise = (z - mean) / np.exp(0.5 * log_var)
    hint = "z should be sampled with the encoder's mean and log_var, as self.sampling does"
    expect(abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1, hint)

    asked = np.random.default_rng(2016).integers(10, size=2000)

    def drawn(seed):
        """Return the z from which the digits that are asked for were decoded."""
        x = numbers(draw(vae, np.copy(asked), seed))
        expect(x.shape == (2000, 28, 28), f"for 2,000 digits the shape should be (2000, 28, 28), but is {x.shape}")
        expect(x.min() >= 0 and x.max() <= 1, "probabilities are asked for, and the decoder gives logits")
        x, rest = np.split(x.reshape(2000, 784), [d + 10], axis=1)
        hint = "what comes out should be what the decoder makes of z and labels, as probabilities between 0 and 1"
        expect(np.allclose(rest, 0.5, atol=1e-3), hint)
        z, label = np.split(np.log(x / (1 - x)), [d], axis=1)
        expect(np.allclose(label, onehot[asked], atol=1e-3), "the decoder should be told the digits that are asked for")
        return z

    z = seeded(drawn)
    expect(len(np.unique(z.round(4), axis=0)) == 2000, "some have the same z: sample one for each digit")
    normal = abs(z.mean()) < 0.1 and abs(z.std() - 1) < 0.1 and abs((z**4).mean() - 3) < 0.6
    expect(normal, "the prior of z is standard normal, and these are not")

    print("training it for two epochs: about half a minute")
    x = numbers(draw(fitted_with_labels(model_class, parts), np.tile(np.arange(10), 4), 0)).reshape(4, 10, 28, 28)
    utils.show_digits(x, column_labels=range(10))
    return "each column shows the digit that was asked for"


@exercise
def a_hundred_labels(classify):
    x_train, y_train, x_test, y_test = originals()
    known = np.concatenate([np.flatnonzero(y_train == digit)[:10] for digit in range(10)])
    order = np.random.default_rng(0).permutation(10_000)
    renamed = np.array([3, 8, 0, 5, 9, 1, 7, 2, 4, 6])  # so that only the given labels help
    given = x_train[known], renamed[y_train[known]], x_test[order]
    found = ask(lambda *given: classify(trained("digits"), *given), *given)
    expect(found.shape == (10_000,), f"for 10,000 images the shape should be (10000,), but is {found.shape}")
    expect(np.isin(found, range(10)).all(), "labels are asked for, from 0 to 9")
    share = np.mean(found == renamed[y_test[order]])
    hint = f"only {share:.0%} are right: are they in the order of the images, and do they follow from the 100 labels?"
    expect(share > 0.3, hint)
    expect(share > 0.85, f"{share:.0%} are right: do the images without a label have a say?")
    return f"{share:.0%}"
