"""The explorer's "Watch it learn": its training in JavaScript, against Keras, and the tab in a real browser."""

import keras
import nbformat
import numpy as np
import pytest
import test_explorer
from keras import layers, ops

import utils

pytestmark = pytest.mark.slow
browser, page = test_explorer.browser, test_explorer.page  # fixtures
UNITS, NAMES = 16, ("encoder", "mean", "logVar", "decoder", "logits")


class Levers(utils.VAE):
    """What the page trains, in Keras."""

    beta, average, noise = 1.0, False, None

    def call(self, x, training=None):
        mean, log_var = self.encoder(x)
        noise = ops.convert_to_tensor(self.noise) if self.noise is not None else keras.random.normal(ops.shape(mean))
        return self.decoder(mean + ops.exp(0.5 * log_var) * noise), mean, log_var

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        logits, mean, log_var = y_pred
        reconstruction = ops.mean(utils.reconstruction_loss(x, logits))
        kl = ops.mean(utils.kl_divergence(mean, log_var))
        self.reconstruction.update_state(reconstruction)
        self.kl.update_state(kl)
        return reconstruction / (784 if self.average else 1) + self.beta * kl


@pytest.fixture(scope="module")
def x():
    return utils.binarize(utils.load_mnist()[0][0][:5000] / 255, 0)


def begin(page, x):
    """Make the page's model, with random weights, as `learner`."""
    script = """([units, mean]) => {
        window.learner = new Learner({ units, meanImage: Float32Array.from(mean), seed: 1 });
    }"""
    page.evaluate(script, [UNITS, x.mean(axis=0).ravel().tolist()])


def in_keras(x, **levers):
    keras.utils.set_random_seed(0)
    pixels, z = keras.Input((28, 28)), keras.Input((2,))
    h = layers.Dense(UNITS, "relu")(layers.Flatten()(pixels))
    encoder = keras.Model(pixels, [layers.Dense(2)(h), layers.Dense(2)(h)])
    logits = layers.Dense(784)(layers.Dense(UNITS, "relu")(z))
    vae = Levers(encoder, keras.Model(z, layers.Reshape((28, 28))(logits)))
    rate = levers.pop("rate", 3e-3)
    for name, value in levers.items():
        setattr(vae, name, value)
    vae.compile(keras.optimizers.Adam(rate))
    vae.decoder.layers[-2].bias.assign(utils.logit(x.mean(axis=0)).ravel())
    return vae


def weights(page):
    """Return the page's weights and biases, in the order of Keras."""
    script = "NAMES.map((name) => ['weights', 'bias'].map((kind) => Array.from(learner.layers[name][kind])))"
    return [np.array(each) for pair in page.evaluate(script.replace("NAMES", str(list(NAMES)))) for each in pair]


@pytest.mark.parametrize(
    "levers",
    [{"beta": 1.0}, {"beta": 39.0, "average": True}, {"beta": 0.01, "noise": np.zeros((64, 2), "float32")}],
    ids=["healthy", "averaged, beta 39", "no noise, beta 0.01"],
)
def test_a_step_is_the_one_of_keras(page, x, levers):
    """The page would show a model learn that nobody else could make learn in this way."""
    rng = np.random.default_rng(0)
    noise = levers.setdefault("noise", rng.standard_normal((64, 2), dtype="float32"))
    vae, batch = in_keras(x, rate=3e-4, **levers), x[:64]
    begin(page, x)
    start = [weight + 0.05 * rng.standard_normal(weight.shape, dtype="float32") for weight in vae.get_weights()]
    vae.set_weights(start)
    page.evaluate(
        "([names, values]) => names.forEach((name, i) => ['weights', 'bias'].forEach((kind, j) =>"
        " learner.layers[name][kind].set(values[2 * i + j])))",
        [list(NAMES), [weight.ravel().tolist() for weight in start]],
    )
    loss = page.evaluate(
        "([x, noise, levers]) => learner.step(Float32Array.from(x), Float32Array.from(noise), levers)",
        [
            batch.ravel().tolist(),
            noise.ravel().tolist(),
            {"beta": levers["beta"], "rate": 3e-4, "average": levers.get("average", False)},
        ],
    )
    found = vae.train_on_batch(batch, return_dict=True)
    for part in ("reconstruction", "kl"):
        assert loss[part] == pytest.approx(float(found[part]), rel=1e-4)
    for ours, theirs, before in zip(weights(page), vae.get_weights(), start, strict=True):
        # Where a gradient is as small as its rounding error, Adam still steps, so a few may be further apart.
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-4)
        assert np.mean(np.abs(ours.reshape(theirs.shape) - theirs) < 1e-6) > 0.99
        assert np.abs(theirs - before).max() > 2e-4, "the step changes each of the arrays"


