"""06 Break it, and mend it."""

import keras
import numpy as np
from keras import layers, ops

import utils
from exercises.checks import (
    NotAttempted,
    ask,
    check_outputs,
    exercise,
    expect,
    expect_near,
    fitted,
    numbers,
    originals,
    seeded,
)


@exercise
def two_collapsed_models(times_as_large):
    mistakes = [(1, "their terms have the same ratio, but not the same size"), (1 / 784, "the other way round")]
    hint = "reconstruction / 784 + KL, and reconstruction + 784 KL: by what factor do they differ?"
    expect_near(times_as_large, 784, mistakes, hint)


def transparent_model(model_class, log_var):
    """Return a model whose mean is twice the image that its encoder got, and whose logits are 3 times z."""
    pixels, z = keras.Input((28, 28)), keras.Input((784,))
    mean = 2 * layers.Flatten()(pixels)
    encoder = keras.Model(pixels, [mean, 0 * mean + log_var])
    return model_class(encoder, keras.Model(z, layers.Reshape((28, 28))(3 * z)))


def expect_fresh(noise, hint):
    """Raise Wrong unless noise, (2, n, 784), varies over two calls, over the images, and over the dimensions."""
    for axis in range(3):
        expect(noise.var(axis=axis).mean() >= 0.3 * noise.var(), hint)
    expect(abs(np.mean(noise[..., 1:] * noise[..., :-1]) - noise.mean() ** 2) <= 0.3 * noise.var(), hint)


@exercise
def a_little_noise(guess, model_class):
    numbers(guess)
    vae = transparent_model(model_class, log_var=2.0)
    x = utils.binarize(np.full((50, 28, 28), 0.3), seed=0)
    calls = [check_outputs(vae.call(ops.convert_to_tensor(x))) for _ in range(2)]
    for logits, mean, log_var in calls:
        expect(logits.max() > 1, "call should return the logits as the decoder gives them")
        own = np.array_equal(mean, 2 * x.reshape(50, 784)) and np.allclose(log_var, 2)
        expect(own, "call should return what the encoder says of the image, mean and log_var: the KL sees it")
    noise = np.array([logits.reshape(50, 784) / 3 - mean for logits, mean, _ in calls])
    expect_fresh(noise, "each image, each dimension and each call should have noise of its own")
    mistakes = [
        (0.01, "there is hardly any noise: log_var is the logarithm of the variance, and 0.1 the standard deviation"),
        (np.sqrt(0.1), "this is a variance of 0.1: log_var is the logarithm of the variance"),
        (0.1 * np.exp(1.0), "the noise should not depend on what the encoder says"),
    ]
    hint = "the decoder should get the mean plus noise of standard deviation 0.1"
    expect_near(noise.std(), 0.1, mistakes, hint, 0.03)
    print("training it for three epochs: about ten seconds")
    vae = fitted(model_class)
    mean, log_var = vae.encoder.predict(utils.binarize(originals()[2], seed=0), batch_size=1000, verbose=0)
    reported = f"the encoder reports standard deviations of {np.exp(0.5 * log_var).mean():.2f}"
    return f"{reported}; you guessed {guess}; that of the means is {mean.std():.2f}"


@exercise
def annealing(model_class):
    beta, found = keras.Variable(0.0, trainable=False), []

    class Watched(model_class):
        def on_train_batch_begin(self, batch, logs=None):
            if super().on_train_batch_begin(batch, logs) is ...:
                raise NotAttempted
            found.append(float(beta.value))

    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = Watched(beta, final=10.0, steps=40)
    model.fit(np.zeros((20, 1)), np.zeros((20, 1)), batch_size=1, epochs=2, verbose=0, callbacks=[callback])
    first, second = np.array(found).reshape(2, 20)
    expect(np.any(found), "beta stays at 0: is it set with assign, and does self.done count the steps?")
    slope = np.diff(first)
    straight = 0 <= first[0] < 0.6 and slope.min() > 1e-3 and np.allclose(slope, slope.mean(), atol=1e-3)
    expect(straight, "it should climb from 0 to final in a straight line, and reach it after half of all steps")
    expect(not np.allclose(first, second), "the second epoch is like the first: count the steps of all epochs yourself")
    hint = f"after half of the steps beta should be final, here 10, and stay there; but then it is {second[0]:g}"
    expect(np.allclose(second, 10, atol=1e-3), hint + (f", and finally {second[-1]:g}" if np.ptp(second) else ""))
    expect(first[-1] > 8.9, f"just before halfway, beta should be nearly final, here 10, but is {first[-1]:g}")


