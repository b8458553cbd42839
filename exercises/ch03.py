"""03 Train the model."""

import keras
import numpy as np
from keras import ops

import utils
from exercises.checks import NotAttempted, dense_parts, exercise, expect, expect_near, fitted, numbers, originals


@exercise
def steps_and_peak(steps, steps_before_the_peak):
    mistakes = [(600, "this is one epoch"), (480_000, "a step takes a batch, not an image")]
    expect_near(steps, 4800, mistakes, "how many batches in an epoch, and how many epochs?", 1e-6)
    mistakes = [(4800, "there it has fallen to zero"), (60, "a tenth of all steps, not of an epoch")]
    expect_near(steps_before_the_peak, 480, mistakes, "the rate climbs for a tenth of all steps", 1e-6)


@exercise
def draws_that_are_fixed(guess, fixed_batches):
    numbers(guess)
    grey = np.full((60, 28, 28), 0.2, "float32")
    grey[30:] *= 2
    grey[:, :, 14:] *= 2
    batches = fixed_batches(np.copy(grey))
    if batches is ...:
        raise NotAttempted
    expect(isinstance(batches, keras.utils.PyDataset), "return utils.BinarizedBatches of images you have made")

    def epoch(number):
        batches.set_epoch(number)
        images = np.concatenate([numbers(batches[n]) for n in range(len(batches))])
        expect(images.shape == (60, 28, 28), f"an epoch should hold all 60 images, but has the shape {images.shape}")
        return images.reshape(60, 784)

    first, second = epoch(0), epoch(1)
    expect(np.isin(first, (0, 1)).all(), "the images should be black and white")
    noise = first[first.mean(axis=1).argsort()] - grey.reshape(60, 784)  # in order: the last thirty have more ink
    means = noise.reshape(2, 30, 28, 2, 14).mean(axis=(1, 2, 4))
    expect(np.abs(means).max() < 0.03, "a pixel should be on with its grey level as the probability")
    alike = np.abs(np.corrcoef(noise) - np.eye(60)).mean()
    expect(alike < 0.1, "each image should be drawn with random numbers of its own")
    same = np.array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    expect(same, "the second epoch draws new images: the seed of BinarizedBatches does not stop that")
    expect(not np.array_equal(first, second), "the order should still change from epoch to epoch")
    print("training a small model for 40 epochs on 2,000 images, both ways: about 20 seconds")
    x = utils.binarize(originals()[0][-1000:], seed=1)
    makes = (utils.BinarizedBatches, fixed_batches)
    vaes = (fitted(make_batches=make, images=2000, epochs=40) for make in makes)
    fresh, fixed = (vae.evaluate(x, verbose=0, return_dict=True)["loss"] for vae in vaes)
    losses = f"on new images the loss is {fresh:.1f} nats with fresh draws, {fixed:.1f} with fixed ones"
    return f"{losses}; you guessed a difference of {guess}"


class FiftyTimes(utils.VAE):
    def divergence(self, mean, log_var):
        return 50 * super().divergence(mean, log_var)


@exercise
def beta_vae(model_class):
    rng = np.random.default_rng(0)
    x = utils.binarize(np.full((6, 28, 28), 0.5, "float32"), 0)
    encoder, decoder = dense_parts(4, 8)
    for beta in (2.5, 0.5):
        vae = model_class(encoder, decoder, beta)
        terms = []
        for _ in range(2):  # of two batches the metrics show the mean, and the loss is that of the second
            outputs = [rng.normal(size=shape).astype("float32") for shape in ((6, 28, 28), (6, 4), (6, 4))]
            losses = utils.reconstruction_loss(x, outputs[0]), utils.kl_divergence(*outputs[1:])
            terms.append([float(ops.mean(loss)) for loss in losses])
            loss = vae.compute_loss(ops.convert_to_tensor(x), None, tuple(map(ops.convert_to_tensor, outputs)))
        reconstruction, kl = terms[1]
        means = np.mean(terms, axis=0)
        mistakes = [
            (reconstruction + kl, "beta changes nothing"),
            (reconstruction + (1 + beta) * kl, "the loss of VAE has the KL in it already, once"),
            (reconstruction + kl + (beta - 1) * means[1], "a metric is a mean over batches, for display"),
        ]
        hint = "the loss should be reconstruction + beta * KL, averaged over the images"
        expect_near(loss, reconstruction + beta * kl, mistakes, hint, 1e-4)
        for metric, honest in zip((vae.reconstruction, vae.kl), means, strict=True):
            hint = f"the metric {metric.name} should show the mean {metric.name}, without beta"
            expect(np.isclose(float(metric.result()), honest, rtol=1e-4), hint)
    start, steps = [encoder.get_weights(), decoder.get_weights()], []
    for kind, betas in ((utils.VAE, ()), (FiftyTimes, ()), (model_class, (50.0,))):
        encoder.set_weights(start[0])
        decoder.set_weights(start[1])
        vae = kind(encoder, decoder, *betas)
        vae.sampling.seed_generator.state.assign([0, 0])
        vae.compile("sgd")
        vae.fit(x, shuffle=False, verbose=0)
        steps.append(np.concatenate([np.ravel(b - a) for a, b in zip(start[0], encoder.get_weights(), strict=True)]))
    expect(steps[2].any(), "no gradient flows: use keras.ops, not NumPy")
    alike = [np.allclose(step, steps[2], rtol=1e-3, atol=1e-3 * np.abs(step).max()) for step in steps[:2]]
    expect(not alike[0], "beta changes the loss, but not its gradient")
    expect(alike[1], "the gradient is not that of reconstruction + beta * KL: does it flow fully through both?")
