"""The exercises: a wrong answer is told wrong, and a student's notebook is its solution without the answers.

That right answers are told right is seen where the solutions run, as notebooks.
"""

import re

import keras
import nbformat
import numpy as np
import pytest
import take_out
from keras import layers, ops
from PIL import Image
from test_notebooks import NOTEBOOKS, SOLUTIONS, cells, each_notebook

import exercises
import utils

pytestmark = pytest.mark.slow

CHECK = re.compile(r"^exercises\.(\w+)\(.*\)$", re.MULTILINE)
CHECKS = {name for name, value in vars(exercises).items() if hasattr(value, "is_check")}


# ------------------------------------------------------------------------------------ answers that students really give


def class_means_of(x_train, y_train, x, y, extra=0.0):
    means = np.stack([x_train[y_train == digit].mean(axis=0) for digit in np.unique(y_train)]).clip(0.001, 0.999)
    return -(x * np.log(means[y]) + (1 - x) * np.log(1 - means[y])).sum(axis=(1, 2)).mean() + extra


def one_mean_for_all(x_train, y_train, x, y):
    return class_means_of(x_train, 0 * y_train, x, 0 * y, extra=np.log(10))


def components(spread, middle, first=-32, last=None, lowest=0.0):
    def draw(n, seed):
        flat = exercises.mnist()[0].reshape(-1, 784)
        variances, directions = np.linalg.eigh(np.cov(flat, rowvar=False))
        variances, directions = variances[first:last].clip(lowest), directions[:, first:last]
        noise = np.random.default_rng(seed).standard_normal((n, 32))
        return (middle * flat.mean(axis=0) + spread(variances) * noise @ directions.T).reshape(n, 28, 28)

    return draw


def kl_of(log_var_change):
    def change(mean, log_var):
        return ops.mean(utils.kl_divergence(mean, log_var_change(log_var)) - utils.kl_divergence(mean, log_var))

    return change


def swapped(mean_1, log_var_1, mean_2, log_var_2):
    squares = ops.exp(log_var_2) + ops.square(mean_1 - mean_2)
    return 0.5 * ops.sum(log_var_1 - log_var_2 + squares / ops.exp(log_var_1) - 1, axis=-1)


def difference(mean_1, log_var_1, mean_2, log_var_2):
    return utils.kl_divergence(mean_1, log_var_1) - utils.kl_divergence(mean_2, log_var_2)


def only_the_diagonal(mean, factor):
    return utils.kl_divergence(mean, 2 * ops.log(ops.diagonal(factor, axis1=1, axis2=2)))


def single_determinant(mean, factor):
    trace, log_det = (factor**2).sum(axis=(1, 2)), np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return 0.5 * (trace + (mean**2).sum(axis=1) - mean.shape[1] - log_det)


class PricedKL(utils.VAE):
    def __init__(self, encoder, decoder, beta):
        super().__init__(encoder, decoder)
        self.beta = beta


class BetaOnReconstruction(PricedKL):
    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        logits, _, _ = y_pred
        extra = (self.beta - 1) * ops.mean(utils.reconstruction_loss(x, logits))
        return super().compute_loss(x, y, y_pred) + extra


class KLTwice(PricedKL):
    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        _, mean, log_var = y_pred
        return super().compute_loss(x, y, y_pred) + self.beta * ops.mean(utils.kl_divergence(mean, log_var))


class SilentMetrics(PricedKL):
    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        logits, mean, log_var = y_pred
        return ops.mean(utils.reconstruction_loss(x, logits) + self.beta * utils.kl_divergence(mean, log_var))


class PricesTheMetric(PricedKL):
    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred) + (self.beta - 1) * self.kl.result()


def costs_with(sign, mean):
    def mean_costs(vae, x, y):
        cost = sign * utils.log_likelihood(vae, x, num_samples=10)
        return [mean(cost[y == digit]) for digit in range(10)]

    return mean_costs


def conditional_parts(latent_dim=4):
    pixels, label = keras.Input((28, 28)), keras.Input((10,))
    h = layers.Dense(50, activation="gelu")(layers.Concatenate()([layers.Flatten()(pixels), label]))
    encoder = keras.Model([pixels, label], [layers.Dense(latent_dim)(h), layers.Dense(latent_dim)(h)])
    z, label = keras.Input((latent_dim,)), keras.Input((10,))
    h = layers.Dense(50, activation="gelu")(layers.Concatenate()([z, label]))
    return encoder, keras.Model([z, label], layers.Reshape((28, 28))(layers.Dense(28 * 28)(h)))


