"""What the checks share: how an answer is asked for, compared and judged, and the models on which it is tried."""

import contextlib
import functools
import io
import sysconfig
import tempfile
import traceback
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import utils

strict = False  # the solutions set this to True, so that one that is not right is an error there


class Wrong(Exception):
    """Says what is wrong with an answer, and gives a hint."""


class NotAttempted(Exception):
    """A function still returns the ... that is to be filled in."""


def expect(holds, hint):
    """Raise Wrong with this hint unless something holds."""
    if not holds:
        raise Wrong(hint)


def numbers(answer, if_not_finite="some of the numbers are NaN or infinite"):
    """Return an answer as a NumPy array of float64, or raise Wrong if that fails."""
    if answer is ...:
        raise NotAttempted
    expect(answer is not None, "there is None where a result should be; does a function lack its return?")
    try:
        found = np.asarray(ops.convert_to_numpy(answer))
        assert found.dtype.kind not in "US"
        found = found.astype("float64")
    except Exception:
        raise Wrong(f"numbers are asked for, not {answer!r:.60}") from None
    expect(np.isfinite(found).all(), if_not_finite)
    return found


def ask(function, *arrays, **options):
    """Return the numbers that a function makes of copies of arrays, or of tensors if NumPy's fail."""
    try:
        return numbers(function(*map(np.copy, arrays)), **options)
    except (Wrong, NotAttempted):
        raise
    except Exception:
        with contextlib.suppress(Exception):
            return numbers(function(*map(ops.convert_to_tensor, arrays)), **options)
        raise


def expect_near(answer, right, mistakes, otherwise, tolerance=1e-3):
    """Raise Wrong unless the answer, a number or an array, is right; mistakes are pairs: what came out, and a hint."""
    answer, right = numbers(answer), np.asarray(right, "float64")
    if answer.size == right.size == 1:
        answer = answer.reshape(right.shape)
    wanted = f"the shape should be {right.shape}" if right.shape else "one number is asked for"
    expect(answer.shape == right.shape, f"{wanted}, but the result has the shape {answer.shape}")

    def near(value):
        return np.abs(answer - value).max() <= tolerance * (np.abs(value).max() or 1)

    expect(near(right), next((hint for value, hint in mistakes if near(value)), otherwise))


def expect_bytes(answer, nats, otherwise):
    """Raise Wrong unless the answer is so many nats in bytes, give or take a fifth of a byte."""
    mistakes = [
        (nats / np.log(2), "these are bits, and a byte has eight"),
        (nats / 8, "a nat is not a bit: how many bits is it?"),
        (-nats / np.log(2) / 8, "a length is minus a logarithm"),
    ]
    expect_near(answer, nats / np.log(2) / 8, mistakes, otherwise, 0.16 * 8 * np.log(2) / nats)


def seeded(draw):
    """Return draw(0), and raise Wrong unless the same seed repeats it and another does not."""
    first, same, other = draw(0), draw(0), draw(1)
    expect(np.allclose(first, same, atol=1e-3), "the same seed should give the same samples")
    expect(not np.allclose(first, other, atol=1e-3), "another seed should give other samples")
    return first


def one_of(answer, choices):
    """Return which of the choices an answer is, however it is spaced and capitalised; raise Wrong if it is none."""
    plain = {str(choice).replace(" ", "").lower(): choice for choice in choices}
    found = str(answer).replace(" ", "").lower()
    expect(found in plain, f"the answer should be one of {', '.join(map(repr, choices))}, not {answer!r:.60}")
    return plain[found]


def check_outputs(outputs):
    """Return the logits, mean and log_var that a call gave, or say that it should give them."""
    if outputs is ...:
        raise NotAttempted
    found = [numbers(output) for output in outputs] if isinstance(outputs, (tuple, list)) else []
    right = [output.ndim for output in found] == [3, 2, 2] and found[0].shape[1:] == (28, 28)
    expect(right, "call should return the logits, mean and log_var, in this order")
    return found


def failing_line(error):
    """Say in which line of an answer an error arose, if it was in one."""
    others = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")] + [str(Path(__file__).parent)]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.line]
    lines = [frame.line for frame in frames if not frame.filename.startswith((*others, utils.__file__))]
    return f" at `{lines[-1]}`" if lines else ""


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
            what = next(iter(str(error).strip().splitlines()), "")
            verdict = f"not right yet: it stops{failing_line(error)} with {type(error).__name__}: {what:.200}"
        else:
            return print("right" + (f": {found}" if found else ""))
        print(verdict)
        if strict:
            raise AssertionError(verdict)

    run.is_check = True
    return run


@functools.cache
def originals():
    """Return x_train, y_train, x_test, y_test, the images in [0, 1], for the checks' own use."""
    (x_train, y_train), (x_test, y_test) = utils.load_mnist()
    return x_train.astype("float32") / 255, y_train, x_test.astype("float32") / 255, y_test


def mnist():
    """Return x_train, y_train, x_test, y_test, the images in [0, 1]; an answer may write into them."""
    return tuple(map(np.copy, originals()))


@functools.cache
def trained(name):
    """Return the model `name` that comes with the repository."""
    with contextlib.redirect_stdout(None):
        return utils.load_vae(name, utils.ASSETS)


def batches_of_100(x):
    return utils.BinarizedBatches(x, batch_size=100)


def dense_parts(latent_dim, units, mean_image=None):
    """Return an encoder and a decoder like the series', even if a reader has changed utils.build_vae."""
    pixels = keras.Input((28, 28))
    h = layers.Reshape((784,))(pixels if mean_image is None else pixels - mean_image)
    for _ in range(2):
        h = layers.Dense(units, activation="gelu")(h)
    encoder = keras.Model(pixels, [layers.Dense(latent_dim)(h), layers.Dense(latent_dim)(h)])
    hidden = [layers.Dense(units, activation="gelu") for _ in range(2)]
    to_logits = layers.Dense(784)
    decoder = keras.Sequential([keras.Input((latent_dim,)), *hidden, to_logits, layers.Reshape((28, 28))])
    if mean_image is not None:
        to_logits.bias.assign(utils.logit(mean_image).ravel())
    return encoder, decoder


@functools.cache
def fitted(model_class=utils.VAE, decoder=None, make_batches=batches_of_100, images=20_000, epochs=3):
    """Return a small model, model_class(encoder, decoder), trained on that many images; it may get another decoder."""
    batches = make_batches(np.copy(originals()[0][:images]))
    keras.utils.set_random_seed(0)
    encoder, usual = dense_parts(20, 200, originals()[0].mean(axis=0))
    vae = model_class(encoder, decoder or usual)
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as backup_dir:
        utils.train(vae, batches, backup_dir, epochs)
    return vae
