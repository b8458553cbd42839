"""What the notebooks share: data, model, training, likelihood, figures. They show a part first, and then import it.

x is a batch of images, (n, 28, 28), in [0, 1]; z is a batch of codes, (n, latent_dim). Losses are in nats per image.
"""

import contextlib
import ctypes
import functools
import hashlib
import logging
import math
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import display

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_stderr = os.dup(2)  # TensorFlow prints from C++ while it is imported, whatever that level says
with open(os.devnull, "w") as _nowhere:
    os.dup2(_nowhere.fileno(), 2)
try:
    import keras
    from keras import layers, ops

    with contextlib.suppress(ImportError):
        import tensorflow  # noqa: F401  Keras would import it later, on any backend, and let it talk
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)

# XLA frees its working memory at every step, and glibc, Linux's C library, returns it to the system, to get it back
# page by page at the next. If glibc keeps 64 MB, and all that is smaller than 16 MB, an epoch takes a sixth less time.
with contextlib.suppress(AttributeError, OSError, TypeError):  # other systems have no mallopt
    ctypes.CDLL(None).mallopt(-2, 2**26)  # M_TOP_PAD
    ctypes.CDLL(None).mallopt(-3, 2**24)  # M_MMAP_THRESHOLD

# TensorFlow warns of "retracing" when images come in batches of several sizes, as they do here for good reasons.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

ROOT = Path(__file__).resolve().parent
ASSETS = ROOT / "assets"
OUTPUTS = ROOT / (os.environ.get("VAE_OUTPUTS") or "outputs")
LATENT_DIM = {"digits": 32, "digits_2d": 2, "benchmark": 50, "benchmark_iwae": 50}
JIT = keras.backend.backend() == "tensorflow" or "auto"  # on the CPU, TensorFlow takes "auto" for no
STEPS_AT_ONCE = 1 if keras.backend.backend() == "torch" else 40  # Keras allows no more there

plt.style.use(ASSETS / "style.mplstyle")


@contextlib.contextmanager
def _explaining(path):
    try:
        yield
    except OSError as error:
        message = f"Cannot write {path}: {error}. Set VAE_OUTPUTS to a folder with room that you may write to."
        raise OSError(message) from error


@contextlib.contextmanager
def _replacing(path):
    # Interrupted or on a full disk, a write must leave the file that was there before.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with _explaining(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def writable(folder):
    """Make a folder if need be, and return it; raise an OSError that says what to do if it cannot be written."""
    with _explaining(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    return folder


# ---------------------------------------------------------------------------------------------------------------- data

SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def load_mnist(path=ASSETS / "mnist.npz"):
    """Return MNIST as keras.datasets.mnist.load_data() does: (x_train, y_train), (x_test, y_test), all uint8.

    x_train is (60000, 28, 28) with labels (60000,), x_test (10000, 28, 28) with labels (10000,). The arrays come from
    `path`, or, only where that file does not exist, from Keras's own download; their SHA-256 are checked either way.

    Raises ValueError if the file is damaged, FileNotFoundError if there is neither a file nor a download.
    """
    path = Path(path)
    if path.exists():
        source = path
        mend = f"Restore the file with `git checkout -- {path.name}` in its folder, or delete it to download MNIST."
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in SHA256}
        except Exception as error:  # a damaged zip can fail in a dozen ways, and they all mean the same
            raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}). {mend}") from error
    else:
        source = "Keras's download"
        mend = "Delete datasets/mnist.npz in Keras's own folder, usually ~/.keras, and try again."
        try:
            (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        except Exception as error:
            raise FileNotFoundError(
                f"{path} is missing and MNIST could not be downloaded ({error}): "
                "restore the file with `git checkout -- assets/mnist.npz` in the repository, "
                "or connect to the internet and try again."
            ) from error
        arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for name, array in arrays.items():
        right_kind = array.dtype == "uint8" and array.shape[1:] == ((28, 28) if name.startswith("x") else ())
        if not right_kind or hashlib.sha256(np.ascontiguousarray(array)).hexdigest() != SHA256[name]:
            raise ValueError(f"{source} is damaged: its {name} is not MNIST's (SHA-256 or shape differs). {mend}")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def check_images(x):
    """Return x as a NumPy array; raise a ValueError unless it is (n, 28, 28), n > 0, in [0, 1], without NaN."""
    x = x if isinstance(x, np.ndarray) else ops.convert_to_numpy(x)  # which would copy it
    if x.dtype.kind not in "biuf":
        raise ValueError(f"images must be numbers, not {x.dtype}")
    if x.ndim != 3 or x.shape[1:] != (28, 28) or len(x) == 0:
        raise ValueError(f"images must have the shape (n, 28, 28) with n > 0, not {x.shape}")
    if np.isnan(x).any():
        raise ValueError("images hold NaN")
    if x.min() < 0 or x.max() > 1:
        advice = "undo what shifted them below 0" if x.min() < 0 else "divide 0..255 by 255"
        raise ValueError(f"images must lie in [0, 1], but these go from {x.min():g} to {x.max():g}: {advice}")
    return x


def binarize(x, seed):
    """Draw black-and-white images, float32 (n, 28, 28): a pixel is 1 with its grey level in x as probability.

    The same seed (an integer, or a sequence of them) gives the same draw.
    """
    x = check_images(x)
    return (np.random.default_rng(seed).random(x.shape, dtype="float32") < x).astype("float32")


class BinarizedBatches(keras.utils.PyDataset):
    """Batches of x, shuffled and binarised anew in every epoch; the draw depends on seed, epoch and batch alone."""

    def __init__(self, x, batch_size=250, seed=0):
        # With one worker, many an epoch begins with a wait of up to five seconds, as of Keras 3.15.
        super().__init__(workers=2)
        self.x, self.batch_size, self.seed = check_images(x), batch_size, seed
        self.start_epoch(0)

    def start_epoch(self, epoch, logs=None):
        """Go to an epoch; also fits in a LambdaCallback(on_epoch_begin=...), so that a resumed training goes on."""
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.x))

    def on_epoch_end(self):
        self.start_epoch(self.epoch + 1)

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return binarize(self.x[chosen], [self.seed, self.epoch, index])


