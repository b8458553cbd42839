"""07 Learn the prior."""

import numpy as np
from keras import ops

import utils
from exercises.checks import ask, exercise, expect, expect_near, numbers, one_of, originals, seeded, trained


@exercise
def largest_estimate(nats):
    mistakes = [(np.log(10_000), "that was with 10,000 images"), (np.log2(60_000), "these are bits, not nats")]
    expect_near(nats, np.log(60_000), mistakes, "the mixture holds q(z|x) / N: how far below q(z|x) can it be?")


class Transparent:
    """A model of 6 dimensions in whose images one can read the noise: latent codes are 3 times the noise."""

    def from_noise(self, noise):
        return 3 * ops.convert_to_tensor(noise)

    def probabilities(self, z):
        z = numbers(z)
        expect(z.shape[1:] == (6,), f"the noise should be (n, latent_dim), here (n, 6), not {z.shape}")
        return np.pad(1 / (1 + np.exp(-z)), ((0, 0), (0, 778)), constant_values=0.5).reshape(-1, 28, 28)


@exercise
def temperature(guess, sample):
    guess = one_of(guess, ("up", "down"))

    def noise(seed):
        x = numbers(sample(Transparent(), 3000, 6, 0.5, seed))
        expect(x.shape == (3000, 28, 28), f"for 3,000 samples the shape should be (3000, 28, 28), but is {x.shape}")
        return np.log(x / (1 - x)).reshape(3000, 784)[:, :6]

    found = seeded(noise)
    mistakes = [
        (0.5, "the noise has to go through vae.from_noise before it is decoded"),
        (3.0, "the noise is not scaled"),
        (3 * 0.5**0.5, "its standard deviation should be the temperature, and not its variance"),
    ]
    expect_near(found.std(), 1.5, mistakes, "the noise should be standard normal times the temperature", 0.03)
    alike = np.abs(np.corrcoef(found.T) - np.eye(6)).max()
    expect(alike < 0.1, "each dimension needs random numbers of its own")
    classifier, shares = trained("classifier"), []
    for t in (1.0, 0.5):
        x = numbers(sample(trained("digits_flow"), 1000, 32, t, 0)).astype("float32")
        shares.append(utils.clear(classifier, x))
    return f"at 1 {shares[0]:.0%} of the samples are clear, at 0.5 {shares[1]:.0%}; your guess was {guess}"


@exercise
def mixture_prior(log_prior):
    rng = np.random.default_rng(0)
    z, means, log_vars = (rng.normal(size=shape).astype("float32") for shape in ((20, 4), (7, 4), (7, 4)))
    z[0] += 200  # there e^(log density) is 0

    def each(z, means, log_vars):
        terms = np.square(z[:, None] - means) / np.exp(log_vars) + log_vars + np.log(2 * np.pi)
        return -0.5 * terms.astype("float64").sum(axis=-1)

    logs = each(z, means, log_vars)
    right = np.logaddexp.reduce(logs, axis=1) - np.log(7)
    mistakes = [
        (right + np.log(7), "the weights are 1 / K each, so that the density integrates to one"),
        (logs.mean(axis=1), "this is the mean of logarithms, and the logarithm of a mean is asked for"),
        (right + 2 * np.log(2 * np.pi), "a factor of 2 pi is missing in each dimension"),
    ]
    hint = "for each z the log-densities of all K Gaussians, then the logarithm of their mean"
    found = ask(log_prior, z, means, log_vars, if_not_finite="far out there is a log 0: use logsumexp")
    expect_near(found, right, mistakes, hint, 1e-5)


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
    return "above the straight line, below the walk through the noise"