def learn(page, x, steps, **levers):
    """Train in the page, and return the parts of the loss, averaged over the last 200 steps."""
    begin(page, x)
    return page.evaluate(
        """([steps, levers]) => {
            const images = bits(data.learning.images);
            const last = { reconstruction: 0, kl: 0 };
            for (let i = 0; i < steps; i++) {
                const noise = Float32Array.from({ length: 2 * BATCH }, () => normal(learner.uniform));
                const loss = learner.step(draw(images, BATCH, learner.uniform), noise, levers);
                if (i >= steps - 200) for (const part in last) last[part] += loss[part] / 200;
            }
            return last;
        }""",
        [steps, {"beta": 1, "rate": 3e-3, "average": False} | levers],
    )


@pytest.fixture(scope="module")
def opened(page):
    page.click("#tab-learn")
    page.wait_for_function("learned?.steps > 20", timeout=60_000)
    page.evaluate("setLearning(false)")
    return page


def test_it_learns_as_much_as_keras(opened, x):
    """The map would be that of a worse model than a student's own."""
    found, vae = learn(opened, x, 2000), in_keras(x)
    history = vae.fit(x, batch_size=64, epochs=2000 * 64 // 5000 + 1, verbose=0).history
    assert sum(found.values()) == pytest.approx(history["reconstruction"][-1] + history["kl"][-1], rel=0.02)


def test_a_beta_of_39_collapses(opened, x):
    """The preset would show something other than the failure it is named after."""
    assert learn(opened, x, 400, beta=39)["kl"] < 0.1
    assert learn(opened, x, 400)["kl"] > 2


def test_a_loss_that_is_no_number_is_reported_and_a_restart_recovers(opened):
    """The class would wait for a picture that never changes again."""
    opened.click("#presets button:text-is('too fast')")
    opened.wait_for_function("$('learn-words').textContent.includes('NaN')", timeout=60_000)
    opened.click("#healthy")
    opened.wait_for_function("learned.steps > 20 && Number.isFinite(learned.loss.kl)", timeout=60_000)


def test_presets_lead_to_their_sections(page):
    """A link of the page would end at the top of a notebook, or name a section that is gone."""
    presets = page.evaluate("Array.from($('presets').children, ({ dataset }) => [dataset.notebook, dataset.section])")
    assert len(presets) == 6
    for notebook, section in presets:
        path = utils.ASSETS.parent / "notebooks" / f"{notebook}.ipynb"
        assert f"## {section}" in [cell.source.split("\n")[0] for cell in nbformat.read(path, as_version=4).cells]


def test_without_noise_the_honest_loss_is_far_higher(opened):
    """A model that forgets its noise would look better than a healthy one, and nothing on the page say otherwise."""
    opened.click("#healthy")
    opened.wait_for_function("learned.steps > 200 && learned.steps < 1000", timeout=60_000)
    excess = "learned.tested - learned.loss.reconstruction - learned.loss.kl"
    assert abs(opened.evaluate(excess)) < 40
    opened.click("#presets button:text-is('no noise')")
    opened.wait_for_function("learned.steps > 400 && learned.steps < 1000", timeout=60_000)
    assert opened.evaluate(excess) > 60


def test_it_rests_where_nobody_looks(opened):
    """A page that is left open would drain the battery of a phone."""
    opened.click("#tab-two")
    opened.wait_for_function("!learning")
    before = opened.evaluate("learned.steps")
    opened.wait_for_timeout(500)
    assert opened.evaluate("learned.steps") - before <= 10
    opened.click("#tab-learn")
    opened.wait_for_function(f"learned.steps > {before + 20}", timeout=60_000)
    opened.click("#learn-run")
    opened.wait_for_function("!learning")


def test_it_stops_by_itself(opened):
    """A page that is left open would drain the battery of a phone."""
    stopped = opened.evaluate(
        """async () => {
            const code = $("network-code").textContent + $("learner-code").textContent;
            const short = code.replaceAll('"use strict";', "").replace("STOP = 5000", "STOP = 30");
            const worker = new Worker(URL.createObjectURL(new Blob([short])));
            const { images, test } = data.learning;
            worker.postMessage({ data: { bytes: images, test, noise: new Float32Array(12) }, levers: levers(),
                anew: 1, run: true });
            return new Promise((done) => {
                worker.onmessage = ({ data: { steps, running } }) => steps && !running && done(steps);
            });
        }"""
    )
    assert stopped == 30
