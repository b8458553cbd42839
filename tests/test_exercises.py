"""The exercises: a wrong answer is told wrong, a right one right, and a notebook asks what its solution answers."""

import re

import nbformat
import pytest
import take_out
from backends import forgotten  # noqa: F401  a fixture
from test_notebooks import NOTEBOOKS, SOLUTIONS, cells, each_chapter

import exercises
import utils

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forgotten")]

CHECK = re.compile(r"^exercises\.(\w+)\(.*\)$", re.MULTILINE)
CHECKS = {name for name, value in vars(exercises).items() if hasattr(value, "is_check")}

# An answer is a solution in which one thing is replaced by another: a check, the two, and the hint that it should get.
WRONG = [
    ("bytes_of_the_mean_image", " / 8", "", "a byte has eight"),
    ("bytes_of_the_mean_image", " / np.log(2)", "", "how many bits"),
    ("bytes_of_the_mean_image", "206", "-206", "minus a logarithm"),
    ("bytes_of_the_mean_image", "206 / np.log(2) / 8", "np.nan", "NaN"),
    ("class_means", " + np.log(10)", "", "ln 10"),
    ("class_means", "x_train[y_train == digit]", "x_train", "each image's own class"),
    ("class_means", "axis=(1, 2)", "axis=1", "sum over the pixels"),
    ("class_means", "p = means", "x = exercises.mnist()[2][: len(x)].round()\n    p = means", "sum over the pixels"),
    ("class_means", "return nats", "nats", "lack its return"),
    ("pca_as_a_model", "np.sqrt(variances)", "variances", "the root of an eigenvalue"),
    ("pca_as_a_model", "np.sqrt(variances)", "np.sqrt(variances.mean())", "its own variance"),
    ("pca_as_a_model", "flat.mean(axis=0) + ", "", "the mean image"),
    ("pca_as_a_model", "28, 28)\n    ###", "28, 28).clip(0, 1)\n    ###", "unclipped"),
    ("pca_as_a_model", "[-32:], directions[:, -32:]", "[:32], directions[:, :32]", "smallest eigenvalues first"),
    ("pca_as_a_model", "32", "64", "along 64 components"),
    ("pca_as_a_model", "(n, 32)", "(n, 1)", "random numbers of its own"),
    ("pca_as_a_model", "standard_normal((n, 32))", "uniform(-(3**0.5), 3**0.5, (n, 32))", "normally distributed"),
    ("pca_as_a_model", "default_rng(seed)", "default_rng()", "the same seed"),
    ("pca_as_a_model", "default_rng(seed)", "default_rng(0)", "another seed"),
    ("zero_terms", '"KL"', '"reconstruction"', "which term is its price"),
    ("zero_terms", '"reconstruction"', '"KL"', "nothing to mend"),
    ("halved_deviations", "2 * np.log(2)", "np.log(2)", "halves the variances"),
    ("halved_deviations", "log_var - 2 * np.log(2)", "log_var / 2", "half a logarithm"),
    ("halved_deviations", "log_var - 2", "log_var + 2", "the new log-variances"),
    ("kl_between_two", "(mean_1, log_var_1, mean_2, log_var_2)", "(mean_2, log_var_2, mean_1, log_var_1)", "symmetric"),
    ("kl_between_two", "0.5 * ops.sum", "0.5 * ops.mean", "independent ones add up"),
    ("kl_full_covariance", "(factor)", "(factor * np.eye(factor.shape[-1]))", "all entries of L"),
    ("kl_full_covariance", "log_det = 2 *", "log_det =", "squared"),
    ("kl_full_covariance", " - mean.shape[-1]", "", "should cost 0"),
    ("steps_and_peak", " // 100", "", "a batch, not an image"),
    ("steps_and_peak", "8 * ", "", "one epoch"),
    ("steps_and_peak", "steps // 10", "60", "not of an epoch"),
    ("draws_that_are_fixed", "utils.binarize(x, seed=1)", "x", "draws new images"),
    ("draws_that_are_fixed", "utils.binarize(x, seed=1)", "x.round()", "as the probability"),
    ("draws_that_are_fixed", "utils.binarize(x, seed=1)", "utils.binarize(0 * x + x.mean(), seed=1)", "its grey level"),
    ("draws_that_are_fixed", "utils.BinarizedBatches(utils.binarize(x, seed=1))", "x", "utils.BinarizedBatches"),
    ("beta_vae", " + (self.beta - 1) * kl", "", "beta changes nothing"),
    ("beta_vae", "(self.beta - 1)", "self.beta", "in it already"),
    ("beta_vae", "kl_divergence(mean, log_var)", "reconstruction_loss(x, logits)", "reconstruction + beta * KL"),
    ("beta_vae", "* kl\n", "* self.kl.result()\n", "a metric is a mean"),
    ("beta_vae", "* kl\n", "* keras.ops.stop_gradient(kl)\n", "not its gradient"),
    (
        "beta_vae",
        "kl_divergence(mean, log_var)",
        "kl_divergence(mean, keras.ops.stop_gradient(log_var))",
        "fully through both",
    ),
    ("beta_vae", "return super()", "return kl\n        super()", "averaged over the images"),
    ("without_kl_and_noise", '"reconstruct"', '"draw"', "like samples from the prior"),
    ("without_kl_and_noise", '"reconstruct"', '"neither"', "keeping all"),
    ("cost_of_each_class", "-utils", "utils", "minus a log-likelihood"),
    ("cost_of_each_class", ".mean()", ".sum()", "take means"),
    ("conditional_vae", "[images, labels]", "[images, 0 * labels]", "is the encoder told"),
    ("conditional_vae", "[z, labels], training=training), mean", "[z, 0 * labels]), mean", "is the decoder told"),
    ("conditional_vae", "mean, log_var\n        ###", "log_var, mean\n        ###", "after the logits"),
    ("conditional_vae", "self.sampling(mean, log_var)", "mean", "is z sampled"),
    ("conditional_vae", "self.sampling(mean, log_var)", "self.sampling(mean, 2 * log_var)", "as self.sampling does"),
    ("conditional_vae", "return ops.sigmoid(", "return (", "the decoder gives logits"),
    ("conditional_vae", "return ops.sigmoid(", "return 0.0 < (", "what the decoder makes"),
    ("conditional_vae", "return ops", "return exercises.mnist()[0][:2000]\n    ops", "what the decoder makes"),
    ("conditional_vae", "[digits]", "[0 * digits]", "told the digits that are asked for"),
    ("conditional_vae", "standard_normal(", "random(", "standard normal"),
    ("conditional_vae", "labels = np", "z[:] = z[0]\n    labels = np", "one for each digit"),
    ("conditional_vae", "default_rng(seed)", "default_rng()", "the same seed"),
    ("a_hundred_labels", "range(50)", "range(0)", "the order of the images"),
    ("a_hundred_labels", "return votes", "return exercises.mnist()[3]\n    votes", "follow from the 100"),
    ("a_hundred_labels", "range(50)", "range(6)", "have a say"),
    ("a_hundred_labels", ".argmax(axis=1)", "", "the shape should be"),
    ("few_samples", '"10 samples"', '"10,000 samples"', "rises with"),
    ("bytes_of_an_image", " / 8", "", "a byte has eight"),
    ("bytes_of_an_image", "(vae, x,", "(vae, exercises.mnist()[2][:20].round(),", "averaged over the images"),
    ("bound_for_every_k", "logaddexp.accumulate(log_w, axis=1)", "cumsum(log_w, axis=1)", "logarithm of the mean"),
    ("bound_for_every_k", " - np.log(np.arange(1, log_w.shape[1] + 1))", "", "divided by k"),
    ("bound_for_every_k", "logaddexp.accumulate(log_w, axis=1)", "log(np.exp(log_w).cumsum(1))", "stay with"),
    (
        "bound_for_every_k",
        "logaddexp.accumulate(log_w, axis=1)",
        "log(np.exp(log_w - log_w.max()).cumsum(1)) + log_w.max()",
        "stay with",
    ),
    ("bound_for_every_k", "return (", "return -(", "not those on -log p(x)"),
    ("two_collapsed_models", "784", "1", "not the same size"),
    ("two_collapsed_models", "784", "1 / 784", "other way round"),
    ("two_collapsed_models", "784", "783", "by what factor"),
    ("a_little_noise", "2 * np.log(0.1)", "np.log(0.1)", "a variance of 0.1"),
    ("a_little_noise", "2 * np.log(0.1)", "4 * np.log(0.1)", "hardly any noise"),
    ("a_little_noise", "ops.full_like(mean, 2 * np.log(0.1))", "log_var + 2 * np.log(0.1)", "what the encoder says"),
    ("a_little_noise", "training=training), mean, log_var", "training=training)", "the logits, mean and log_var"),
    ("annealing", "self.done += 1", "", "does self.done count"),
    ("annealing", "self.done / (", "batch / (", "steps of all epochs"),
    ("annealing", "self.done / (self.steps / 2)", "self.done / self.steps", "half of the steps"),
    ("annealing", "min(1, self.done / (self.steps / 2))", "min(0.95, self.done / (self.steps / 2))", "it is 9.5"),
    ("annealing", "self.done / (self.steps / 2)", "(self.done / (self.steps / 2)) ** 2", "straight line"),
    ("denoiser", "ops.where(flipped, 1 - x, x)", "x", "as it is"),
    ("denoiser", "ops.where(flipped, 1 - x, x)", "ops.where(flipped, 0.5, x)", "flip pixels"),
    ("denoiser", "ops.where(flipped, 1 - x, x)", "ops.where(flipped, 0.0, x)", "not 10 %"),
    ("denoiser", "ops.shape(x)", "ops.shape(x[:1])", "flipped independently"),
    ("denoiser", "self.sampling(mean, log_var)", "mean", "not a sample"),
    ("a_normal_for_each_class", "np.cov(own.T)", "np.diag(own.var(axis=0))", "correlated"),
    ("a_normal_for_each_class", "np.cov(own.T)", "np.cov(codes.T)", "variances of that class"),
    ("a_normal_for_each_class", "own.mean(axis=0)", "codes.mean(axis=0)", "the mean of the latent codes of that class"),
    ("a_normal_for_each_class", "rng.multivariate_normal(", "(lambda *_: codes[:n])(", "codes of images"),
    ("a_normal_for_each_class", "rng.multi", "np.random.default_rng(seed).multi", "the same noise"),
    ("a_normal_for_each_class", "default_rng(seed)", "default_rng()", "the same seed"),
    ("largest_estimate", "60_000", "10_000", "with 10,000 images"),
    ("largest_estimate", "np.log(60_000)", "np.log2(60_000)", "these are bits"),
    ("coverage", "[:, k, None]", "[:, k - 1, None]", "nearest to an image is itself"),
    ("coverage", "squares(real, real), axis=1)[:, k, None]", "squares(samples, samples), axis=1)[:, k]", "real digits"),
    ("coverage", "[:, k, None]", "[:, 5, None]", "share of real digits"),
    ("coverage", "any(axis=1)", "any(axis=0)", "of which set"),
    ("coverage", "np.mean(", "np.sum(", "a share is a mean"),
    ("mixture_prior", " - np.log(len(means))", "", "1 / K each"),
    (
        "mixture_prior",
        "ops.logsumexp(each, axis=1) - np.log(len(means))",
        "ops.mean(each, axis=1)",
        "mean of logarithms",
    ),
    ("mixture_prior", " + np.log(2 * np.pi)", "", "a factor of 2 pi"),
    ("mixture_prior", "np.log(len(means))", "np.log(len(means) + 1)", "the logarithm of their mean"),
    ("mixture_prior", "ops.logsumexp(each, axis=1)", "ops.log(ops.sum(ops.exp(each), axis=1))", "use logsumexp"),
    (
        "walk_through_noise",
        "vae.from_noise((1 - weights) * first + weights * last)",
        "(1 - weights) * start + weights * end",
        "straight line",
    ),
    ("walk_through_noise", "[start, end]", "[end, start]", "from the end to the start"),
    ("own_pictures", "return image", "return 1 - image", "ink should be 1"),
    ("own_pictures", "return image", "return image.round()", "soft edges"),
    ("own_pictures", "return image", "return np.maximum(image, 0.1)", "background should be 0"),
    ("own_pictures", "20 *", "26 *", "fill 20x20"),
    ("own_pictures", "return image", "return np.roll(image, 4, axis=1)", "away from the middle"),
    ("own_pictures", "return image", "return np.roll(image[:, ::-1], 1, axis=1)", "look like their photograph"),
    ("convolutional_decoder", "Conv2D(1, 3, padding=", "Foo(", "has no attribute"),
    ("convolutional_decoder", "Conv2D(1, 3", 'Conv2D(1, 3, activation="sigmoid"', "an activation at the end"),
    ("convolutional_decoder", 'gelu")(z)', 'gelu")(keras.layers.Dense(500)(z))', "weights: let it"),
    ("convolutional_decoder", "return keras", "return utils.build_vae(20).decoder\n    keras", "no convolution"),
    ("four_replicas", "4 * 94", "94", "added up"),
    ("four_replicas", "np.sqrt(4)", "4", "square root"),
    ("next_bfloat16", "201", "200.5", "twice that"),
    ("next_bfloat16", "201", "202", "8 binary digits"),
]
# Answers in other words, of other types, or that change what they are given, as students write them.
RIGHT = [
    ("zero_terms", '"KL"', '" kl"'),
    ("few_samples", '"10 samples"', '"10 Samples "'),
    ("bytes_of_the_mean_image", "206 / np.log(2) / 8", "np.array([206 / np.log(2) / 8])"),
    ("class_means", "nats = -", "x_train -= 0.5\n    nats = -"),
    ("halved_deviations", "np.log(2)", "ops.log(2.0)"),
    ("halved_deviations", "log_var - 2 * np.log(2)", "log_var - ops.log(ops.full_like(log_var, 4))"),
    ("kl_between_two", "squares =", "mean_1 -= mean_2\n    mean_2 *= 0\n    squares ="),
    ("kl_full_covariance", "mean.shape[-1]", "ops.trace(ops.eye(mean.shape[-1]))"),
    ("bound_for_every_k", "totals = ", "log_w -= 0\n    totals = "),
    ("annealing", "self.done /", "int(self.model.optimizer.iterations) /"),
    ("annealing", "self.done /", 'int(self.model.optimizer.iterations) * self.steps / 2 / self.params["steps"] /'),
    ("a_normal_for_each_class", "classes = [", "codes -= 0\n    classes = ["),
]


