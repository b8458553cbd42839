"""05 Measure the likelihood."""

import functools

import numpy as np

import utils
from exercises.checks import ask, exercise, expect, expect_bytes, expect_near, numbers, one_of, originals, trained


@exercise
def few_samples(put_at_a_disadvantage):
    answer = one_of(put_at_a_disadvantage, ("10 samples", "10,000 samples"))
    expect(answer == "10 samples", "on average the bound on log p(x) rises with the number of samples")


@exercise
def bytes_of_an_image(guess, bytes_needed):
    numbers(guess)
    hint = "minus the bound with 500 samples, from nats to bits, from bits to bytes, averaged over the images"
    halves = np.split(utils.binarize(originals()[2][:40], seed=0), 2)
    for vae, x in zip((trained("digits"), trained("benchmark")), halves, strict=True):
        nats = -utils.log_likelihood(vae, x, num_samples=500).mean()
        expect_bytes(ask(functools.partial(bytes_needed, vae), x), nats, hint)
    blank = numbers(bytes_needed(vae, np.zeros((1, 28, 28), "float32")))
    return f"a blank image takes {blank.mean():.1f} bytes; your guess was {guess}"


@exercise
def bound_for_every_k(bounds):
    log_w = np.random.default_rng(0).normal(np.linspace(-3000, -100, 40)[:, None], 3, size=(40, 60)).astype("float32")
    k = np.arange(1, 61)
    totals = np.logaddexp.accumulate(log_w.astype("float64"), axis=1)
    mistakes = [
        (totals.mean(axis=0), "this is the logarithm of a sum: a mean is divided by k"),
        ((np.cumsum(log_w, axis=1) / k).mean(axis=0), "this is the mean of logarithms, the ELBO, for every k"),
        ((np.log(k) - totals).mean(axis=0), "the bounds on log p(x) are asked for, not those on -log p(x)"),
    ]
    hint = "for each image the logarithm of the mean of its first k weights (columns); then the mean over images"
    found = ask(bounds, log_w, if_not_finite="there is a log 0 in it, or an e^-2000, which is 0: stay with logarithms")
    expect_near(found, (totals - np.log(k)).mean(axis=0), mistakes, hint, 3e-6)
