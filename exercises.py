"""Checks for the exercises at the end of the notebooks: each prints "right", "not attempted yet", or what is wrong.

They test what an answer does, not how it is written. Some of them give an answer away, so try first.
"""

import contextlib
import functools
import tempfile
import traceback

import keras
import numpy as np
from keras import layers, ops
from PIL import Image

import utils

# The solutions set this, so that one that is not right is an error there.
must_be_right = False


class Wrong(Exception):
    """Says what is wrong with an answer, and gives a hint."""


class NotAttempted(Exception):
    """A function still returns the ... that is to be filled in."""


def expect(holds, hint):
    """Raise Wrong with this hint unless something holds."""
    if not holds:
        raise Wrong(hint)


def expect_near(answer, right, mistakes, otherwise, tolerance=1e-3):
    """Raise Wrong unless the answer, a number or an array, is right; mistakes are pairs: what came out, and a hint."""
    answer, right = numbers(answer), numbers(right)
    expect(answer.shape == right.shape, f"the shape should be {right.shape}, but is {answer.shape}")

    def near(value):
        return np.shape(value) == answer.shape and np.allclose(
            answer, value, rtol=tolerance, atol=tolerance * (np.abs(value).max() or 1)
        )

    if not near(right):
        raise Wrong(next((hint for value, hint in mistakes if near(numbers(value))), otherwise))


def numbers(answer):
    """Return an answer as a NumPy array of float64, and raise Wrong if it is none."""
    if answer is ...:
        raise NotAttempted
    expect(answer is not None, "the function returns nothing: does it end with a return?")
    try:
        return np.asarray(ops.convert_to_numpy(answer), "float64")
    except Exception:
        raise Wrong(f"numbers are asked for, not {answer!r:.60}") from None