# --------------------------------------------------------------------------------------------------------------- model


def kl_divergence(mean, log_var):
    """KL from N(mean, diag(exp(log_var))) to N(0, I): (n, latent_dim) each in, nats per image (n,) out."""
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) - 1 - log_var, axis=-1)


def reconstruction_loss(x, logits):
    """-log p(x|z) of pixels that are Bernoulli with these logits: (n, 28, 28) each in, nats per image (n,) out."""
    return ops.sum(ops.softplus(logits) - x * logits, axis=(-2, -1))


@keras.saving.register_keras_serializable("vae")
class Sampling(layers.Layer):
    """Draw z from N(mean, diag(exp(log_var))) as mean + standard deviation * noise, fresh noise at every call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True  # or Keras, on JAX, peeks at batches to build it, and trains on them twice

    def call(self, mean, log_var):
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


def checked(method):
    """Let fit, evaluate or predict look at the images, or a data set's first batch, before any time is lost.

    A generator passes unseen, for it would lose the batch that is looked at.
    """

    def first_images(data):
        while not hasattr(data, "__array__"):
            if isinstance(data, (tuple, list, keras.utils.PyDataset)) and len(data) > 0:
                data = data[0]
            elif isinstance(data, (str, dict)) or iter(data) is data:
                return None
            else:
                data = next(iter(data), np.empty(0))
        return data

    @functools.wraps(method)
    def check_then_run(self, x, *args, **kwargs):
        for data in (x, kwargs.get("validation_data")):
            images = None if data is None else first_images(data)
            if images is not None:
                check_images(images)
        return method(self, x, *args, **kwargs)

    return check_then_run


@keras.saving.register_keras_serializable("vae")
class VAE(keras.Model):
    """A variational autoencoder whose loss is the negative ELBO in nats per image (Kingma & Welling, 2014).

    encoder: x (n, 28, 28) -> (mean, log_var), each (n, latent_dim). decoder: z (n, latent_dim) -> logits (n, 28, 28).
    Calling the model, or predict, gives (logits, mean, log_var). fit, evaluate and predict raise a ValueError where
    the images, or the first batch of a data set, are not (n, 28, 28), not in [0, 1], or hold NaN.
    """

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.sampling, self.decoder = encoder, Sampling(), decoder
        self.reconstruction = keras.metrics.Mean(name="reconstruction")
        self.kl = keras.metrics.Mean(name="kl")
        self.built = True  # for its parts are

    def call(self, x):
        mean, log_var = self.encoder(x)
        z = self.sampling(mean, log_var)
        return self.decoder(z), mean, log_var

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        logits, mean, log_var = (ops.cast(output, "float32") for output in y_pred)
        reconstruction = reconstruction_loss(ops.cast(x, "float32"), logits)
        kl = kl_divergence(mean, log_var)
        self.reconstruction.update_state(reconstruction)
        self.kl.update_state(kl)
        return ops.mean(reconstruction + kl) / self.replicas

    @property
    def replicas(self):
        """How many copies of the model share a batch; more than one under tf.distribute, which adds their losses up."""
        return self.distribute_strategy.num_replicas_in_sync if keras.backend.backend() == "tensorflow" else 1

    fit = checked(keras.Model.fit)
    evaluate = checked(keras.Model.evaluate)
    predict = checked(keras.Model.predict)

    def probabilities(self, z):
        """Decode codes (n, latent_dim) into the probability that each pixel is on, a NumPy array (n, 28, 28)."""
        logits = self.decoder.predict(ops.convert_to_numpy(z), batch_size=1000, verbose=0)
        return ops.convert_to_numpy(ops.sigmoid(ops.cast(logits, "float32")))

    def get_config(self):
        return {"encoder": self.encoder, "decoder": self.decoder}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: keras.saving.deserialize_keras_object(part) for name, part in config.items()})


@keras.saving.register_keras_serializable("vae")
class Center(layers.Layer):
    """Subtract an image that is stored with the weights: zero at first, the mean training image once it is given."""

    def build(self, input_shape):
        self.image = self.add_weight(shape=input_shape[1:], initializer="zeros", trainable=False, name="image")

    def call(self, x):
        return x - self.image


def log_odds(probability):
    """Return log(p / (1 - p)), with p first kept a thousandth away from 0 and 1, so that it is finite."""
    p = np.clip(probability, 0.001, 0.999)
    return np.log(p / (1 - p))


def build_vae(latent_dim, mean_image=None, hidden=500):
    """Build a dense VAE: 784 pixels, two layers of `hidden` units, latent_dim, and the same way back; compiled.

    With mean_image, (28, 28) in [0, 1], the encoder sees what differs from it and the decoder starts at its log-odds.
    """
    pixels = keras.Input((28, 28))
    center = Center()
    h = layers.Flatten()(center(pixels))
    h = layers.Dense(hidden, activation="gelu")(h)
    h = layers.Dense(hidden, activation="gelu")(h)
    mean = layers.Dense(latent_dim, name="mean")(h)
    log_var = layers.Dense(latent_dim, name="log_var")(h)
    encoder = keras.Model(pixels, [mean, log_var], name="encoder")

    z = keras.Input((latent_dim,))
    h = layers.Dense(hidden, activation="gelu")(z)
    h = layers.Dense(hidden, activation="gelu")(h)
    to_logits = layers.Dense(28 * 28, name="logits")
    decoder = keras.Model(z, layers.Reshape((28, 28))(to_logits(h)), name="decoder")

    if mean_image is not None:
        center.image.assign(mean_image)
        to_logits.bias.assign(log_odds(mean_image).ravel())

    vae = VAE(encoder, decoder)
    vae.compile(optimizer="adam")
    return vae


def _seal(content):
    # HDF5 has no checksum of its own, and ignores what stands behind its end.
    return b"SHA-256 " + hashlib.sha256(content).hexdigest().encode()


def save_vae(vae, name):
    """Write the weights, without the optimizer's, to OUTPUTS/models/<name>.weights.h5 and return that path.

    It is a weights file of Keras with its SHA-256 behind it, by which load_vae knows that it is whole.
    """
    path = OUTPUTS / "models" / f"{name}.weights.h5"
    with _replacing(path) as temporary:
        VAE(vae.encoder, vae.decoder).save_weights(temporary)
        content = temporary.read_bytes()
        temporary.write_bytes(content + _seal(content))
    return path


def load_vae(name, folders=None):
    """Build the VAE called `name` and load its weights, from OUTPUTS or else from assets/. LATENT_DIM has the names.

    Other folders, a list, can be given: [ASSETS] takes the shipped weights, whatever has been trained since.

    Prints which file that was. Raises ValueError for an unknown name, or where no file fits.
    """
    if name not in LATENT_DIM:
        raise ValueError(f"There is no model {name!r}; there are {', '.join(LATENT_DIM)}")
    vae = build_vae(LATENT_DIM[name])
    for folder in folders or dict.fromkeys((OUTPUTS, ASSETS)):
        path = folder / "models" / f"{name}.weights.h5"
        if not path.exists():
            continue
        shown = (path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).as_posix()
        try:
            content = path.read_bytes()
            if content[-len(_seal(b"")) :] != _seal(content[: -len(_seal(b""))]):
                raise ValueError("its SHA-256 is wrong or missing")
            with warnings.catch_warnings(action="ignore"):  # what matters in them comes as an error, too
                VAE(vae.encoder, vae.decoder).load_weights(path)
        except Exception as error:  # h5py and Keras raise many kinds; all mean that these weights are of no use
            print(f"Passed over {shown}: it is damaged, or of another architecture ({error!r:.200}).")
        else:
            print(f"{name}: weights from {shown}")
            return vae
    notebook = "05" if name.startswith("benchmark") else "03"
    raise ValueError(f"There are no weights that fit {name}: run notebook {notebook}, which trains and saves it")


# ------------------------------------------------------------------------------------------------------------ training


def schedule(steps, peak=4e-3):
    """A learning rate that climbs to its peak for a tenth of the steps, and falls along a cosine to zero."""
    warmup = steps // 10
    return keras.optimizers.schedules.CosineDecay(
        peak / 25, decay_steps=steps - warmup, warmup_target=peak, warmup_steps=warmup
    )


def compile_for_training(vae, steps, weight_decay=None):
    """Compile with Adam on this schedule, and, on TensorFlow, with XLA."""
    alone = vae.replicas == 1  # tf.distribute can have neither, as of Keras 3.15 (its issue 19246)
    vae.compile(
        keras.optimizers.Adam(schedule(steps), epsilon=1e-4, weight_decay=weight_decay),
        jit_compile=JIT if alone else False,
        steps_per_execution=STEPS_AT_ONCE if alone else 1,
    )


class Backup(keras.callbacks.BackupAndRestore):
    """Keras's callback; if the backup does not fit the model, it raises a ValueError that says what to do."""

    def on_train_begin(self, logs=None):
        try:
            super().on_train_begin(logs)
        except ValueError:
            folder = self.backup_dir
            raise ValueError(f"{folder} has the backup of another model: delete it to begin anew") from None


