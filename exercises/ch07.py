"""07 Learn the prior."""

import keras
import numpy as np

import utils
from exercises.checks import ask, exercise, expect_near, numbers, one_of, originals, trained


@exercise
def largest_estimate(nats):
    mistakes = [(np.log(10_000), "that was with 10,000 images"), (np.log2(60_000), "these are bits, not nats")]
    expect_near(nats, np.log(60_000), mistakes, "the mixture holds q(z|x) / N: how far below q(z|x) can it be?")


def covered(a, b, radius):
    """Return the share of a, (n, d), with a point of b, (m, d), within the radius given for a or for b."""
    return np.mean((np.linalg.norm(a[:, None] - b, axis=-1) <= radius).any(axis=1))


@exercise
def coverage(guess, coverage):
    guess = one_of(guess, ("more", "less"))
    rng = np.random.default_rng(0)
    samples, real = rng.normal(size=(300, 3)) * (0.6, 1, 2), rng.normal(size=(200, 3))
    to_real, to_samples = (np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1) for x in (real, samples))
    hint = "it should be the share of real digits whose ball holds a sample"
    for k in (5, 2):
        right = covered(real, samples, to_real[:, k, None])
        mistakes = [
            (covered(real, samples, to_real[:, k - 1, None]), "the nearest to an image is itself: it is no neighbour"),
            (covered(real, samples, to_samples[:, k]), "the balls should be those around the real digits"),
            (covered(samples, real, to_real[:, k]), "of which set is it the share?"),
            (200 * right, "a share is a mean"),
        ]
        expect_near(coverage(samples.astype("float32"), real.astype("float32"), k), right, mistakes, hint)
    classifier, vae = trained("classifier"), trained("digits_flow")
    features = keras.Model(classifier.inputs, classifier.layers[1].output)
    noise = rng.standard_normal((2000, 32), dtype="float32")
    images = [originals()[2][::5], *(vae.probabilities(vae.from_noise(t * noise)) for t in (1, 0.5))]
    real, *both = (features.predict(x, batch_size=1000, verbose=0) for x in images)
    shares = [float(numbers(coverage(samples, real, 5))) for samples in both]
    return f"at 1 the samples cover {shares[0]:.0%} of the real digits, at 0.5 {shares[1]:.0%}; your guess was {guess}"


@exercise
def mixture_prior(log_prior):
    rng = np.random.default_rng(0)
    z, means, log_vars = (rng.normal(size=shape).astype("float32") for shape in ((20, 4), (7, 4), (7, 4)))
    z[0] += 20  # there e^(log density) is 0

    def each(z, means, log_vars):
        terms = np.square(z[:, None] - means) / np.exp(log_vars) + log_vars + np.log(2 * np.pi)
        return -0.5 * terms.astype("float64").sum(axis=-1)

    logs = each(z, means, log_vars)
    right = np.logaddexp.reduce(logs, axis=1) - np.log(7)
    mistakes = [
        (right + np.log(7), "the weights are 1 / K each, so that the density integrates to one"),
        (logs.mean(axis=1), "this is the mean of logarithms, but the logarithm of a mean is asked for"),
        (right + 2 * np.log(2 * np.pi), "a factor of 2 pi is missing in each dimension"),
    ]
    hint = "for each z the log-densities of all K Gaussians, then the logarithm of their mean"
    found = ask(log_prior, z, means, log_vars, if_not_finite="far out there is a log 0: use logsumexp")
    expect_near(found, right, mistakes, hint, 3e-6)


@exercise
def walk_through_noise(walk):
    vae = trained("digits_flow")
    mean = numbers(vae.encoder(originals()[2][:2])[0]).astype("float32")
    noise = numbers(vae.flow(mean)[0]).astype("float32")
    weights = np.linspace(0, 1, 7, dtype="float32")[:, None]

    def between(a, b):
        return (1 - weights) * a + weights * b

    straight, right = vae.probabilities(between(*mean)), vae.probabilities(vae.from_noise(between(*noise)))
    found = numbers(walk(vae, np.copy(mean[0]), np.copy(mean[1]), 7))
    mistakes = [
        (straight, "this is the straight line between the latent codes: go through the noise"),
        (right[::-1], "it goes from the end to the start"),
    ]
    hint = "noise of both ends with vae.flow, equal steps between, back with vae.from_noise, and decoded"
    expect_near(found, right, mistakes, hint, 5e-3)
    utils.show_digits(np.stack([straight, right]), row_labels=["straight", "through noise"], width=7)
    return "above: the straight line; below: the walk through noise"
