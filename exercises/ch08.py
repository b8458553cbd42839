"""08 Your own images."""

import itertools

import keras
import numpy as np
from keras import ops
from PIL import Image

import utils
from exercises.checks import NotAttempted, exercise, expect, fitted, numbers, originals, trained


def pictures(x, seed):
    """Return photographs, uint8, of digits x: enlarged, anywhere on a sheet in half shadow, ink dark."""
    rng = np.random.default_rng(seed)
    for image in x:
        size = int(rng.integers(60, 120))
        digit = np.asarray(Image.fromarray((255 * image).astype("uint8")).resize((size, size), Image.BICUBIC)) / 255
        sheet = np.zeros((160, 200))
        top, left = rng.integers(0, 160 - size), rng.integers(0, 200 - size)
        sheet[top : top + size, left : left + size] = digit
        down, right = np.linspace(-0.5, 0.5, 160)[:, None], np.linspace(-0.5, 0.5, 200)
        paper = 160 + rng.uniform(-60, 60) * down + rng.uniform(60, 120) * rng.choice((-1, 1)) * right
        yield (paper * (1 - 0.8 * sheet) + rng.normal(0, 2, sheet.shape)).clip(0, 255).astype("uint8")


@exercise
def own_pictures(prepare):
    wanted = originals()[2][:200]
    x = [numbers(prepare(picture)) for picture in pictures(wanted, seed=0)]
    wrong = [image.shape for image in x if image.shape != (28, 28)]
    expect(not wrong, f"each should come out with the shape (28, 28), not {wrong[:1]}")
    x = np.stack(x)
    expect(x.min() >= 0 and x.max() <= 1, f"the values should go from 0 to 1, but go from {x.min():g} to {x.max():g}")
    expect(x.mean() < 0.5, "ink should be 1 and background 0")
    hint = "the background should be 0 everywhere, although the paper is grey, and darker on one side"
    expect(np.mean(np.median(x, axis=(1, 2)) < 0.02) > 0.95, hint)
    ink = x > 0.3
    expect(ink.any(axis=(1, 2)).all(), "some come out without any ink")
    longest = np.median(np.maximum(ink.any(axis=2).sum(axis=1), ink.any(axis=1).sum(axis=1)))
    expect(17 <= longest <= 21, f"MNIST's digits fill 20x20 pixels, and these fill {longest:.0f}")
    grey = np.mean((x > 0.1) & (x < 0.9))
    expect(grey > 0.03, f"only {grey:.1%} of the pixels are grey: the strokes of MNIST have soft edges")
    offsets = np.arange(28) - 13.75  # the middle of the field is 13.5, and MNIST's is 14
    off = max(np.abs(x.sum(axis=axis) @ offsets / x.sum(axis=(1, 2))).mean() for axis in (1, 2))
    expect(off < 0.75, f"their centres of mass are {off:.1f} pixels away from the middle on average")
    moved = [np.roll(x, shift, (1, 2)).reshape(200, 784) for shift in itertools.product((-1, 0, 1), repeat=2)]
    alike = np.max([np.corrcoef(part, wanted.reshape(200, 784))[:200, 200:] for part in moved], axis=0)
    share = np.mean(alike.argmax(axis=1) == np.arange(200))
    expect(share > 0.8, f"only {share:.0%} look like their photograph: are proportions and orientation kept?")
    own, best = (-utils.log_likelihood(trained("digits"), utils.binarize(part, 0), 50).mean() for part in (x, wanted))
    costs = f"they cost {own:.0f} nats, the originals {best:.0f}"
    expect(own < best + 15, f"{costs}: look at them side by side")
    return costs


def weighted_layers(model):
    """Yield the layers of a model that have weights, in their order, and those of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from weighted_layers(layer)
        elif layer.weights:
            yield layer


@exercise
def convolutional_decoder(build):
    decoder = build(20)
    if decoder is ...:
        raise NotAttempted
    expect(isinstance(decoder, keras.Model), f"the function should return a keras.Model, not {decoder!r:.60}")
    shape = tuple(ops.shape(decoder(np.zeros((3, 20), "float32"))))
    expect(shape == (3, 28, 28), f"three latent vectors should give logits of the shape (3, 28, 28), not {shape}")
    parts = list(weighted_layers(decoder))
    expect(any("Conv" in type(layer).__name__ for layer in parts), "there is no convolution in it")
    dense = getattr(parts[-1], "units", 0) == 784
    expect(not dense, "the pixels should come from convolutions, but its last layer is a dense one of 784 units")
    weights = decoder.count_params()
    expect(
        weights <= 60_000, f"it has {weights:,} weights: let it begin with fewer channels, or without wide dense layers"
    )
    logits = numbers(decoder(np.random.default_rng(0).normal(size=(100, 20)).astype("float32")))
    hint = "no logit is negative, for random z: is there an activation at the end, or is z ignored?"
    expect(logits.min() < 0, hint)
    print("training a small model for three epochs, with the dense decoder and with yours: about half a minute")
    x = utils.binarize(originals()[2], seed=0)
    vaes = (fitted(), fitted(decoder=decoder))
    usual, own = (vae.evaluate(x, batch_size=500, verbose=0, return_dict=True)["loss"] for vae in vaes)
    expect(own < usual, f"it reaches {own:.1f} nats, the dense one {usual:.1f}; does it end in an activation?")
    return f"it reaches {own:.1f} nats with {weights:,} weights, and the dense one {usual:.1f} with 201,984"
