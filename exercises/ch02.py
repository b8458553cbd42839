"""02 Build the model."""

import numpy as np

import utils
from exercises.checks import ask, exercise, expect, expect_near, numbers, one_of, originals, trained


@exercise
def zero_terms(of_a_model_that_ignores_its_code, of_a_decoder_that_never_errs):
    ignored = one_of(of_a_model_that_ignores_its_code, ("reconstruction", "KL"))
    perfect = one_of(of_a_decoder_that_never_errs, ("reconstruction", "KL"))
    expect(ignored == "KL", "a latent code that is ignored need not be sent: which term is its price?")
    expect(perfect == "reconstruction", "where there are no errors, which term has nothing to mend?")


@exercise
def halved_deviations(guess, change_of_kl):
    guess = one_of(guess, ("up", "down"))
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(size=(50, 32)).astype("float32"), rng.normal(-1, 1, size=(50, 32)).astype("float32")

    def change(old, new):
        return 0.5 * (np.exp(new) - np.exp(old) + old - new).sum(axis=1).mean()

    right = change(log_var, log_var - 2 * np.log(2))
    mistakes = [
        (change(log_var, log_var - np.log(2)), "this halves the variances; the standard deviations are their roots"),
        (change(log_var, log_var / 2), "half a logarithm is the logarithm of the root, not of the half"),
        (-right, "the sign is wrong: what it is afterwards, minus what it was before"),
    ]
    hint = "the new log-variances, their KL, minus the old KL, averaged over the images"
    expect_near(ask(change_of_kl, mean, log_var), right, mistakes, hint)
    log_var = numbers(trained("digits").encoder(utils.binarize(originals()[2][:1000], 0))[1])
    halved = change(log_var, log_var - 2 * np.log(2))
    goes = f"the KL goes {'up' if halved > 0 else 'down'} by {abs(halved):.1f} nats"
    return f"this is how to compute it. In `digits` {goes}; you guessed {guess}"


@exercise
def kl_between_two(kl_between):
    m, v, n, w = np.random.default_rng(0).normal(size=(4, 20, 8)).astype("float32")

    def kl(m, v, n, w):
        return 0.5 * (w - v + (np.exp(v) + (m - n) ** 2) / np.exp(w) - 1).sum(axis=1)

    mistakes = [
        (kl(n, w, m, v), "this is the divergence of the second from the first: it is not symmetric"),
        (kl(m, v, n, w) / 8, "sum over the dimensions: independent ones add up"),
        (kl(m, v, 0, 0) - kl(n, w, 0, 0), "two divergences from N(0, I) do not subtract to the one between them"),
    ]
    hint = "write the expectation of log q - log p under q, as in the section on the KL term"
    expect_near(ask(kl_between, m, v, n, w), kl(m, v, n, w), mistakes, hint)


@exercise
def kl_full_covariance(kl_full):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(20, 5)).astype("float32")
    factor = np.tril(rng.normal(size=(20, 5, 5)) * 0.5, -1) + np.exp(rng.normal(size=(20, 1, 5)) * 0.5) * np.eye(5)
    factor = factor.astype("float32")
    diagonal = np.diagonal(factor, axis1=1, axis2=2)
    log_det, trace = np.log(diagonal).sum(axis=1), (factor**2).sum(axis=(1, 2))
    right = 0.5 * ((mean**2).sum(axis=1) + trace - 5) - log_det
    alone = right + 0.5 * ((diagonal**2).sum(axis=1) - trace)
    mistakes = [
        (alone, "the trace of L Lᵀ has all entries of L in it, not the diagonal alone"),
        (right + 0.5 * log_det, "det(L Lᵀ) is det(L) squared"),
        (right + 2.5, "N(0, I) itself should cost 0: what is missing?"),
    ]
    hint = "KL = ½ (trace of the covariance + |mean|² - d - log det of the covariance), and the covariance is L Lᵀ"
    expect_near(ask(kl_full, mean, factor), right, mistakes, hint)