@exercise
def denoiser(model_class):
    vae = transparent_model(model_class, log_var=float(np.log(0.01)))
    x = utils.binarize(np.full((200, 28, 28), 0.3), seed=0)
    outputs = check_outputs(vae.call(ops.convert_to_tensor(x)))
    loss = float(vae.compute_loss(ops.convert_to_tensor(x), None, tuple(map(ops.convert_to_tensor, outputs))))
    honest = float(ops.mean(utils.reconstruction_loss(x, outputs[0]) + utils.kl_divergence(*outputs[1:])))
    vae.compile()
    logits, mean, _ = vae.predict(x, batch_size=100, verbose=0)
    seen = mean.reshape(x.shape) / 2
    expect((seen != x).any(), "the encoder sees the image as it is: flip its pixels first")
    expect(np.isin(seen, (0, 1)).all(), "the noise should flip pixels, 0 to 1 and 1 to 0, and nothing else")
    flips = (seen != x).reshape(2, 100, 784).astype(float)
    expect_fresh(flips, "each pixel of each image should be flipped independently, anew in every batch")
    for pixel, name in enumerate(("background", "ink")):
        share = np.mean(seen[x == pixel] != pixel)
        expect(abs(share - 0.1) < 0.01, f"of the pixels that are {name} {share:.0%} are flipped, and not 10 %")
    expect(logits.max() > 1, "call should return the logits as the decoder gives them")
    deviation = np.std(logits.reshape(mean.shape) / 3 - mean)
    expect(deviation > 0, "what is decoded is the mean of q(z|x), and not a sample")
    expect(abs(deviation - 0.1) < 0.01, "z should be sampled with the encoder's mean and log_var")
    expect(np.isclose(loss, honest, rtol=1e-3), "the target of the loss should be the image without noise")
    print("training it for three epochs: about ten seconds")
    vae = fitted(model_class)
    clean = utils.binarize(originals()[2][:2000], seed=0)
    noisy = np.where(np.random.default_rng(1).random(clean.shape) < 0.1, 1 - clean, clean)
    mean, _ = vae.encoder.predict(noisy, batch_size=1000, verbose=0)
    logits = vae.decoder.predict(mean, batch_size=1000, verbose=0)
    off = np.mean(np.sum((logits > 0) != clean, axis=(1, 2)))
    nats = float(ops.mean(utils.reconstruction_loss(clean, logits)))
    expect(nats < 125, f"what is decoded costs {nats:.0f} nats when it is compared with images without noise")
    return f"78 of the pixels were wrong, and {off:.0f} are after decoding, at a cost of {nats:.0f} nats"


@exercise
def a_normal_for_each_class(draw):
    rng = np.random.default_rng(0)
    means, roots = rng.normal(size=(10, 3)), rng.normal(size=(10, 3, 3))
    labels = rng.permutation(np.repeat(np.arange(10), 2000))
    codes = (means[labels] + (roots[labels] @ rng.normal(size=(20_000, 3, 1)))[..., 0]).astype("float32")

    def drawn(seed):
        return ask(lambda codes, labels: draw(codes, labels, 3000, seed), codes, labels)

    z = drawn(0)
    expect(z.shape == (10, 3000, 3), f"the shape should be (10, 3000, 3), but is {z.shape}")
    copied = set(map(tuple, codes)) & set(map(tuple, z.reshape(-1, 3).astype("float32")))
    expect(not copied, "these are latent codes of images: fit a normal distribution, and draw from that")
    expect(len(np.unique(z.reshape(-1, 3), axis=0)) == 30_000, "some samples occur twice")
    distances = []
    for digit in range(10):
        own, found = codes[labels == digit], z[digit]
        scale, does_not_have = own.var(axis=0).max(), f"the samples for {digit} do not have"
        off = np.abs(found.mean(axis=0) - own.mean(axis=0)).max()
        expect(off < 0.2 * np.sqrt(scale), f"{does_not_have} the mean of the latent codes of that class")
        alike = np.allclose(found.var(axis=0), own.var(axis=0), atol=0.2 * scale)
        expect(alike, f"{does_not_have} the variances of that class")
        alike = np.allclose(np.cov(found.T), np.cov(own.T), atol=0.2 * scale)
        expect(alike, "dimensions of a class are correlated; the samples' are not")
        found = found - found.mean(axis=0)
        distances.append((found * np.linalg.solve(np.cov(own.T), found.T).T).sum(axis=1))
    expect(4 < np.var(distances) < 8, "the samples of a class should be normally distributed")
    hint = "all classes got the same noise: go on with one generator, instead of beginning anew for each"
    expect(np.corrcoef(distances[0], distances[1])[0, 1] < 0.5, hint)
    seeded(drawn)