def train(vae, batches, backup, epochs=10, x_test=None, weight_decay=None, callbacks=()):
    """Train on BinarizedBatches and return the history; the same call goes on where an interrupted one stopped.

    backup is the folder from which it goes on, removed at the end; x_test, (n, 28, 28), is measured after each epoch.
    """

    def start_epoch(epoch, logs):
        batches.start_epoch(epoch)
        vae.sampling.seed_generator.state.assign([epoch, 0])

    compile_for_training(vae, epochs * len(batches), weight_decay)
    return vae.fit(
        batches,
        epochs=epochs,
        shuffle=False,  # the data set shuffles itself
        validation_data=None if x_test is None else (x_test,),
        validation_batch_size=250,
        verbose=0,
        callbacks=[
            Backup(writable(backup), double_checkpoint=True),
            keras.callbacks.LambdaCallback(on_epoch_begin=start_epoch),
            ProgressBar(),
            *callbacks,
        ],
    ).history


# ---------------------------------------------------------------------------------------------------------- likelihood


def log_weights(vae, x, noise):
    """log p(x, z) - log q(z|x) at z = mean + standard deviation * noise: x is (n, 28, 28), noise (n, k, latent_dim).

    Returns (n, k), in nats. The mean over k is an ELBO; log(mean(exp())) is a tighter bound (Burda et al., 2016).
    """
    mean, log_var = (ops.expand_dims(ops.cast(output, "float32"), 1) for output in vae.encoder(x))
    z = mean + ops.exp(0.5 * log_var) * noise
    logits = ops.cast(vae.decoder(ops.reshape(z, (-1, z.shape[-1]))), "float32")
    logits = ops.reshape(logits, (*ops.shape(z)[:2], 28, 28))
    log_prior_over_q = 0.5 * ops.sum(ops.square(noise) + log_var - ops.square(z), axis=-1)
    return log_prior_over_q - reconstruction_loss(ops.expand_dims(x, 1), logits)


