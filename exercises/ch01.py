"""01 Explore the digits."""

import numpy as np
from keras import ops

import utils
from exercises import ask, exercise, expect, expect_near, numbers, originals


@exercise
def bytes_of_the_mean_image(bytes_per_image):
    nats = 206.0
    mistakes = [
        (nats / np.log(2), "these are bits, and a byte has eight"),
        (nats / 8, "these would be bytes if a nat were a bit: how many bits is a nat?"),
        (nats * np.log(2) / 8, "a nat is more than a bit, not less"),
    ]
    expect_near(bytes_per_image, nats / np.log(2) / 8, mistakes, "from nats to bits, and from bits to bytes", 0.01)


@exercise
def class_means(guess, cost_with_labels):
    numbers(guess)
    x_train, y_train, x_test, y_test = originals()
    x = utils.binarize(x_test, seed=0)

    def nats(known, x):
        return float(ops.mean(utils.reconstruction_loss(x, utils.log_odds(known))))

    def cost(x_train, y_train, x, y):
        return nats(np.stack([x_train[y_train == digit].mean(axis=0) for digit in range(10)])[y], x)

    alone = nats(x_train.mean(axis=0), x)
    right = cost(x_train, y_train, x, y_test) + np.log(10)
    mistakes = [
        (right - np.log(10), "the receiver does not know the labels: sending one of ten costs ln 10 nats"),
        (alone + np.log(10), "this is the cost with one mean image for all: take that of each image's own class"),
        (2 * np.log(10) - right, "a cost is minus a log-probability"),
    ]
    hint = "sum over the pixels, average over the images, keep the means between 0.001 and 0.999, add ln 10"
    expect_near(ask(cost_with_labels, x_train, y_train, x, y_test), right, mistakes, hint, 1e-4)
    few = x_train[:5000], y_train[:5000], x[:500], y_test[:500]
    hint = "with other images the cost is not right: does the function use those that it gets, and nothing else?"
    expect_near(ask(cost_with_labels, *few), cost(*few) + np.log(10), [], hint, 1e-4)
    return f"it saves {alone - right:.0f} of {alone:.0f} nats, and your guess was {guess}"


@exercise
def pca_as_a_model(draw_digits):
    flat = originals()[0].reshape(-1, 784)
    mean = flat.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False))
    variances, directions = variances[::-1], directions[:, ::-1]
    x = numbers(
        draw_digits(4000, 0), "some are NaN: eigh gives the smallest eigenvalues first, and some are just below 0"
    )
    expect(x.shape == (4000, 28, 28), f"the shape should be (4000, 28, 28), but is {x.shape}")
    x = x.reshape(-1, 784)
    expect(np.abs(x.mean(axis=0) - mean).max() < 0.1, "the mean of the draws should be the mean image: was it added?")
    found = (x - mean) @ directions
    used = (found.var(axis=0) > 1e-3).sum()
    expect(used > 0, "there is hardly any variance: eigh gives the smallest eigenvalues first")
    expect(x.min() < 0 and x.max() > 1, "all lie between 0 and 1: leave them as they are, unclipped")
    expect(used == 32, f"the draws vary along {used} components, and should along the first 32")
    ratio, found = found.var(axis=0)[:32] / variances[:32], found[:, :32] / np.sqrt(variances[:32])
    squared = np.allclose(ratio, variances[:32], rtol=0.3)
    expect(not squared, "is it the standard deviation, the root of an eigenvalue, that noise is multiplied by?")
    expect(np.allclose(ratio, 1, atol=0.15), "each component should have its own variance, the eigenvalue")
    for values in (found, found**2):
        alike = np.abs(np.corrcoef(values.T) - np.eye(32)).max()
        expect(alike < 0.15, "the components are not independent: each needs random numbers of its own")
    expect(np.abs((found**4).mean(axis=0) - 3).max() < 0.9, "the components should be normally distributed")
    again, same, other = (numbers(draw_digits(3, seed)) for seed in (1, 1, 2))
    expect(again.shape == (3, 28, 28), f"for three digits the shape should be (3, 28, 28), but is {again.shape}")
    expect(np.allclose(again, same, atol=1e-3), "the same seed should give the same images")
    expect(not np.allclose(again, other, atol=1e-3), "another seed should give other images")
