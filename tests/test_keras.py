"""What a user of Keras expects of a model: VAE does it, and so does every subclass in the notebooks and solutions."""

import inspect
import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops
from test_notebooks import NOTEBOOKS, ROOT, SOLUTIONS, cells

import utils

X = utils.binarize(np.random.default_rng(0).random((12, 28, 28)), 0)
LABELS = np.eye(10, dtype="float32")[np.arange(12) % 10]


def classes_of_the_notebooks():
    """Return the subclasses of VAE that a notebook or a solution defines, and what else their cells define."""
    names = vars(utils) | {"utils": utils, "layers": layers, "ops": ops, "np": np}
    found = {"VAE": utils.VAE, "FlowVAE": utils.FlowVAE}
    for source in (cell.source for path in [*NOTEBOOKS, *SOLUTIONS] for cell in cells(path, "code")):
        bases = "|".join(["VAE", *found])
        own = sorted(set(re.findall(rf"^class (\w+)\(.*\b(?:\w*{bases})\b", source, re.MULTILINE)) - found.keys())
        if (own and "return ..." not in source) or source.startswith("def conditional_parts"):
            exec(source, names)
            found |= {name: names[name] for name in own}
    return list(found.values()), names


CLASSES, NAMES = classes_of_the_notebooks()
if keras.backend.backend() != "tensorflow":  # their loss asks TensorFlow for the number of replicas
    CLASSES = [kind for kind in CLASSES if not kind.__name__.startswith("Shared")]
marked = [pytest.param(kind, marks=[] if kind is utils.VAE else pytest.mark.slow) for kind in CLASSES]
each_class = pytest.mark.parametrize("kind", marked, ids=[kind.__name__ for kind in CLASSES])
ARGUMENTS = {"beta": 3.0, "variance": 0.5, "k": 3}


def make(kind=utils.VAE, layer=None):
    """Return a small compiled model of this class, perhaps with a layer more after each output, and its inputs."""
    keras.utils.set_random_seed(0)
    plain = utils.build_vae(2, hidden_units=8)
    parts, inputs = [plain.encoder, plain.decoder], X
    if kind.__name__ == "ConditionalVAE":
        parts, inputs = NAMES["conditional_parts"](2), [X, LABELS]
    if layer:
        parts = [keras.Model(part.inputs, [layer()(output) for output in part.outputs]) for part in parts]
        parts[1] = keras.Model(parts[1].inputs, parts[1].outputs[0])
    wanted = inspect.signature(kind.__init__).parameters
    options = {name: value for name, value in (ARGUMENTS | {"flow": utils.Flow(2)}).items() if name in wanted}
    model = kind(*parts, **options)
    model.compile(keras.optimizers.SGD(0.0))
    return model, inputs


def test_classes_are_found():
    """The tests below would look at none of the classes that readers take as examples."""
    found = {kind.__name__ for kind in CLASSES}
    assert found >= {"VAE", "FlowVAE", "IWAE", "BetaVAE", "Averaged", "WithoutNoise", "GaussianVAE", "NoNoise"}
    assert found >= {"ConditionalVAE", "Denoiser", "LittleNoise"}


class Probe(layers.Layer):
    """Hand on what comes, and keep what Keras says of `training` while it traces the model."""

    seen = []

    def call(self, x, training=None):
        self.seen.append(bool(training))
        return x


@each_class
def test_layers_know_whether_they_are_being_trained(kind):
    """Dropout and batch normalisation, the commonest change of all, would silently do nothing."""
    model, inputs = make(kind, Probe)
    for run, training in [(model.fit, True), (model.evaluate, False), (model.predict, False)]:
        Probe.seen.clear()
        run(inputs, verbose=0)
        assert Probe.seen
        assert set(Probe.seen) == {training}


def test_batch_normalisation_learns():
    """Its moving averages would stay where they are, and evaluate would see other features than fit."""
    model, inputs = make(layer=layers.BatchNormalization)
    model.fit(inputs, epochs=3, verbose=0)
    (norm,) = [layer for layer in model.decoder.layers if isinstance(layer, layers.BatchNormalization)]
    assert np.abs(ops.convert_to_numpy(norm.moving_mean)).max() > 0


class Penalty(layers.Layer):
    def call(self, x):
        self.add_loss(ops.full_like(ops.ravel(x)[:2], 50.0))  # two numbers, which Keras adds up
        return x


@each_class
def test_penalties_count_in_training_and_not_in_evaluation(kind):
    """A kernel_regularizer would silently do nothing, or change a −ELBO that is compared with published ones."""
    if kind.__name__ in ("Averaged", "GaussianVAE"):
        pytest.skip("has a loss of its own, to show what it does")
    losses = []
    for model, inputs in (make(kind), make(kind, Penalty)):
        model.sampling.seed_generator.state.assign([1, 2])
        fitted = model.fit(inputs, shuffle=False, verbose=0).history["loss"][0]
        model.sampling.seed_generator.state.assign([1, 2])
        losses.append([fitted, model.evaluate(inputs, verbose=0, return_dict=True)["loss"]])
    added = 100 * sum(len(part.outputs) for part in (model.encoder, model.decoder))
    assert np.subtract(losses[1], losses[0]) == pytest.approx([added, 0], abs=0.01)