class Conditional(utils.VAE):
    def call(self, x):
        images, labels = x
        mean, log_var = self.encoder([images, labels])
        return self.decoder([self.sampling(mean, log_var), labels]), mean, log_var

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x[0], y, y_pred)


class TellsOnlyTheEncoder(Conditional):
    def call(self, x):
        images, labels = x
        mean, log_var = self.encoder([images, labels])
        return self.decoder([self.sampling(mean, log_var), ops.zeros_like(labels)]), mean, log_var


class DecodesTheMean(Conditional):
    def call(self, x):
        mean, log_var = self.encoder(list(x))
        return self.decoder([mean, x[1]]), mean, log_var


def draw(vae, digits, seed):
    z = np.random.default_rng(seed).standard_normal((len(digits), 4), dtype="float32")
    return ops.sigmoid(vae.decoder.predict([z, np.eye(10, dtype="float32")[digits]], verbose=0))


def draw_one_code(vae, digits, seed):
    z = np.random.default_rng(seed).standard_normal((1, 4), dtype="float32").repeat(len(digits), axis=0)
    return ops.sigmoid(vae.decoder.predict([z, np.eye(10, dtype="float32")[digits]], verbose=0))


def draw_otherwise_each_time(vae, digits, seed):
    return draw(vae, digits, None)


def draw_uniform_codes(vae, digits, seed):
    z = np.random.default_rng(seed).random((len(digits), 4), dtype="float32")
    return ops.sigmoid(vae.decoder.predict([z, np.eye(10, dtype="float32")[digits]], verbose=0))


def by_pixels(vae, known, labels, x):
    return exercises.nearest(known, labels, x)


def nearest_mean(choose):
    def classify(vae, known, labels, x):
        a, b = (vae.encoder.predict(images, batch_size=1000, verbose=0)[0] for images in (known, x))
        return choose((a**2).sum(axis=1) - 2 * b @ a.T, labels)

    return classify


def bits_for_bytes(vae, x):
    return -utils.log_likelihood(vae, x, num_samples=500).mean() / np.log(2)


def nats_for_bits(vae, x):
    return -utils.log_likelihood(vae, x, num_samples=500).mean() / 8


def elbos(log_w):
    return (np.cumsum(log_w, axis=1) / np.arange(1, log_w.shape[1] + 1)).mean(axis=0)


def sums(log_w):
    return np.logaddexp.accumulate(log_w, axis=1).mean(axis=0)


def summed_over_images(log_w):
    return np.logaddexp.accumulate(log_w, axis=0).mean(axis=0) - np.log(np.arange(1, log_w.shape[1] + 1))


def costs_instead_of_bounds(log_w):
    return np.log(np.arange(1, log_w.shape[1] + 1)) - sums(log_w)


def not_in_logarithms(log_w):
    with np.errstate(divide="ignore"):
        return np.log(np.cumsum(np.exp(log_w), axis=1) / np.arange(1, log_w.shape[1] + 1)).mean(axis=0)


class VarianceOfATenth(utils.VAE):
    def call(self, x):
        mean, log_var = self.encoder(x)
        return self.decoder(self.sampling(mean, ops.full_like(mean, np.log(0.1)))), mean, log_var


class TenthOfTheNoise(utils.VAE):
    def call(self, x):
        mean, log_var = self.encoder(x)
        return self.decoder(self.sampling(mean, log_var + 2 * np.log(0.1))), mean, log_var


class HundredthOfNoise(utils.VAE):
    def call(self, x):
        mean, log_var = self.encoder(x)
        return self.decoder(self.sampling(mean, ops.full_like(mean, 2 * np.log(0.01)))), mean, log_var


class ReturnsLogitsAlone(utils.VAE):
    def call(self, x):
        mean, log_var = self.encoder(x)
        return self.decoder(self.sampling(mean, ops.full_like(mean, 2 * np.log(0.1))))


class Climbs(keras.callbacks.Callback):
    def __init__(self, beta, final, steps):
        super().__init__()
        self.beta, self.final, self.steps, self.done = beta, final, steps, 0


class ClimbsInEachEpoch(Climbs):
    def on_train_batch_begin(self, batch, logs=None):
        self.beta.assign(self.final * min(1, batch / (self.steps / 2)))


