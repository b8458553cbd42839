"""What the notebooks share: data, model, training, likelihood, figures. They show a part first, and then import it.

x is a batch of images, (n, 28, 28), in [0, 1]; z is a batch of latent codes, (n, latent_dim). Losses: nats per image.
"""

import contextlib
import functools
import json
import logging
import math
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

# TensorFlow returns memory after each step, and uses oneDNN on processors with VNNI alone. With both changed, an epoch
# takes half as long without VNNI; with it, as long as before with 500 units, and two thirds with 200.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
with contextlib.ExitStack() as importing:
    if "ipykernel" in sys.modules:  # a script shows what TensorFlow prints; on import it prints whatever that level is
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        importing.callback(os.dup2, os.dup(2), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        import tensorflow  # noqa: F401  Keras imports it on every backend, elsewhere in the middle of a cell
    import keras
    from keras import layers, ops
logging.getLogger("tensorflow").setLevel("ERROR")  # it warns of batches of several sizes

ASSETS = Path(__file__).resolve().parent / "assets"
OUTPUTS = ASSETS.parent / Path(os.environ.get("VAE_OUTPUTS") or "outputs").expanduser()
_SIZES = {"digits": (32, 500), "digits_2d": (2, 256), "digits_flow": (32, 500)}  # latent dimensions, hidden units
_SIZES |= dict.fromkeys(("benchmark", "benchmark_iwae", "benchmark_flow"), (50, 500))
plt.style.use(ASSETS / "style.mplstyle")


def load_mnist():
    """Return (x_train, y_train), (x_test, y_test) as keras.datasets.mnist.load_data() does, uint8, from assets/."""
    with np.load(ASSETS / "mnist.npz") as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def check_images(x):
    """Return x as a NumPy array; raise a ValueError unless it is (n, height, width), n > 0, in [0, 1], not NaN."""
    if not hasattr(x, "__array__"):
        raise ValueError(f"images must be one array, (n, 28, 28), not a {type(x).__name__}: np.stack a list of images")
    x = x if isinstance(x, np.ndarray) else ops.convert_to_numpy(x)  # which would copy it
    if x.ndim != 3 or len(x) == 0:
        raise ValueError(f"images must have the shape (n, 28, 28) with n > 0, not {x.shape}")
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise ValueError(f"images must lie in [0, 1], but these go from {low:g} to {high:g}: divide 0..255 by 255")
    return x


def binarize(x, seed):
    """Draw black-and-white images, float32 (n, 28, 28), in which a pixel is on with probability x; seeds repeat."""
    x = check_images(x)
    return (np.random.default_rng(seed).random(x.shape, dtype="float32") < x).astype("float32")


class BinarizedBatches(keras.utils.PyDataset):
    """Batches of x, shuffled and binarised anew in every epoch; the draw depends on seed, epoch and batch alone."""

    def __init__(self, x, batch_size=250, seed=0):
        super().__init__(workers=2)  # one may be late by seconds at the start of an epoch, as of Keras 3.15
        self.x, self.batch_size, self.seed = check_images(x), batch_size, seed
        self.set_epoch(0)

    def set_epoch(self, epoch, logs=None):
        """Go to an epoch; also fits in a LambdaCallback(on_epoch_begin=...), so that a resumed training goes on."""
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.x))

    def on_epoch_end(self):
        self.set_epoch(self.epoch + 1)

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return binarize(self.x[chosen], [self.seed, self.epoch, index])


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
    """Let fit, evaluate or predict look at images that come as arrays first; data sets and generators pass."""

    def check_then_run(self, x=None, *args, **kwargs):
        held_out = kwargs.get("validation_data", ())
        for images in (x, *held_out[:1]) if isinstance(held_out, tuple) else (x, held_out):
            if x is None or isinstance(images, (list, tuple)) or hasattr(images, "__array__"):
                check_images(images)
        if kwargs.get("sample_weight") is not None:
            raise ValueError("a VAE knows no sample_weight: leave it out")
        return method(self, x, *args, **kwargs)

    return functools.wraps(method)(check_then_run)


