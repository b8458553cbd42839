"""01 Explore the digits."""

import functools

import numpy as np
from keras import ops

import utils
from exercises.checks import ask, exercise, expect, expect_bytes, expect_near, numbers, originals, seeded


@exercise
def bytes_of_the_mean_image(bytes_per_image):
    expect_bytes(bytes_per_image, 206.0, "from nats to bits, and from bits to bytes")


@exercise
def class_means(guess, cost_with_labels):
    numbers(guess)
    x_train, y_train, x_test, y_test = originals()

    def nats(known, x):
        return float(ops.mean(utils.reconstruction_loss(x, utils.logit(known))))

    def cost(x_train, y_train, x, y):
        means = np.stack([x_train[y_train == digit].mean(axis=0) for digit in range(10)])
        return nats(means[y], x) + np.log(10)

    given = x_train, y_train, utils.binarize(x_test, seed=0), y_test
    alone, right = nats(x_train.mean(axis=0), given[2]), cost(*given)
    mistakes = [
        (right - np.log(10), "the receiver does not know the labels: sending one of ten costs ln 10 nats"),
        (alone + np.log(10), "this is the cost with one mean image for all: take that of each image's own class"),
        (right / np.log(2), "these are bits: nats come from natural logarithms"),
    ]
    hint = "check it: training means within [0.001, 0.999], sum over the pixels, mean over the images, plus ln 10"
    expect_near(ask(cost_with_labels, *given), right, mistakes, hint, 1e-4)
    few = x_train[:5000], y_train[:5000], given[2][:500], y_test[:500]
    hint = "with other images the cost is not right: does the function use those that it gets, and nothing else?"
    expect_near(ask(cost_with_labels, *few), cost(*few), [], hint, 1e-4)
    return f"it saves {alone - right:.0f} of {alone:.0f} nats, and your guess was {guess}"


@functools.cache
def principal_components():
    """Return the mean (784,) of the training images, and variances and directions, the largest variance first."""
    flat = originals()[0].reshape(-1, 784)
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False))
    return flat.mean(axis=0), variances[::-1], directions[:, ::-1]


@exercise
def pca_as_a_model(draw_digits):
    mean, variances, directions = principal_components()
    x = numbers(draw_digits(4000, 0), "some are NaN: eigh gives the smallest eigenvalues first, some just below 0")
    expect(x.shape == (4000, 28, 28), f"the shape should be (4000, 28, 28), but is {x.shape}")
    off = x.reshape(-1, 784) - mean
    expect(np.abs(off.mean(axis=0)).max() < 0.1, "the mean of the samples should be the mean image, but is not")
    found = off @ directions
    used = (found.var(axis=0) > 1e-3).sum()
    expect(used > 0, "there is hardly any variance: eigh gives the smallest eigenvalues first")
    expect(x.min() < 0 and x.max() > 1, "all lie between 0 and 1: leave them as they are, unclipped")
    expect(used == 32, f"the samples vary along {used} components, not along the first 32")
    ratio, found = found.var(axis=0)[:32] / variances[:32], found[:, :32] / np.sqrt(variances[:32])
    squared = np.allclose(ratio, variances[:32], rtol=0.3)
    expect(not squared, "is it the standard deviation, the root of an eigenvalue, that noise is multiplied by?")
    right = np.allclose(ratio, 1, atol=0.15) and abs(ratio.mean() - 1) < 0.03
    expect(right, "each component should have its own variance, the eigenvalue")
    for values in (found, found**2):
        alike = np.abs(np.corrcoef(values.T) - np.eye(32)).max()
        expect(alike < 0.15, "the components are not independent: each needs random numbers of its own")
    expect(np.abs((found**4).mean(axis=0) - 3).max() < 0.9, "the components should be normally distributed")
    three = seeded(lambda seed: numbers(draw_digits(3, seed)))
    expect(three.shape == (3, 28, 28), f"for three digits the shape should be (3, 28, 28), but is {three.shape}")