def verdict_on(name, old, new, capsys):
    """Return what the check says to the solution in which something is replaced."""
    (path,) = (path for path in SOLUTIONS if any(f"exercises.{name}(" in cell.source for cell in cells(path, "code")))
    sources, names = [], {"utils": utils}
    for cell in cells(path, "code")[2:]:  # after the setup, and the cell that makes a wrong answer an error
        sources.append(cell.source)
        if sources[:-1] and CHECK.match(cell.source):
            if CHECK.match(cell.source)[1] == name:
                break
            sources[1:] = []
    source = "\n\n".join(sources)
    assert old in source
    exec(source.replace(old, new), names)
    return capsys.readouterr().out


@pytest.mark.parametrize(("name", "old", "new", "hint"), WRONG)
def test_a_wrong_answer_is_told_wrong(name, old, new, hint, capsys):
    """A student would believe what is false, or be sent looking in the wrong place."""
    verdict = verdict_on(name, old, new, capsys)
    assert verdict.startswith("not right yet: ")
    assert hint in verdict


@pytest.mark.parametrize(("name", "old", "new"), RIGHT)
def test_a_right_answer_is_told_right(name, old, new, capsys):
    """A student would look for a mistake that is not there. The answers of the solutions are tried where they run."""
    assert verdict_on(name, old, new, capsys).startswith("right")