@keras.saving.register_keras_serializable("vae")
class VAE(keras.Model):
    """A model whose loss is -ELBO in nats per image (Kingma and Welling, 2014); a call gives logits, mean, log_var."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.sampling, self.decoder = encoder, Sampling(), decoder
        self.reconstruction, self.kl = keras.metrics.Mean(name="reconstruction"), keras.metrics.Mean(name="kl")
        self.built = True  # its parts are

    def call(self, x):
        mean, log_var = self.encoder(x)
        z = self.sampling(mean, log_var)
        return self.decoder(z), mean, log_var

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            raise ValueError("a VAE knows no sample_weight, nor class_weight: leave it out")
        logits, *q = (ops.cast(output, "float32") for output in y_pred)
        reconstruction = reconstruction_loss(ops.cast(x, "float32"), logits)
        kl = self.divergence(*q)
        self.reconstruction.update_state(reconstruction)
        self.kl.update_state(kl)
        return ops.mean(reconstruction + kl)

    fit, evaluate, predict = map(checked, (keras.Model.fit, keras.Model.evaluate, keras.Model.predict))
    divergence = staticmethod(kl_divergence)  # of q(z|x) from the prior

    def log_prior(self, z):
        """Return log p(z) of latent codes (n, latent_dim), in nats, (n,): here under N(0, I)."""
        return -0.5 * ops.sum(ops.square(z) + math.log(2 * math.pi), axis=-1)

    def from_noise(self, noise):
        """Turn standard normal noise (n, latent_dim) into samples from the prior: here the noise itself."""
        return noise

    def probabilities(self, z):
        """Decode z (n, latent_dim) into the probability that each pixel is on, a NumPy array (n, 28, 28)."""
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


def logit(probability):
    """Return log(p / (1 - p)), with p first kept a thousandth away from 0 and 1, so that it is finite."""
    p = np.clip(probability, 0.001, 0.999)
    return np.log(p / (1 - p))


def build_vae(latent_dim, mean_image=None, hidden_units=500):
    """Build a compiled dense VAE; the encoder subtracts mean_image (28, 28), the decoder starts at its log-odds."""
    pixels = keras.Input((28, 28))
    center = Center()
    h = layers.Flatten()(center(pixels))
    h = layers.Dense(hidden_units, activation="gelu")(h)
    h = layers.Dense(hidden_units, activation="gelu")(h)
    mean = layers.Dense(latent_dim, name="mean")(h)
    log_var = layers.Dense(latent_dim, name="log_var")(h)
    encoder = keras.Model(pixels, [mean, log_var], name="encoder")
    z = keras.Input((latent_dim,))
    h = layers.Dense(hidden_units, activation="gelu")(z)
    h = layers.Dense(hidden_units, activation="gelu")(h)
    to_logits = layers.Dense(28 * 28, name="logits")
    decoder = keras.Model(z, layers.Reshape((28, 28))(to_logits(h)), name="decoder")
    if mean_image is not None:
        center.image.assign(mean_image)
        to_logits.bias.assign(logit(mean_image).ravel())
    vae = VAE(encoder, decoder)
    vae.compile(optimizer="adam")
    return vae


def _written(path, write):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise OSError(f"cannot write {path} ({error}): set VAE_OUTPUTS elsewhere, and restart the kernel") from None
    return path


def save_vae(vae, name):
    """Write the weights, without the optimizer's, to OUTPUTS/models/<name>.weights.h5 and return that path."""
    vae = type(vae)(**vae.get_config()) if hasattr(vae, "flow") else VAE(vae.encoder, vae.decoder)
    return _written(OUTPUTS / "models" / f"{name}.weights.h5", vae.save_weights)