@keras.saving.register_keras_serializable("vae")
class IWAE(VAE):
    """A VAE trained on the tighter bound, with k samples for each image (Burda et al., 2016).

    Calling it, or predict, gives the log weights, (n, k), in nats; the bound has no two parts to be shown as metrics.
    """

    def __init__(self, encoder, decoder, k=5, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.k = k

    def call(self, x):
        shape = (ops.shape(x)[0], self.k, self.decoder.input_shape[-1])
        return log_weights(self, x, keras.random.normal(shape, seed=self.sampling.seed_generator))

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        return -ops.mean(ops.logsumexp(y_pred, axis=1) - math.log(self.k)) / self.replicas

    @property
    def metrics(self):
        return [metric for metric in super().metrics if metric not in (self.reconstruction, self.kl)]

    def get_config(self):
        return {**super().get_config(), "k": self.k}


class LogWeights(keras.Model):
    """log_weights as a model that takes [x, noise], so that it can be compiled."""

    def __init__(self, vae):
        super().__init__(dtype="float32")
        self.vae = vae
        self.compile(jit_compile=JIT)

    def call(self, inputs):
        return log_weights(self.vae, *inputs)


_log_weights = functools.lru_cache(maxsize=2)(LogWeights)  # or it would be compiled anew at each call


def log_likelihood(vae, x, num_samples=500, seed=0):
    """Bound log p(x) from below with num_samples importance samples of q(z|x): NumPy, nats per image, (n,).

    x holds black-and-white images, (n, 28, 28). On average the bound rises with num_samples and never passes log p(x)
    (Burda et al., 2016). At most 5,000 codes are decoded at a time, so memory does not grow with either number.
    """
    x = check_images(x).astype("float32")
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, not {num_samples}")
    compiled = _log_weights(vae)
    rng = np.random.default_rng(seed)
    k = min(num_samples, 5000)
    n = min(len(x), 5000 // k)
    bounds, decoded, line = [], 0, _ProgressLine()
    for images in np.split(x, range(n, len(x), n)):
        total = np.full(len(images), -np.inf)
        for done in range(0, num_samples, k):
            shape = (len(images), min(k, num_samples - done), vae.decoder.input_shape[-1])
            batch = compiled.predict_on_batch([images, rng.standard_normal(shape, dtype="float32")])
            total = np.logaddexp(total, np.logaddexp.reduce(batch.astype("float64"), axis=1))
            decoded += batch.size
            line.show(decoded / (len(x) * num_samples), f"{num_samples:,} samples of each of {len(x):,} images")
        bounds.append(total - np.log(num_samples))
    return np.concatenate(bounds)


# ------------------------------------------------------------------------------------------------------------- figures


def show_digits(x, row_labels=(), column_labels=(), width=None):
    """Show images (rows, columns, 28, 28) in [0, 1] as one grid, ink black, and return the figure."""
    if np.ndim(x) != 4:
        raise ValueError(
            f"images must have the shape (rows, columns, 28, 28), not {np.shape(x)}; x[None] makes one row"
        )
    rows, columns = x.shape[:2]
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    grid = framed.transpose(0, 2, 1, 3).reshape(rows * 30, columns * 30)
    width = width or 0.6 * columns
    figure, axes = plt.subplots(figsize=(width, width * rows / columns))
    axes.imshow(grid, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(30 * np.arange(len(column_labels)) + 14.5, column_labels)
    axes.set_yticks(30 * np.arange(len(row_labels)) + 14.5, row_labels)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def save_figure(figure, name):
    """Write a figure to OUTPUTS/images/<name>.png and return that path."""
    path = OUTPUTS / "images" / f"{name}.png"
    with _replacing(path) as temporary:
        figure.savefig(temporary)
    return path


class _ProgressLine:
    # It is replaced in place, so that a stored notebook holds only its end.
    patience = 3  # seconds before it appears: whoever need not wait need not be told

    def __init__(self):
        self.start, self.line = time.time(), None

    def show(self, fraction, text):
        seconds, full = time.time() - self.start, int(20 * fraction)
        text = f"{'█' * full}{'░' * (20 - full)} {seconds:.0f} s, {text}"
        if seconds < self.patience:
            return
        if hasattr(get_ipython(), "kernel"):
            self.line = self.line or display({"text/plain": ""}, raw=True, display_id=True)
            self.line.update({"text/plain": text}, raw=True)
        elif sys.stderr.isatty():
            print(f"\r{text}", end="" if fraction < 1 else "\n", file=sys.stderr)


class ProgressBar(keras.callbacks.Callback):
    """One line that fills up while fit runs."""

    def on_train_begin(self, logs=None):
        self.line, self.test = _ProgressLine(), ""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        epochs, steps = self.params["epochs"], self.params["steps"] or batch + 1
        text = f"epoch {self.epoch + 1} of {epochs}: loss {logs['loss']:.1f}"
        if "kl" in logs:
            text += f" (reconstruction {logs['reconstruction']:.1f}, KL {logs['kl']:.1f})"
        self.line.show((self.epoch + (batch + 1) / steps) / epochs, text + self.test)

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" in logs:
            self.test = f"; test loss {logs['val_loss']:.1f}"
            self.on_train_batch_end((self.params["steps"] or 1) - 1, logs)