def test_each_exercise_is_asked_once_and_has_wrong_answers():
    """A check that accepts everything would look like one that works."""
    asked = [name for path in NOTEBOOKS for cell in cells(path, "code") for name in CHECK.findall(cell.source)]
    assert sorted(asked) == sorted(CHECKS)
    assert {name for name, *_ in WRONG} == CHECKS


@pytest.mark.parametrize("answer", [None, "", lambda *args: None, lambda *args: "a word", lambda *args: 1 / 0])
def test_nonsense_is_told_wrong(answer, capsys):
    """A student's mistake would end in a traceback from the inside of the check."""
    for check in (exercises.bound_for_every_k, exercises.bytes_of_the_mean_image, exercises.own_pictures):
        check(answer)
        assert capsys.readouterr().out.startswith("not right yet: ")


def test_what_is_not_filled_in_is_no_mistake(capsys):
    """Run-all would stop at the first exercise, or scold a student who has not begun."""
    for answers in ((...,), (lambda log_w: ...,)):
        exercises.bound_for_every_k(*answers)
        assert capsys.readouterr().out == "not attempted yet\n"


def test_solutions_have_to_be_right(monkeypatch):
    """A solution that is wrong would pass its run."""
    monkeypatch.setattr(exercises.checks, "strict", True)
    for answer in (..., 1):
        with pytest.raises(AssertionError):
            exercises.two_collapsed_models(answer)