def load_vae(name, folder=None):
    """Build the VAE called `name` with weights from a folder: OUTPUTS, if a notebook has written them, or ASSETS."""
    if name not in _SIZES:
        raise ValueError(f"there is no model {name!r}, but there are {', '.join(_SIZES)}")
    build = build_vae
    if name.endswith("flow"):
        from learned_prior import build_flow_vae as build  # which imports this module
    latent_dim, hidden_units = _SIZES[name]
    vae = build(latent_dim, hidden_units=hidden_units)
    file = Path("models", f"{name}.weights.h5")
    path = (folder or (OUTPUTS if (OUTPUTS / file).exists() else ASSETS)) / file
    try:
        type(vae)(**vae.get_config()).load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds
        raise ValueError(f"{path} does not fit {name} ({error!r:.99}): delete yours, or git checkout assets/") from None
    print(f"{name}: weights from {Path(path.parents[1].name, file).as_posix()}")
    return vae


def warmup_cosine(steps, peak=4e-3):
    """A learning rate that climbs to its peak for a tenth of the steps, and falls along a cosine to zero."""
    warmup = steps // 10
    return keras.optimizers.schedules.CosineDecay(peak / 25, steps - warmup, warmup_target=peak, warmup_steps=warmup)


class Backup(keras.callbacks.BackupAndRestore):
    """Keras's callback that lets an interrupted fit go on; this one says where, and only with the same settings."""

    def __init__(self, folder, **settings):
        super().__init__(folder, double_checkpoint=True)
        self.folder, self.settings = Path(folder), settings

    def on_train_begin(self, logs=None):
        self.model._initial_epoch = None  # Keras keeps it from one training of a model to the next
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            began = json.loads((self.folder / "settings.json").read_text())
            if began != self.settings:
                raise OSError(f"it is of a training with {dict(began.items() - self.settings.items())}")
            (self.folder / "latest.weights.h5").stat()  # without it Keras would go on with the model's own weights
            super().on_train_begin(logs)
            epoch = json.loads((self.folder / "training_metadata.json").read_text())["epoch"]
            print(f"going on at epoch {epoch + 1} of {self.params['epochs']}")

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        (self.folder / "settings.json").write_text(json.dumps(self.settings))


def train(vae, batches, backup_dir, epochs=10, x_test=None, weight_decay=None, callbacks=(), peak=4e-3):
    """Train on BinarizedBatches, measure x_test (n, 28, 28) after each epoch, go on from backup_dir; return History."""

    def set_epoch(epoch, logs):
        batches.set_epoch(epoch)
        vae.sampling.seed_generator.state.assign([1000 * batches.seed + epoch, 0])

    schedule = warmup_cosine(epochs * len(batches), peak)
    vae.compile(keras.optimizers.Adam(schedule, epsilon=1e-4, weight_decay=weight_decay))
    vae.optimizer.build(vae.trainable_variables)  # in advance, or TensorFlow traces the training twice
    settings = {"batch_size": batches.batch_size, "seed": batches.seed, "epochs": epochs, "peak": peak}
    settings |= {"weight_decay": weight_decay, "images": len(batches.x), "parameters": vae.count_params()}
    keep = Backup(backup_dir, **settings)
    callbacks = [keep, keras.callbacks.LambdaCallback(on_epoch_begin=set_epoch), *callbacks]
    held_out = {"validation_data": x_test, "validation_batch_size": 250}
    try:  # shuffle=False: the batches shuffle themselves
        return vae.fit(batches, epochs=epochs, shuffle=False, verbose=2, callbacks=callbacks, **held_out)
    except OSError as error:
        raise OSError(f"the backup in {backup_dir} cannot be used ({error}): delete it to begin anew") from error


def evaluate(vae, x, draws=2):
    """Return -ELBO (as loss), reconstruction and kl of x, nats per image, over some draws of z, always the same."""
    vae.sampling.seed_generator.state.assign([0, 0])
    return vae.evaluate(np.tile(x, (draws, 1, 1)), batch_size=1000, verbose=0, return_dict=True)