class ClimbsToTheEnd(Climbs):
    def on_train_batch_begin(self, batch, logs=None):
        self.beta.assign(self.final * self.done / self.steps)
        self.done += 1


class NeverCounts(Climbs):
    def on_train_batch_begin(self, batch, logs=None):
        self.beta.assign(self.final * min(1, self.done / (self.steps / 2)))


class ClimbsToOne(Climbs):
    def on_train_batch_begin(self, batch, logs=None):
        self.beta.assign(min(1, self.done / (self.steps / 2)))
        self.done += 1


class Flips(utils.VAE):
    def noisy(self, x):
        flipped = keras.random.uniform(ops.shape(x), seed=self.sampling.seed_generator) < 0.1
        return ops.where(flipped, 1 - x, x)

    def call(self, x):
        mean, log_var = self.encoder(self.noisy(x))
        return self.decoder(self.sampling(mean, log_var)), mean, log_var


class AsksForTheNoise(Flips):
    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(self.noisy(x), y, y_pred)


class DecodesTheMeanOfNoise(Flips):
    def call(self, x):
        mean, log_var = self.encoder(self.noisy(x))
        return self.decoder(mean), mean, log_var


class Blanks(Flips):
    def noisy(self, x):
        return ops.where(keras.random.uniform(ops.shape(x), seed=self.sampling.seed_generator) < 0.1, 0.0 * x, x)


class AddsGreyNoise(Flips):
    def noisy(self, x):
        return x + 0.1 * keras.random.normal(ops.shape(x), seed=self.sampling.seed_generator)


def classes_with(spread):
    def draw(codes, labels, n, seed):
        rng = np.random.default_rng(seed)
        own = [codes[labels == digit] for digit in range(10)]
        return np.stack([rng.multivariate_normal(c.mean(axis=0), spread(c, codes), n) for c in own])

    return draw


def copies(codes, labels, n, seed):
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice(codes[labels == digit], n) for digit in range(10)])


def same_noise_for_all(codes, labels, n, seed):
    own = [codes[labels == digit] for digit in range(10)]
    noise = np.random.default_rng(seed).standard_normal((n, codes.shape[1]))
    return np.stack([c.mean(axis=0) + noise @ np.linalg.cholesky(np.cov(c.T)).T for c in own])


def without_a_seed(codes, labels, n, seed):
    return classes_with(lambda own, all_codes: np.cov(own.T))(codes, labels, n, None)


def squeezed(picture):
    return np.asarray(Image.fromarray(picture).resize((28, 28)), "float32") / 255


def squeezed_and_inverted(picture):
    return 1 - squeezed(picture)