def test_an_answer_cannot_spoil_the_data_of_the_others():
    """A student who writes into the images would be told that right answers to other exercises are wrong."""
    for array in exercises.mnist():
        array[:] = 0
    assert all(array.any() for array in exercises.checks.originals())


@each_chapter
def test_exercises_are_the_solutions_without_their_answers(path):
    """The two would ask for different things, or the answer would stand in the exercise."""
    notebook = nbformat.read(path, as_version=4).cells
    found = notebook[take_out.position(notebook, "Exercises") : take_out.position(notebook, "Next")]
    made = take_out.exercises(path.parent / "solutions" / path.name)
    assert [(cell.cell_type, cell.source) for cell in found] == [(cell.cell_type, cell.source) for cell in made]
    assert "SOLUTION" not in "".join(cell.source for cell in made)
    assert 2 <= sum(bool(CHECK.search(cell.source)) for cell in made) <= 5


def test_taking_out_takes_the_answers_and_nothing_else():
    """An answer would stay in the exercise, or a part of the question would be lost."""
    value = "### BEGIN SOLUTION\na = 1\n### END SOLUTION\n\n\n"
    function = "def f(x):\n    y = 2 * x\n    ### BEGIN SOLUTION\n    z = y\n    return z\n    ### END SOLUTION\n"
    assert take_out.without_answer(value + function) == "a = ...\n\n\ndef f(x):\n    y = 2 * x\n    return ...\n"