def log_importance_weights(vae, x, noise):
    """Return log p(x, z) - log q(z|x), nats (n, k), at z = mean + exp(log_var / 2) * noise (n, k, latent_dim)."""
    mean, log_var = (ops.expand_dims(ops.cast(output, "float32"), 1) for output in vae.encoder(x))
    z = mean + ops.multiply(ops.exp(0.5 * log_var), noise)
    flat = ops.reshape(z, (-1, z.shape[-1]))
    logits = ops.reshape(ops.cast(vae.decoder(flat), "float32"), (*ops.shape(z)[:2], *x.shape[1:]))
    log_prior = ops.reshape(vae.log_prior(flat), ops.shape(z)[:2])
    log_q = -0.5 * ops.sum(ops.square(noise) + log_var + math.log(2 * math.pi), axis=-1)
    return log_prior - log_q - reconstruction_loss(ops.expand_dims(x, 1), logits)


class _LogWeights(keras.Model):
    """log_importance_weights as a model, so that Keras compiles it on every backend."""

    def __init__(self, vae):
        super().__init__(name="log_weights")
        self.vae = vae
        self.built = True  # its only part is

    def call(self, images_and_noise):
        return log_importance_weights(self.vae, *images_and_noise)


def log_likelihood(vae, x, num_samples=500, seed=0, verbose=0):
    """Bound log p(x) of binary images (n, 28, 28) from below, in nats (n,), as Burda et al. (2016) do with samples."""
    x = check_images(x).astype("float32")
    rng = np.random.default_rng(seed)
    log_weights = _LogWeights(vae)  # for this call only: what it compiles would not notice a new decoder
    k = min(num_samples, 2500)  # so that no more than 2,500 images are decoded at a time
    bounds, bar = [], keras.utils.Progbar(len(x), verbose=verbose, unit_name="image")
    for images in np.split(x, range(2500 // k, len(x), 2500 // k)):
        total = np.full(len(images), -np.inf)
        for done in range(0, num_samples, k):
            shape = (len(images), min(k, num_samples - done), vae.decoder.input_shape[-1])
            noise = rng.standard_normal(shape, dtype="float32")
            log_w = log_weights.predict_on_batch([images, noise]).astype("float64")
            total = np.logaddexp(total, np.logaddexp.reduce(log_w, axis=1))
        bounds.append(total - np.log(num_samples))
        bar.add(len(images))
    return np.concatenate(bounds)


def show_digits(x, row_labels=(), column_labels=(), width=None):
    """Show images (rows, columns, 28, 28) in [0, 1] as one grid, ink black, and return the figure."""
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"images must have the shape (rows, columns, 28, 28), not {x.shape}; x[None] makes one row")
    check_images(x.reshape(-1, *x.shape[2:]))
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns, height, wide = x.shape
    grid = x.transpose(0, 2, 1, 3).reshape(rows * height, columns * wide)
    width = width or 0.6 * columns
    figure, axes = plt.subplots(figsize=(width, width * rows / columns), subplot_kw={"frame_on": False})
    axes.imshow(grid, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(wide * np.arange(len(column_labels)) + (wide - 1) / 2, column_labels)
    axes.set_yticks(height * np.arange(len(row_labels)) + (height - 1) / 2, row_labels)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(False)
    return figure


def show_map(axes, z, y):
    """Scatter points z (n, 2) in a colour for each of the classes y (n,), and put each class's digit at its median."""
    for digit in range(10):
        own = z[y == digit]
        axes.scatter(*own.T, color=f"C{digit}", s=10, linewidths=0)
        box = {"boxstyle": "circle,pad=0.1", "color": "white", "alpha": 0.6}
        axes.text(*np.median(own, axis=0), digit, size=14, weight="bold", ha="center", va="center", bbox=box)


def save_figure(figure, name):
    """Write a figure to OUTPUTS/images/<name>.png and return that path."""
    return _written(OUTPUTS / "images" / f"{name}.png", figure.savefig)