def cut_out(picture):
    ink = (picture < 150).astype("uint8")
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = Image.fromarray(255 * ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return np.asarray(digit.resize((28, 28)), "float32") / 255


def dense_decoder(latent_dim):
    return utils.build_vae(latent_dim).decoder


def decoder_of_probabilities(latent_dim):
    z = keras.Input((latent_dim,))
    h = layers.Reshape((7, 7, 4))(layers.Dense(7 * 7 * 4, activation="gelu")(z))
    h = layers.Conv2DTranspose(1, 4, strides=4, activation="sigmoid")(h)
    return keras.Model(z, layers.Reshape((28, 28))(h))


def tiny_convolutions(latent_dim):
    z = keras.Input((latent_dim,))
    h = layers.Reshape((7, 7, 1))(layers.Dense(7 * 7)(z))
    return keras.Model(z, layers.Reshape((28, 28))(layers.Conv2DTranspose(1, 4, strides=4)(h)))


def no_return(*args):
    """What is left of a function whose return was forgotten."""


WRONG = [
    ("bytes_of_the_mean_image", 206 / 8, "how many bits is a nat"),
    ("bytes_of_the_mean_image", 206 / np.log(2), "a byte has eight"),
    ("class_means", 50, class_means_of, "ln 10"),
    ("class_means", 50, one_mean_for_all, "each image's own class"),
    ("pca_as_a_model", components(np.asarray, 1), "the root of an eigenvalue"),
    ("pca_as_a_model", components(np.sqrt, 0), "the mean image"),
    ("pca_as_a_model", lambda n, seed: components(np.sqrt, 1)(n, seed).clip(0, 1), "do not clip"),
    ("pca_as_a_model", components(np.sqrt, 1, 0, 32), "smallest eigenvalues first"),
    ("pca_as_a_model", components(np.sqrt, 1, 0, 32, lowest=None), "some are NaN"),
    ("zero_terms", "reconstruction", "KL", "which term is its price"),
    ("zero_terms", "KL", "KL", "nothing to mend"),
    ("halved_deviations", "up", kl_of(lambda log_var: log_var / 2), "half a logarithm"),
    ("halved_deviations", "up", kl_of(lambda log_var: log_var - np.log(2)), "halves the variances"),
    ("kl_between_two", swapped, "not symmetric"),
    ("kl_between_two", difference, "do not subtract"),
    ("kl_full_covariance", only_the_diagonal, "all entries of L"),
    ("kl_full_covariance", single_determinant, "squared"),
    ("steps_and_peak", 480_000, 48_000, "a batch, not an image"),
    ("steps_and_peak", 4800, 60, "a tenth of all steps"),
    ("draws_that_are_fixed", 5, lambda x: utils.BinarizedBatches(x, seed=0), "other images than the first"),
    ("draws_that_are_fixed", 5, lambda x: utils.BinarizedBatches(x.round()), "instead of rounding"),
    ("beta_vae", BetaOnReconstruction, "not of the reconstruction"),
    ("beta_vae", KLTwice, "in it already"),
    ("beta_vae", SilentMetrics, "not updated"),
    ("beta_vae", PricesTheMetric, "not its gradient"),
    ("without_kl_and_noise", "draw", "like draws from the prior"),
    ("without_kl_and_noise", "neither", "keeping all"),
    ("cost_of_each_class", 8, costs_with(1, np.mean), "minus a log-likelihood"),
    ("cost_of_each_class", 8, costs_with(-1, np.sum), "take means"),
    ("conditional_vae", TellsOnlyTheEncoder, conditional_parts, draw, "who is told the label"),
    ("conditional_vae", DecodesTheMean, conditional_parts, draw, "is the code sampled"),
    ("conditional_vae", Conditional, conditional_parts, draw_one_code, "all the same"),
    ("conditional_vae", Conditional, conditional_parts, draw_otherwise_each_time, "the same seed"),
    ("conditional_vae", Conditional, conditional_parts, draw_uniform_codes, "standard normal"),
    ("a_hundred_labels", by_pixels, "have a say"),
    ("a_hundred_labels", nearest_mean(lambda distance, labels: distance.argmin(axis=1)), "labels are asked for"),
    ("a_hundred_labels", nearest_mean(lambda distance, labels: labels[distance.argmin(axis=1)]), "have a say"),
    ("few_samples", "10,000 samples", "rises with"),
    ("few_samples", "neither", "should be one of"),
    ("bytes_of_an_image", 10, bits_for_bytes, "a byte has eight"),
    ("bytes_of_an_image", 10, nats_for_bits, "1 / ln 2 bits"),
    ("bound_for_every_k", elbos, "the ELBO"),
    ("bound_for_every_k", sums, "divided by k"),
    ("bound_for_every_k", not_in_logarithms, "stay with logarithms"),
    ("bound_for_every_k", summed_over_images, "which are the columns"),
    ("bound_for_every_k", costs_instead_of_bounds, "not those on -log p(x)"),
    ("bound_for_every_k", lambda log_w: np.zeros(log_w.shape[1]), "the logarithm of the mean"),
    ("two_collapsed_models", 1, "not the same size"),
    ("two_collapsed_models", 1 / 784, "other way round"),
    ("a_little_noise", 1, VarianceOfATenth, "a variance of 0.1"),
    ("a_little_noise", 1, TenthOfTheNoise, "not depend on what the encoder says"),
    ("a_little_noise", 1, HundredthOfNoise, "hardly any noise"),
    ("a_little_noise", 1, ReturnsLogitsAlone, "the logits, mean and log_var"),
    ("annealing", NeverCounts, "does self.done count"),
    ("annealing", ClimbsToOne, "climb to final"),
    ("annealing", ClimbsInEachEpoch, "starts again in each epoch"),
    ("annealing", ClimbsToTheEnd, "half of the steps"),
    ("denoiser", utils.VAE, "as it is"),
    ("denoiser", AsksForTheNoise, "the target of the loss"),
    ("denoiser", DecodesTheMeanOfNoise, "not a sample"),
    ("denoiser", Blanks, "not 10 %"),
    ("denoiser", AddsGreyNoise, "flip pixels"),
    ("a_normal_for_each_class", classes_with(lambda own, codes: np.diag(own.var(axis=0))), "correlated"),
    ("a_normal_for_each_class", classes_with(lambda own, codes: np.cov(codes.T)), "variances of that class"),
    ("a_normal_for_each_class", copies, "codes of images"),
    ("a_normal_for_each_class", same_noise_for_all, "the same noise"),
    ("a_normal_for_each_class", without_a_seed, "the same seed"),
    ("four_replicas", 94, 8e-3, "added up"),
    ("four_replicas", 376, 16e-3, "square root"),
    ("next_bfloat16", 200.5, "twice that"),
    ("next_bfloat16", 202, "8 binary digits"),
    ("own_pictures", squeezed, "ink should be 1"),
    ("own_pictures", squeezed_and_inverted, "paper should be white"),
    ("own_pictures", cut_out, "fill 20x20"),
    ("convolutional_decoder", dense_decoder, "no convolution"),
    ("convolutional_decoder", decoder_of_probabilities, "the last activation"),
    ("convolutional_decoder", tiny_convolutions, "the dense one"),
]


@pytest.mark.parametrize(("name", "answers", "hint"), [(name, rest[:-1], rest[-1]) for name, *rest in WRONG])
def test_a_wrong_answer_is_told_wrong(name, answers, hint, capsys):
    """A student would believe what is false, or be sent looking in the wrong place."""
    getattr(exercises, name)(*answers)
    verdict = capsys.readouterr().out
    assert verdict.startswith("not right yet: ")
    assert hint in verdict


def test_each_exercise_is_asked_once_and_has_wrong_answers():
    """A check that accepts everything would look like one that works."""
    told = [name for name, *_ in WRONG]
    asked = [name for path in NOTEBOOKS for cell in cells(path, "code") for name in CHECK.findall(cell.source)]
    assert sorted(asked) == sorted(CHECKS)
    assert all(told.count(name) >= 2 for name in CHECKS)


@pytest.mark.parametrize("answer", [None, "", lambda *args: None, lambda *args: "a word", lambda *args: 1 / 0])
def test_nonsense_is_told_wrong(answer, capsys):
    """A student's mistake would end in a traceback from the inside of the check."""
    for check in (exercises.bound_for_every_k, exercises.bytes_of_the_mean_image, exercises.own_pictures):
        check(answer)
        assert capsys.readouterr().out.startswith("not right yet: ")


def test_what_is_not_filled_in_is_no_mistake(capsys):
    """Run-all would stop at the first exercise, or scold whoever has not begun."""
    for answers in ((...,), (lambda log_w: ...,)):
        exercises.bound_for_every_k(*answers)
        assert capsys.readouterr().out == "not attempted yet\n"


def test_solutions_have_to_be_right(monkeypatch):
    """A solution that is wrong would pass its run."""
    monkeypatch.setattr(exercises, "must_be_right", True)
    for answer in (..., 1):
        with pytest.raises(AssertionError):
            exercises.two_collapsed_models(answer)


def test_each_notebook_has_its_solutions():
    """A student would look for an answer that is not there."""
    assert [path.name for path in SOLUTIONS] == [path.name for path in NOTEBOOKS]


@each_notebook
def test_exercises_are_the_solutions_without_their_answers(path):
    """The two would ask for different things, or the answer would stand in the exercise."""
    notebook = nbformat.read(path, as_version=4).cells
    found = notebook[take_out.position(notebook, "Exercises") : take_out.position(notebook, "Next")]
    made = take_out.exercises(path.parent / "solutions" / path.name)
    assert [(cell.cell_type, cell.source) for cell in found] == [(cell.cell_type, cell.source) for cell in made]
    assert "# answer" not in "".join(cell.source for cell in made)
    assert 3 <= sum(bool(CHECK.search(cell.source)) for cell in made) <= 5


def test_taking_out_takes_the_answers_and_nothing_else():
    """An answer would stay in the exercise, or a part of the question would be lost."""
    source = (
        "a = 1  # answer\n\n\ndef f(x):\n    y = 2 * x\n    # answer\n    z = y\n\n    return z\n    # end of answer\n"
    )
    assert take_out.without_answer(source) == "a = ...\n\n\ndef f(x):\n    y = 2 * x\n    return ...\n"