def place(error):
    """Say in which line of an answer an error arose, if it was in one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    frames = [frame for frame in frames if frame.filename not in (__file__, utils.__file__)]
    return f" at `{frames[-1].line}`" if frames and frames[-1].line else ""


def exercise(check):
    """Make a check that raises Wrong into one that prints its verdict."""

    @functools.wraps(check)
    def run(*answers):
        try:
            if any(answer is ... for answer in answers):
                raise NotAttempted
            found = check(*answers)
        except NotAttempted:
            verdict = "not attempted yet"
        except Wrong as wrong:
            verdict = f"not right yet: {wrong}"
        except Exception as error:
            verdict = f"not right yet: it stops{place(error)} with {type(error).__name__}: {error}"
        else:
            print("right" + (f": {found}" if found else ""))
            return
        print(verdict)
        if must_be_right:
            raise AssertionError(verdict)

    run.is_check = True
    return run


@functools.cache
def mnist():
    """Return x_train, y_train, x_test, y_test, the images in [0, 1]."""
    (x_train, y_train), (x_test, y_test) = utils.load_mnist()
    return x_train.astype("float32") / 255, y_train, x_test.astype("float32") / 255, y_test


@functools.cache
def trained(name):
    """Return utils.load_vae(name), which says nothing here."""
    with contextlib.redirect_stdout(None):
        return utils.load_vae(name)


def nearest(known, labels, x):
    """Return the label of the nearest of the known images, (n, 28, 28), for each image of x: (m,)."""
    known, x = known.reshape(len(known), -1), x.reshape(len(x), -1)
    return labels[((known**2).sum(axis=1) - 2 * x @ known.T).argmin(axis=1)]


def one_of(answer, choices):
    """Raise Wrong unless the answer is one of the choices."""
    expect(answer in choices, f"the answer should be one of {', '.join(map(repr, choices))}, not {answer!r}")


def three(outputs):
    """Return what call returned, or say what it should return."""
    if outputs is ...:
        raise NotAttempted
    expect(isinstance(outputs, (tuple, list)) and len(outputs) == 3, "call should return the logits, mean and log_var")
    return outputs


# ------------------------------------------------------------------------------------------------ 01 explore the digits


@exercise
def bytes_of_the_mean_image(bytes_per_image):
    nats = 206.0
    expect_near(
        bytes_per_image,
        nats / np.log(2) / 8,
        [
            (nats, "these are nats"),
            (nats / np.log(2), "these are bits, and a byte has eight"),
            (nats / 8, "these would be bytes if a nat were a bit: how many bits is a nat?"),
            (nats * np.log(2) / 8, "a nat is more than a bit, not less"),
        ],
        "from nats to bits, and from bits to bytes",
        tolerance=0.01,
    )


@exercise
def class_means(guess, cost_with_labels):
    numbers(guess)
    x_train, y_train, x_test, y_test = mnist()
    x = utils.binarize(x_test, seed=0)
    means = np.stack([x_train[y_train == digit].mean(axis=0) for digit in range(10)])
    logits = utils.log_odds(means)[y_test]
    cost = float(ops.mean(utils.reconstruction_loss(x, logits)))
    alone = float(ops.mean(utils.reconstruction_loss(x, utils.log_odds(x_train.mean(axis=0)))))
    expect_near(
        cost_with_labels(x_train, y_train, x, y_test),
        cost + np.log(10),
        [
            (cost, "the receiver does not know the labels: sending one of ten costs ln 10 nats"),
            (alone, "this is the cost with one mean image for all: take that of each image's own class"),
            (alone + np.log(10), "this is the cost with one mean image for all: take that of each image's own class"),
            (-cost + np.log(10), "a cost is minus a log-probability"),
        ],
        "sum over the pixels, average over the images, keep the means between 0.001 and 0.999, add ln 10",
        tolerance=1e-4,
    )
    return f"it saves {alone - cost - np.log(10):.0f} of {alone:.0f} nats, and your guess was {guess}"


@exercise
def pca_as_a_model(draw_digits):
    x_train, *_ = mnist()
    flat = x_train.reshape(-1, 784)
    variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False))
    variances, directions = variances[::-1], directions[:, ::-1]
    x = numbers(draw_digits(4000, seed=0))
    expect(x.shape == (4000, 28, 28), f"the shape should be (4000, 28, 28), but is {x.shape}")
    x = x.reshape(-1, 784)
    expect(np.isfinite(x).all(), "some are NaN: eigh gives the smallest eigenvalues first, and some are just below 0")
    off = np.abs(x.mean(axis=0) - flat.mean(axis=0)).max()
    expect(off < 0.1, "the mean of the draws should be the mean image: was it added?")
    total = x.var(axis=0).sum() / variances[:32].sum()
    expect(total > 0.1, "there is hardly any variance: eigh gives the smallest eigenvalues first")
    expect(x.min() < 0, "no value is below 0: leave the draws as they are, and do not clip them")
    expect(
        abs(total - 1) < 0.05,
        f"the draws have {total:.2f} times the variance of the first 32 components: is it the standard deviation, "
        "the root of an eigenvalue, that noise is multiplied by?",
    )
    found = ((x - flat.mean(axis=0)) @ directions).var(axis=0)
    expect(found[32:].max() < 1e-3, "the draws should lie in the space of the first 32 components")
    expect(np.allclose(found[:32], variances[:32], rtol=0.15), "each component should have its own variance")
    again, other = numbers(draw_digits(3, seed=1)), numbers(draw_digits(3, seed=2))
    expect(np.array_equal(again, numbers(draw_digits(3, seed=1))), "the same seed should give the same images")
    expect(not np.array_equal(again, other), "another seed should give other images")


# --------------------------------------------------------------------------------------------------- 02 build the model


@exercise
def zero_terms(of_a_model_that_ignores_its_code, of_a_decoder_that_never_errs):
    terms = ("reconstruction", "KL")
    one_of(of_a_model_that_ignores_its_code, terms)
    one_of(of_a_decoder_that_never_errs, terms)
    expect(
        of_a_model_that_ignores_its_code == "KL", "a code that is ignored need not be sent: which term is its price?"
    )
    expect(
        of_a_decoder_that_never_errs == "reconstruction", "where there are no errors, which term has nothing to mend?"
    )


@exercise
def halved_deviations(guess, change_of_kl):
    one_of(guess, ("up", "down"))
    rng = np.random.default_rng(0)
    mean, log_var = rng.normal(size=(50, 32)), rng.normal(-1, 1, size=(50, 32))
    kl = utils.kl_divergence(mean, log_var)

    def change(new):
        return float(ops.mean(utils.kl_divergence(mean, new) - kl))

    right = change(log_var - 2 * np.log(2))
    expect_near(
        change_of_kl(mean, log_var),
        right,
        [
            (change(log_var - np.log(2)), "this halves the variances; the standard deviations are their roots"),
            (change(log_var / 2), "half a logarithm is the logarithm of the root, not of the half"),
            (change(0.25 * log_var), "a quarter of a logarithm is not the logarithm of a quarter"),
            (-right, "the sign is wrong: what it is afterwards, minus what it was before"),
            (50 * right, "take the mean over the images, not the sum"),
        ],
        "the new log-variances, their KL, minus the old KL, averaged over the images",
    )
    outputs = trained("digits").encoder(utils.binarize(mnist()[2][:1000], 0))
    halved = float(change_of_kl(*map(numbers, outputs)))
    direction = "up" if halved > 0 else "down"
    return f"this is how to compute it. In digits the KL goes {direction} by {halved:.1f} nats; you guessed {guess}"


@exercise
def kl_between_two(kl_between):
    rng = np.random.default_rng(0)
    m, v, n, w = rng.normal(size=(4, 20, 8))

    def kl(m, v, n, w):
        return 0.5 * (w - v + (np.exp(v) + (m - n) ** 2) / np.exp(w) - 1).sum(axis=1)

    forgot_half = 2 * kl(m, v, n, w)
    flipped = 0.5 * (v - w + (np.exp(v) + (m - n) ** 2) / np.exp(w) - 1).sum(axis=1)
    undivided = 0.5 * (w - v + np.exp(v) / np.exp(w) + (m - n) ** 2 - 1).sum(axis=1)
    difference = utils.kl_divergence(m, v) - utils.kl_divergence(n, w)
    expect_near(
        kl_between(m, v, n, w),
        kl(m, v, n, w),
        [
            (kl(n, w, m, v), "this is the divergence of the second from the first: it is not symmetric"),
            (forgot_half, "twice too much"),
            (flipped, "the sign of the log-variances is wrong: a broad second distribution costs more"),
            (kl(m, v, n, w) / 8, "sum over the dimensions: independent ones add up"),
            (kl(m, 2 * v, n, 2 * w), "exp(log_var) is the variance already: there is nothing to square"),
            (undivided, "a distance between means counts in units of the second standard deviation"),
            (difference, "two divergences from N(0, I) do not subtract to the one between them"),
        ],
        "write the expectation of log q - log p under q, as in the section on the KL term",
    )
    expect_near(kl_between(m, v, m, v), np.zeros(20), [], "it should be 0 where both are the same", tolerance=1e-6)


@exercise
def kl_full_covariance(kl_full):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(20, 5))
    factor = np.tril(rng.normal(size=(20, 5, 5)) * 0.5, -1) + np.exp(rng.normal(size=(20, 1, 5)) * 0.5) * np.eye(5)
    diagonal = np.diagonal(factor, axis1=1, axis2=2)
    log_det = np.log(diagonal).sum(axis=1)
    squares, trace, only = (mean**2).sum(axis=1), (factor**2).sum(axis=(1, 2)), (diagonal**2).sum(axis=1)
    right = 0.5 * (squares + trace - 5) - log_det
    expect_near(
        kl_full(mean, factor),
        right,
        [
            (
                0.5 * (squares + only - 5) - log_det,
                "the trace of L Lᵀ has all entries of L in it, not the diagonal alone",
            ),
            (0.5 * (squares + trace - 5 - log_det), "det(L Lᵀ) is det(L) squared"),
            (0.5 * (squares + trace - 5) + log_det, "the sign of the log-determinant: a narrow posterior costs more"),
            (0.5 * (squares + trace) - log_det, "N(0, I) itself should cost 0: what is missing?"),
            (0.5 * (squares + diagonal.sum(axis=1) - 5) - log_det, "the trace is that of L Lᵀ, not of L"),
            (2 * right, "twice too much"),
        ],
        "KL = ½ (trace of the covariance + |mean|² - d - log det of the covariance): test it where L is diagonal",
    )


# --------------------------------------------------------------------------------------------------- 03 train the model


@exercise
def steps_and_peak(steps, steps_before_the_peak):
    expect_near(
        steps,
        4800,
        [(600, "this is one epoch"), (480_000, "a step takes a batch, not an image")],
        "how many batches has an epoch, and how many epochs are there?",
    )
    expect_near(
        steps_before_the_peak,
        480,
        [
            (4800, "there it has fallen to zero"),
            (0, "it starts at a 25th of its peak"),
            (60, "a tenth of all steps, not of an epoch"),
        ],
        "the rate climbs for a tenth of all steps",
    )


@exercise
def draws_that_are_fixed(guess, fixed_batches):
    numbers(guess)
    grey = np.full((60, 28, 28), 0.3, "float32") * np.linspace(0.5, 1, 60, dtype="float32")[:, None, None]
    batches = fixed_batches(grey)
    if batches is ...:
        raise NotAttempted
    wanted = all(hasattr(batches, name) for name in ("start_epoch", "__len__", "__getitem__"))
    expect(wanted, "it should return utils.BinarizedBatches, of images of your making")

    def epoch(number):
        batches.start_epoch(number)
        return np.concatenate([batches[n] for n in range(len(batches))]).reshape(60, 784)

    first, second = epoch(0), epoch(1)
    expect(np.isin(first, (0, 1)).all(), "the images should be black and white")
    expect(first.any(), "nothing is left of grey levels below 1/2: draw the pixels, instead of rounding them")
    expect(
        np.array_equal(np.unique(first, axis=0), np.unique(second, axis=0)),
        "the second epoch draws other images than the first: the seed of BinarizedBatches does not stop that",
    )
    expect(not np.array_equal(first, second), "the order should still change from epoch to epoch")
    x_train, *_ = mnist()
    aside = utils.binarize(x_train[-1000:], seed=1)
    losses = {}
    for name, data in {"fresh": utils.BinarizedBatches(x_train[:2000]), "fixed": fixed_batches(x_train[:2000])}.items():
        keras.utils.set_random_seed(0)
        vae = utils.build_vae(20, x_train[:2000].mean(axis=0), hidden=200)
        with tempfile.TemporaryDirectory() as backup:
            utils.train(vae, data, backup, epochs=40)
        losses[name] = vae.evaluate(aside, verbose=0, return_dict=True)["loss"]
    return (
        f"a small model, 40 epochs on 2,000 images, has a loss of {losses['fresh']:.1f} nats on new images with fresh "
        f"draws and {losses['fixed']:.1f} with fixed ones; you guessed a difference of {guess}"
    )


@exercise
def beta_vae(kind):
    plain = utils.build_vae(4, hidden=8)
    rng = np.random.default_rng(0)
    x = utils.binarize(np.full((6, 28, 28), 0.5, "float32"), 0)
    logits = rng.normal(size=(6, 28, 28)).astype("float32")
    mean, log_var = rng.normal(size=(2, 6, 4)).astype("float32")
    reconstruction = float(ops.mean(utils.reconstruction_loss(x, logits)))
    kl = float(ops.mean(utils.kl_divergence(mean, log_var)))
    for beta in (4.0, 0.0, 1.0):
        vae = kind(plain.encoder, plain.decoder, beta)
        expect_near(
            vae.compute_loss(x, None, (logits, mean, log_var)),
            reconstruction + beta * kl,
            [
                (reconstruction + kl, "beta changes nothing"),
                (beta * reconstruction + kl, "beta is the price of the code, not of the reconstruction"),
                (beta * (reconstruction + kl), "only one of the two terms is multiplied"),
                (reconstruction + (1 + beta) * kl, "the loss of VAE has the KL in it already, once"),
                (6 * (reconstruction + beta * kl), "average over the images"),
            ],
            "reconstruction + beta * KL, averaged over the images",
        )
        for metric, honest in ((vae.reconstruction, reconstruction), (vae.kl, kl)):
            shown = float(metric.result())
            expect(shown != 0, "the metrics reconstruction and kl are not updated any more")
            expect(np.isclose(shown, honest, rtol=1e-4), f"the metric {metric.name} should not know of beta")
    start, layer = plain.get_weights(), plain.encoder.get_layer("mean")
    before, steps = layer.get_weights()[0], []
    for beta in (1.0, 100.0):
        plain.set_weights(start)
        keras.utils.set_random_seed(0)
        vae = kind(plain.encoder, plain.decoder, beta)
        vae.compile("sgd")
        vae.fit(x, verbose=0)
        steps.append(layer.get_weights()[0] - before)
    expect(steps[0].any(), "no gradient flows: use keras.ops, not NumPy")
    expect(
        not np.allclose(*steps, rtol=1e-3),
        "beta changes the loss, but not its gradient: none flows through a metric, which is a number kept for display",
    )


# ------------------------------------------------------------------------------------------------ 04 evaluate the model


@exercise
def without_kl_and_noise(it_can):
    one_of(it_can, ("reconstruct", "draw", "both", "neither"))
    expect(it_can not in ("draw", "both"), "what would make its codes look like draws from the prior?")
    expect(it_can != "neither", "nothing stops it from keeping all about an image in its code")


@exercise
def cost_of_each_class(guess, mean_costs):
    one_of(guess, range(10))
    *_, x_test, y_test = mnist()
    x, y = utils.binarize(x_test[::10], seed=0), y_test[::10]
    vae = trained("digits")
    cost = -utils.log_likelihood(vae, x, num_samples=10)
    by_class = np.array([cost[y == digit].mean() for digit in range(10)])
    sums = np.array([cost[y == digit].sum() for digit in range(10)])
    expect_near(
        mean_costs(vae, x, y),
        by_class,
        [
            (-by_class, "a cost is minus a log-likelihood"),
            (sums, "a class with more images is not dearer: take means"),
            (np.sort(by_class), "in the order of the digits, not of the costs"),
        ],
        "the mean of -utils.log_likelihood(vae, x, num_samples=10) over the images with y == 0, then y == 1, and so on",
        tolerance=0.01,
    )
    return f"{by_class.argmin()} is the cheapest and {by_class.argmax()} the dearest; your guess was {guess}"


@exercise
def conditional_vae(kind, parts, draw):
    x_train, y_train, *_ = mnist()
    onehot = np.eye(10, dtype="float32")
    keras.utils.set_random_seed(0)
    vae = kind(*parts())
    few = [ops.convert_to_tensor(part) for part in (utils.binarize(x_train[:200], seed=0), onehot[y_train[:200]])]
    first, second = three(vae.call(few)), three(vae.call(few))
    expect(not np.allclose(first[0], second[0]), "called twice, it gives the same: is the code sampled?")
    asked = np.repeat(np.arange(10), 50)
    x = numbers(draw(vae, asked, 0))
    expect(x.shape == (500, 28, 28), f"for 500 digits the shape should be (500, 28, 28), but is {x.shape}")
    expect(x.min() >= 0 and x.max() <= 1, "probabilities are asked for, and the decoder gives logits")
    expect(len(np.unique(x.round(3), axis=0)) > 400, "the draws of a digit are all the same: draw a code for each")
    expect(np.array_equal(x, numbers(draw(vae, asked, 0))), "the same seed should give the same draws")
    expect(not np.array_equal(x, numbers(draw(vae, asked, 1))), "another seed should give other draws")
    codes = np.random.default_rng(2).standard_normal((500, vae.decoder.input_shape[0][1]), dtype="float32")
    prior = numbers(ops.sigmoid(vae.decoder.predict([codes, onehot[asked]], verbose=0)))
    variety, usual = (part.reshape(10, 50, 784).var(axis=1).sum() for part in (x, prior))
    expect(variety > 0.7 * usual, "the draws of a digit differ too little: the prior of the code is standard normal")
    vae.compile(keras.optimizers.Adam(2e-3), jit_compile=utils.JIT)
    vae.fit(
        [utils.binarize(x_train, seed=0), onehot[y_train]],
        batch_size=100,
        epochs=2,
        verbose=0,
        callbacks=[utils.ProgressBar()],
    )
    x = numbers(draw(vae, asked, 0))
    found = nearest(x_train[:10_000], y_train[:10_000], x)
    share = np.mean(found == asked)
    expect(share > 0.6, f"only {share:.0%} of the draws look like the digit that was asked for: who is told the label?")
    utils.show_digits(x.reshape(10, 50, 28, 28)[:, :4].swapaxes(0, 1), column_labels=range(10))
    return f"{share:.0%} of the draws look like the digit that was asked for"


@exercise
def a_hundred_labels(classify):
    x_train, y_train, x_test, y_test = mnist()
    known = np.concatenate([np.flatnonzero(y_train == digit)[:10] for digit in range(10)])
    known, labels = x_train[known], y_train[known]
    found = numbers(classify(trained("digits"), known, labels, x_test))
    expect(found.shape == (10_000,), f"for 10,000 images the shape should be (10000,), but is {found.shape}")
    expect(np.isin(found, range(10)).all(), "labels are asked for, from 0 to 9")
    right, by_pixels = np.mean(found == y_test), np.mean(nearest(known, labels, x_test) == y_test)
    means = [trained("digits").encoder.predict(part, batch_size=1000, verbose=0)[0] for part in (known, x_test)]
    by_means = np.mean(nearest(means[0], labels, means[1]) == y_test)
    expect(right > 0.85, f"{right:.0%} are right: do the images without a label have a say?")
    return f"{right:.0%}; the label of the nearest one is right for {by_pixels:.0%} by pixels, {by_means:.0%} by means"


# -------------------------------------------------------------------------------------------- 05 measure the likelihood


@exercise
def few_samples(put_at_a_disadvantage):
    one_of(put_at_a_disadvantage, ("10 samples", "10,000 samples"))
    expect(put_at_a_disadvantage == "10 samples", "on average the bound on log p(x) rises with the number of samples")


@exercise
def bytes_of_an_image(guess, bytes_needed):
    numbers(guess)
    vae = trained("benchmark")
    blank = np.zeros((1, 28, 28), "float32")
    noise = utils.binarize(np.full((5, 28, 28), 0.5, "float32"), seed=0)
    for x in (noise, blank):
        nats = -utils.log_likelihood(vae, x, num_samples=500).mean()
        expect_near(
            bytes_needed(vae, x),
            nats / np.log(2) / 8,
            [
                (nats, "these are nats"),
                (nats / np.log(2), "these are bits, and a byte has eight"),
                (nats / 8, "a nat is 1 / ln 2 bits"),
                (-nats / np.log(2) / 8, "a length is minus a logarithm"),
                (len(x) * nats / np.log(2) / 8, "take the mean over the images"),
            ],
            "minus the bound with 500 samples, from nats to bits, from bits to bytes, averaged over the images",
            tolerance=0.05,
        )
    return f"a blank image takes {nats / np.log(2) / 8:.1f} bytes; your guess was {guess}"


@exercise
def bound_for_every_k(bounds):
    log_w = np.random.default_rng(0).normal(-2000, 3, size=(40, 60))
    k = np.arange(1, 61)
    right = np.stack([np.log(np.exp(log_w[:, :n] + 2000).mean(axis=1)) - 2000 for n in k]).mean(axis=1)
    totals = np.logaddexp.accumulate(log_w, axis=1)
    expect(np.isfinite(numbers(bounds(log_w))).all(), "the computer's e^-2000 is 0: stay with logarithms")
    expect_near(
        bounds(log_w),
        right,
        [
            (totals.mean(axis=0), "this is the logarithm of a sum: a mean is divided by k"),
            ((np.cumsum(log_w, axis=1) / k).mean(axis=0), "this is the mean of logarithms, the ELBO, for every k"),
            (-right, "the bounds on log p(x) are asked for, not those on -log p(x)"),
            (
                np.logaddexp.reduce(totals - np.log(k), axis=0) - np.log(40),
                "first the logarithm for each image, and then the mean over the images",
            ),
            (totals.mean(axis=0) - np.log(60), "each bound is divided by its own k, not by the largest"),
            (
                np.logaddexp.accumulate(log_w, axis=0).mean(axis=0) - np.log(k),
                "the sum goes over the samples, which are the columns",
            ),
        ],
        "the logarithm of the mean of the first weights, for each image, then the mean over the images; "
        "NumPy's logaddexp has an accumulate",
        tolerance=1e-6,
    )


# --------------------------------------------------------------------------------------------- 06 break it, and mend it


def small(kind):
    """Train a small VAE as kind(encoder, decoder), and return it as a plain VAE with the same weights."""
    x_train, *_ = mnist()
    keras.utils.set_random_seed(0)
    plain = utils.build_vae(20, x_train.mean(axis=0), hidden=200)
    batches = utils.BinarizedBatches(x_train[:20_000], batch_size=100)
    vae = kind(plain.encoder, plain.decoder)
    # Without XLA, which draws random numbers slowly on a processor.
    vae.compile(keras.optimizers.Adam(utils.schedule(3 * len(batches)), epsilon=1e-4))
    vae.fit(batches, epochs=3, shuffle=False, verbose=0, callbacks=[utils.ProgressBar()])
    return plain


@exercise
def two_collapsed_models(times_as_large):
    expect_near(
        times_as_large,
        784,
        [(1, "their terms have the same ratio, but not the same size"), (1 / 784, "the other way round")],
        "reconstruction / 784 + KL, and reconstruction + 784 KL: by which factor do they differ?",
        tolerance=0.02,
    )


@exercise
def a_little_noise(guess, kind):
    numbers(guess)
    encoder = utils.build_vae(4, hidden=8).encoder
    encoder.get_layer("log_var").bias.assign(np.full(4, 2.0))
    outputs = three(kind(encoder, layers.Identity()).call(np.zeros((4000, 28, 28), "float32")))
    z, mean, log_var = map(numbers, outputs)
    expect_near(
        (z - mean).std(),
        0.1,
        [
            (
                0.01,
                "there is hardly any noise: log_var is the logarithm of the variance, and 0.1 the standard deviation",
            ),
            (0, "there is no noise"),
            (np.exp(1.0), "this is the encoder's own standard deviation"),
            (0.1 * np.exp(1.0), "the noise should not depend on what the encoder says"),
            (np.sqrt(0.1), "this is a variance of 0.1: log_var is the logarithm of the variance"),
        ],
        "the decoder should get the mean plus noise of standard deviation 0.1",
        tolerance=0.05,
    )
    expect(np.allclose(log_var, 2, atol=0.5), "call should still return the encoder's own log_var: the KL sees it")
    vae = small(kind)
    mean, log_var = vae.encoder.predict(utils.binarize(mnist()[2], seed=0), batch_size=1000, verbose=0)
    return (
        f"the encoder reports standard deviations of {np.exp(0.5 * log_var).mean():.2f}, your guess was {guess}; "
        f"the means have one of {mean.std():.2f}"
    )


@exercise
def annealing(kind):
    beta = keras.Variable(0.0, trainable=False)
    callback = kind(beta, final=10.0, steps=40)
    found = []
    for _epoch in range(2):
        for batch in range(20):
            if callback.on_train_batch_begin(batch) is ...:
                raise NotAttempted
            found.append(float(beta.value))
    step = np.arange(40)
    climb = 10 * np.minimum(1, step / 20)
    if np.abs(found - climb).max() < 0.51:  # a step earlier or later is as good
        return
    expect_near(
        found,
        climb,
        [
            (np.zeros(40), "beta stays at 0: is it set with assign, and does self.done count the steps?"),
            (10 * np.minimum(1, (step % 20) / 20), "batch starts again in each epoch: count the steps yourself"),
            (10 * np.minimum(1, (step % 20) / 10), "batch starts again in each epoch: count the steps yourself"),
            (climb / 10, "it climbs to 1, and should climb to final"),
            (np.minimum(1, 10 * step / 20), "it stops at 1, and should climb to final"),
            (10 * step / 40, "it should be there after half of the steps"),
            (10 * step / 20, "it climbs beyond its final value"),
        ],
        "a straight line from 0 to final in the first half of the steps, then final",
        tolerance=1e-4,
    )


@exercise
def denoiser(kind):
    identity = utils.build_vae(4, hidden=8)
    seen = []

    class Spy(layers.Layer):
        def call(self, x):
            seen.append(numbers(x))
            return identity.encoder(x)

    x = utils.binarize(np.full((100, 28, 28), 0.3, "float32"), seed=0)
    outputs = three(kind(Spy(), layers.Identity()).call(ops.convert_to_tensor(x)))
    expect(len(seen) == 1, "the encoder should be asked once")
    expect(not np.allclose(outputs[0], outputs[1]), "what is decoded is the mean of the code, and not a sample")
    flipped = np.mean(seen[0] != x)
    expect(flipped > 0, "the encoder sees the image as it is: flip its pixels first")
    expect(np.isin(seen[0], (0, 1)).all(), "the noise should flip pixels, 0 to 1 and 1 to 0, and nothing else")
    expect(abs(flipped - 0.1) < 0.01, f"{flipped:.0%} of the pixels are flipped, and not 10 %")
    expect(abs(np.mean(seen[0][x == 1] == 0) - 0.1) < 0.02, "ink and paper should be flipped equally often")
    vae = small(kind)
    clean = utils.binarize(mnist()[2][:2000], seed=0)
    noisy = np.where(np.random.default_rng(1).random(clean.shape) < 0.1, 1 - clean, clean)
    mean, _ = vae.encoder.predict(noisy, batch_size=1000, verbose=0)
    logits = vae.decoder.predict(mean, batch_size=1000, verbose=0)
    off = np.mean(np.sum((logits > 0) != clean, axis=(1, 2)))
    nats = float(ops.mean(utils.reconstruction_loss(clean, logits)))
    expect(
        nats < 125,
        f"what is decoded costs {nats:.0f} nats when it is compared with images without noise, and 125 is "
        "enough: what is the target of the loss, and does every batch get flips of its own, from keras.random?",
    )
    return f"78 of the pixels were wrong, and {off:.0f} are when it is decoded, at a cost of {nats:.0f} nats"


@exercise
def a_normal_for_each_class(draw):
    rng = np.random.default_rng(0)
    means, roots = rng.normal(size=(10, 3)), rng.normal(size=(10, 3, 3))
    labels = np.repeat(np.arange(10), 2000)
    codes = means[labels] + (roots[labels] @ rng.normal(size=(20_000, 3, 1)))[..., 0]
    shuffled = rng.permutation(20_000)
    z = numbers(draw(codes[shuffled], labels[shuffled], 2000, seed=1))
    expect(z.shape == (10, 2000, 3), f"the shape should be (10, 2000, 3), but is {z.shape}")
    expect(not np.isin(z, codes).any(), "these are codes of images: fit a normal distribution, and draw from that")
    for digit in range(10):
        own, drawn = np.cov(codes[labels == digit].T), np.cov(z[digit].T)
        scale = own.diagonal().max()
        off = np.abs(z[digit].mean(axis=0) - codes[labels == digit].mean(axis=0)).max()
        expect(off < 0.2 * np.sqrt(scale), f"the draws for {digit} do not have the mean of the codes of that class")
        expect(
            np.allclose(drawn.diagonal(), own.diagonal(), atol=0.2 * scale),
            f"the draws for {digit} do not have the variances of that class: multivariate_normal takes a covariance",
        )
        expect(np.allclose(drawn, own, atol=0.2 * scale), "the dimensions of a class are correlated, the draws are not")

    def distances(digit):
        off = z[digit] - z[digit].mean(axis=0)
        return (off * np.linalg.solve(np.cov(off.T), off.T).T).sum(axis=1)

    alike = np.corrcoef(distances(0), distances(1))[0, 1]
    expect(alike < 0.5, "all classes got the same noise: go on with one generator, instead of beginning anew for each")
    again, other = (numbers(draw(codes[shuffled], labels[shuffled], 2000, seed=seed)) for seed in (1, 2))
    expect(np.array_equal(z, again), "the same seed should give the same draws")
    expect(not np.array_equal(z, other), "another seed should give other draws")


# ------------------------------------------------------------------------------------------------------- 07 scale it up


@exercise
def four_replicas(reported, peak):
    expect_near(
        reported,
        376,
        [
            (94, "each replica's loss is the mean over its share, and they are added up"),
            (94 / 4, "added up, not divided"),
        ],
        "four shares, each with a mean of 94, are added up",
    )
    expect_near(
        peak,
        8e-3,
        [
            (16e-3, "for Adam the first guess is the square root of the factor"),
            (2e-3, "larger batches allow larger steps"),
        ],
        "4e-3 times the square root of 4",
    )


@exercise
def next_bfloat16(guess):
    steps = ops.convert_to_numpy(ops.cast(ops.cast(np.linspace(200, 204, 4001), "bfloat16"), "float32"))
    expect_near(
        guess,
        np.unique(steps)[1],
        [
            (200.5, "near 90 the step is 0.5; from 128 on it is twice that"),
            (202, "200 has 8 binary digits before the point, and 8 is what there is"),
        ],
        "with 8 significant bits, how much is the last one worth between 128 and 256?",
    )


def pictures(x, seed):
    """Return photographs, uint8, of digits x: enlarged, anywhere on a grey sheet, ink dark."""
    rng = np.random.default_rng(seed)
    for image in x:
        size = int(rng.integers(60, 120))
        digit = np.asarray(Image.fromarray((255 * image).astype("uint8")).resize((size, size), Image.BICUBIC)) / 255
        sheet = np.zeros((160, 200))
        top, left = rng.integers(0, 160 - size), rng.integers(0, 200 - size)
        sheet[top : top + size, left : left + size] = digit
        yield (225 - 180 * sheet + rng.normal(0, 3, sheet.shape)).clip(0, 255).astype("uint8")


@exercise
def own_pictures(prepare):
    *_, x_test, _ = mnist()
    x = [numbers(prepare(picture)) for picture in pictures(x_test[:200], seed=0)]
    wrong = [image.shape for image in x if image.shape != (28, 28)]
    expect(not wrong, f"each should come out with the shape (28, 28), not {wrong[:1]}")
    x = np.stack(x)
    expect(x.min() >= 0 and x.max() <= 1, f"the values should go from 0 to 1, but go from {x.min():g} to {x.max():g}")
    expect(x.mean() < 0.5, "ink should be 1 and paper 0")
    expect(np.median(x) < 0.02, "the paper should be white, that is 0, although it is grey on the photograph")
    grey = np.mean((x > 0.1) & (x < 0.9))
    expect(grey > 0.03, f"only {grey:.1%} of the pixels are grey: the strokes of MNIST have soft edges")
    ink = x > 0.3
    high, wide = ink.any(axis=2).sum(axis=1), ink.any(axis=1).sum(axis=1)
    longest = np.median(np.maximum(high, wide))
    expect(17 <= longest <= 21, f"MNIST's digits fill 20x20 pixels, and these fill {longest:.0f}")
    rows, columns = np.mgrid[:28, :28] - 13.5
    centre = [np.abs((x * place).sum(axis=(1, 2)) / x.sum(axis=(1, 2))).mean() for place in (rows, columns)]
    expect(max(centre) < 1, f"their centres of mass are {max(centre):.1f} pixels away from the middle on average")
    costs = [-utils.log_likelihood(trained("digits"), utils.binarize(part, 0), 50).mean() for part in (x, x_test[:200])]
    expect(
        costs[0] < costs[1] + 15,
        f"they cost {costs[0]:.0f} nats, and the originals {costs[1]:.0f}: look at them beside these",
    )
    return f"they cost {costs[0]:.0f} nats, the originals {costs[1]:.0f}"


@exercise
def convolutional_decoder(build):
    keras.utils.set_random_seed(0)
    decoder = build(20)
    if decoder is ...:
        raise NotAttempted
    expect(decoder is not None, "the function returns nothing: does it end with a return?")
    shape = tuple(ops.shape(decoder(np.zeros((3, 20), "float32"))))
    expect(shape == (3, 28, 28), f"three codes should give logits of the shape (3, 28, 28), not {shape}")
    kinds = [type(layer).__name__ for layer in decoder._flatten_layers()]
    expect(any("Conv" in name for name in kinds), "there is no convolution in it")
    logits = numbers(decoder(np.random.default_rng(0).normal(size=(100, 20)).astype("float32")))
    expect(logits.min() < 0, "logits can be negative: leave out the last activation")
    x_train, _, x_test, _ = mnist()
    x = utils.binarize(x_test, seed=0)
    losses = []
    for own in (False, True):
        keras.utils.set_random_seed(0)
        vae = utils.build_vae(20, x_train.mean(axis=0), hidden=200)
        vae = utils.VAE(vae.encoder, decoder) if own else vae
        with tempfile.TemporaryDirectory() as backup:
            utils.train(vae, utils.BinarizedBatches(x_train[:20_000], batch_size=100), backup, epochs=3)
        losses.append(vae.evaluate(x, batch_size=500, verbose=0, return_dict=True)["loss"])
    expect(losses[1] < losses[0], f"it reaches {losses[1]:.1f} nats, and the dense one {losses[0]:.1f}")
    return f"it reaches {losses[1]:.1f} nats, and the dense one {losses[0]:.1f}"