def test_weights_of_images_count():
    """A reader who weights the images, or their classes, would get the unweighted loss, and not know it."""
    model, _ = make()
    bias = np.random.default_rng(0).normal(0, 2, 784)
    for dense in (
        model.encoder.get_layer("mean"),
        model.encoder.get_layer("log_var"),
        model.decoder.get_layer("logits"),
    ):
        dense.kernel.assign(np.zeros(dense.kernel.shape))
    model.decoder.get_layer("logits").bias.assign(bias)
    flat = X.reshape(-1, 784)
    cost = (flat * np.logaddexp(0, -bias) + (1 - flat) * np.logaddexp(0, bias)).sum(axis=1)
    weights, classes = np.arange(12) / 10, np.arange(12) % 2
    loss = model.evaluate(X, X, sample_weight=weights, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx((weights * cost).mean(), rel=1e-5)
    for shape in ((12,), (12, 1)):
        loss = model.fit(X, sample_weight=weights.reshape(shape), verbose=0).history["loss"][0]
        assert loss == pytest.approx((weights * cost).mean(), rel=1e-5)
    loss = model.fit(X, classes, class_weight={0: 0.5, 1: 2.0}, verbose=0).history["loss"][0]
    assert loss == pytest.approx((np.where(classes == 1, 2.0, 0.5) * cost).mean(), rel=1e-5)


def test_several_inputs():
    """The conditional VAE that an exercise builds could not be trained, validated or used as Keras's users do it."""
    model, inputs = make(NAMES["ConditionalVAE"])
    history = model.fit(inputs, validation_data=(inputs, None), epochs=2, verbose=0).history
    assert set(history) == {prefix + name for prefix in ("", "val_") for name in ("loss", "reconstruction", "kl")}
    loss = model.evaluate(inputs, verbose=0, return_dict=True)
    assert loss["reconstruction"] == pytest.approx(784 * np.log(2), rel=0.05)
    assert [part.shape for part in model.predict(inputs, verbose=0)] == [(12, 28, 28), (12, 2), (12, 2)]


@pytest.mark.slow
def test_parts_may_be_models_of_ones_own(tmp_path):
    """A reader who writes the encoder as a class, not from Inputs, would be told that it is not built."""

    class Encoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten, self.mean, self.log_var = layers.Flatten(), layers.Dense(2), layers.Dense(2)

        def call(self, x):
            h = self.flatten(x)
            return self.mean(h), self.log_var(h)

    model = utils.VAE(Encoder(), make()[0].decoder)
    model.compile("adam")
    history = model.fit(X, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert utils.log_likelihood(model, X, 3).shape == (12,)
    model(X)
    model.export(tmp_path / "served", verbose=False)


@each_class
def test_a_keras_file_loads_again(kind, tmp_path):
    """A model of one's own would be saved after minutes of training, and could not be loaded."""
    model, inputs = make(kind)
    model.fit(inputs, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is kind
    wanted = ARGUMENTS.keys() & inspect.signature(kind.__init__).parameters
    assert all(getattr(loaded, name) == ARGUMENTS[name] for name in wanted)
    for before, after in zip(model.encoder(inputs), loaded.encoder(inputs), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(after), ops.convert_to_numpy(before), atol=1e-6)
    z = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    np.testing.assert_allclose(loaded.log_prior(z), model.log_prior(z), atol=1e-5)
    assert loaded.evaluate(inputs, verbose=0, return_dict=True)["loss"] > 0


class Limited(utils.VAE):
    def __init__(self, encoder, decoder, limit=0.5):
        super().__init__(encoder, decoder)
        self.limit = limit


def test_an_argument_that_is_none_stays_none(tmp_path):
    """A model that was trained without a limit would come back with one."""
    plain, _ = make()
    Limited(plain.encoder, plain.decoder, None).save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").limit is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [utils.VAE, utils.FlowVAE, NAMES["IWAE"], NAMES["WithoutNoise"]])
def test_16_bits_change_little(kind):
    """Notebook 09 says that one setting is enough, and a reader would meet an error about types."""
    found = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            model, inputs = make(kind)
            model.fit(inputs, verbose=0)
            loss = model.evaluate(np.tile(inputs, (100, 1, 1)), verbose=0, return_dict=True)["loss"]
            found.append([loss, -utils.log_likelihood(model, inputs, 100).mean()])
        finally:
            keras.config.set_dtype_policy("float32")
    assert found[1] == pytest.approx(found[0], abs=1)


@pytest.mark.slow
def test_export_after_fit(tmp_path):
    """A model could not be served, or only after a call that nobody would think of."""
    tf = pytest.importorskip("tensorflow")
    model, _ = make()
    model.fit(X, verbose=0)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    _, mean, _ = served.serve(tf.constant(X))
    np.testing.assert_allclose(mean, ops.convert_to_numpy(model.encoder(X)[0]), atol=1e-5)


OTHER_SETTINGS = """
import keras, numpy as np
import utils

class MyVAE(utils.VAE):
    def __init__(self, encoder, decoder, power):
        super().__init__(encoder, decoder)
        self.power = power

vae = utils.load_vae("digits_2d", utils.ASSETS)
x = utils.binarize(utils.load_mnist()[1][0][:100] / 255, 0)
plain = utils.build_vae(2, hidden_units=256)
plain.set_weights(vae.get_weights())
for model in (vae, plain):
    assert utils.evaluate(model, x)["loss"] < 160
MyVAE(vae.encoder, vae.decoder, 7).save("mine.keras")
assert keras.saving.load_model("mine.keras").power == 7
"""


@pytest.mark.slow
def test_neither_kerass_settings_nor_a_class_without_decorator_matter(tmp_path):
    """With channels_first in keras.json the shipped model would cost 387 nats; a class of one's own would be lost."""
    (tmp_path / "keras.json").write_text(json.dumps({"image_data_format": "channels_first"}))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", OTHER_SETTINGS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
