"""What the notebooks share: data, model, training, likelihood, figures. Each is shown in one of them before it is used.
x are images (n, 28, 28) in [0, 1], z latent vectors (n, latent_dim); losses and likelihoods are in nats per image.
"""

import inspect
import logging
import math
import os
import random
import sys
from json import dumps, loads
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")  # or TensorFlow returns the memory after each step
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # or it is off without VNNI, where training takes twice as long
if "ipykernel" in sys.modules:  # what TensorFlow prints on import goes to Jupyter's terminal, not into the notebook
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with open(os.dup(2), "w") as notebook:
        os.dup2(getattr(sys.stderr, "_original_stdstream_copy", 2), 2)
        __import__("tensorflow")  # Keras imports it on every backend, otherwise in the middle of a cell
        os.dup2(notebook.fileno(), 2)
import keras
from keras import layers, ops

keras.config.set_image_data_format("channels_last")  # whatever keras.json says: Flatten and Conv2D depend on it
logging.getLogger("tensorflow").setLevel("ERROR")  # it warns of batches of several sizes

ASSETS = Path(__file__).resolve().parent / "assets"
OUTPUTS = ASSETS.parent / Path(os.environ.get("VAE_OUTPUTS") or "outputs").expanduser()
plt.style.use(ASSETS / "style.mplstyle")


def load_mnist():
    """Return (x_train, y_train), (x_test, y_test) as keras.datasets.mnist.load_data() does, uint8, from assets/."""
    with np.load(ASSETS / "mnist.npz") as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def check_images(x):
    """Return images, (n, height, width) or (n, height, width, 3), as an array, or raise a ValueError."""
    if not hasattr(x, "__array__"):
        raise ValueError(f"images must be one array, (n, 28, 28), not a {type(x).__name__}: np.stack a list of images")
    x = x if isinstance(x, np.ndarray) else ops.convert_to_numpy(x)  # which would copy it
    if x.ndim != 3 and x.shape[3:] != (3,) or len(x) == 0:
        raise ValueError(f"images must be (n, 28, 28) with n > 0, or (n, 28, 28, 3) in colour, not {x.shape}")
    if not (x.min() >= 0 and x.max() <= 1):
        why = "some are NaN" if np.isnan(x).any() else f"these go from {x.min():g} to {x.max():g}: divide 0..255 by 255"
        raise ValueError(f"images must lie in [0, 1], but {why}")
    return x


def binarize(x, seed):
    """Draw black-and-white images, float32 (n, 28, 28), each pixel on with probability x; a seed repeats them."""
    x = check_images(x)
    return (np.random.default_rng(seed).random(x.shape, dtype="float32") < x).astype("float32")


class BinarizedBatches(keras.utils.PyDataset):
    """Batches of x, shuffled and binarised anew in every epoch; the draw depends on seed, epoch and batch alone."""

    def __init__(self, x, batch_size=250, seed=0):
        super().__init__(workers=2)  # one may be late by seconds at the start of an epoch, as of Keras 3.15
        self.x, self.batch_size, self.seed = check_images(x), batch_size, seed
        self.set_epoch(0)

    def set_epoch(self, epoch, logs=None):  # can be a LambdaCallback's on_epoch_begin, for training that resumes
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


def log_normal(z, mean, log_var):
    """Log-density of N(mean, diag(exp(log_var))) at z: (..., latent_dim) each in, nats (...,) out."""
    return -0.5 * ops.sum(ops.divide(ops.square(z - mean), ops.exp(log_var)) + log_var + math.log(2 * math.pi), axis=-1)


def reconstruction_loss(x, logits):
    """-log p(x|z) of pixels that are Bernoulli with these logits: (n, 28, 28) each in, nats per image (n,) out."""
    costs = ops.softplus(logits) - x * logits
    return ops.sum(costs, axis=tuple(range(1, costs.ndim)))  # over pixels, and over colours


@keras.saving.register_keras_serializable("vae")
class Sampling(layers.Layer):
    """Draw z from N(mean, diag(exp(log_var))) as mean + standard deviation * noise, fresh noise at every call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True  # or Keras, on JAX, takes two batches to build it, and trains on them twice

    def call(self, mean, log_var):
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


@keras.saving.register_keras_serializable("vae")
class VAE(keras.Model):
    """A model whose loss is -ELBO, nats per image (Kingma and Welling, 2014); a call gives logits, mean, log_var."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.sampling, self.decoder = encoder, Sampling(), decoder
        self.reconstruction, self.kl = keras.metrics.Mean(name="reconstruction"), keras.metrics.Mean(name="kl")
        self.built = encoder.built and decoder.built

    __init_subclass__ = classmethod(keras.saving.register_keras_serializable("vae"))  # or none can be loaded

    def call(self, x, training=None):
        mean, log_var = self.encoder(x, training=training)
        z = self.sampling(mean, log_var)
        return self.decoder(z, training=training), mean, log_var

    def compute_loss(self, x, y=None, y_pred=None, sample_weight=None, training=True):
        logits, *posterior = (ops.cast(output, "float32") for output in y_pred)
        reconstruction = reconstruction_loss(ops.cast(x[0] if isinstance(x, (list, tuple)) else x, "float32"), logits)
        kl = self.divergence(*posterior)
        self.reconstruction.update_state(reconstruction)
        self.kl.update_state(kl)
        weights = 1.0 if sample_weight is None else ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        return ops.mean(weights * (reconstruction + kl)) + sum(ops.sum(penalty) for penalty in self.losses if training)

    def divergence(self, mean, log_var):  # of q(z|x) from the prior, nats (n,)
        return kl_divergence(mean, log_var)

    def fit(self, x=None, y=None, *args, sample_weight=None, **options):
        if hasattr(x, "__array__"):
            check_images(x)
        y = x if y is None and sample_weight is not None else y  # without a y Keras leaves the weights out
        return super().fit(x, y, *args, sample_weight=sample_weight, **options)

    def export(self, *args, **options):
        if hasattr(self.encoder, "input_shape"):  # Keras needs the shape, and a model that has been called
            self.build(self.encoder.input_shape)
            self(self.encoder.input)
        super().export(*args, **options)

    def log_prior(self, z):
        """Return log p(z) of latent vectors (n, latent_dim), in nats, (n,): here under N(0, I)."""
        return log_normal(z, 0.0, 0.0)

    def from_noise(self, noise):
        """Turn standard normal noise (n, latent_dim) into samples from the prior: here the noise itself."""
        return noise

    def probabilities(self, z):
        """Decode z (n, latent_dim) into the probability that each pixel is on, a NumPy array (n, 28, 28)."""
        logits = self.decoder.predict(ops.convert_to_numpy(z), batch_size=1000, verbose=0)
        return ops.convert_to_numpy(ops.sigmoid(ops.cast(logits, "float32")))

    def get_config(self):  # the arguments of __init__, which subclasses store under the same names
        return {name: getattr(self, name) for name in inspect.signature(self.__init__).parameters if name != "kwargs"}

    @classmethod
    def from_config(cls, raw):  # without what is None: newer versions of Keras have settings that older ones do not
        raw |= loads(dumps(raw), object_hook=lambda d: {n: d[n] for n in d if n == "module" or d[n] is not None})
        return cls(**{name: keras.saving.deserialize_keras_object(part) for name, part in raw.items()})


@keras.saving.register_keras_serializable("vae")
class Center(layers.Layer):
    """Subtract an image that is stored with the weights: zero at first, the mean training image once it is given."""

    def build(self, input_shape):
        self.image = self.add_weight(shape=input_shape[1:], initializer="zeros", trainable=False, name="image")

    def call(self, x):
        return x - self.image


def logit(probability):
    """Return log(p / (1 - p)), with p first kept a thousandth away from 0 and 1, so that it is finite."""
    return -np.log(1 / np.clip(probability, 0.001, 0.999) - 1)


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
        center.image.assign(check_images(mean_image[None])[0])
        to_logits.bias.assign(logit(mean_image).ravel())
    vae = VAE(encoder, decoder)
    vae.compile(optimizer="adam")
    return vae


def save_vae(vae, name):
    """Write the model, without its optimizer, to OUTPUTS/models/<name>.keras and return that path."""
    path = OUTPUTS / "models" / f"{name}.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer, vae.optimizer = getattr(vae, "optimizer", None), None
    try:
        vae.save(path)
    finally:
        vae.optimizer = optimizer
    return path


def load_vae(name, folder=None):
    """Load what save_vae wrote, compiled, from a folder: OUTPUTS, if a notebook has written it there, or ASSETS."""
    paths = [Path(place, "models", f"{name}.keras") for place in ([folder] if folder else [OUTPUTS, ASSETS])]
    if not (path := next(filter(Path.exists, paths), None)):
        known = sorted({file.stem for path in paths for file in path.parent.glob("*.keras")})
        raise ValueError(f"there is no model {name!r}, but there are {', '.join(known)}")
    state = random.getstate()  # Keras draws initial weights with it: loading should not change those of the next model
    try:
        vae = keras.saving.load_model(path, compile=False)
    except Exception as error:  # zipfile, h5py and Keras raise many kinds
        raise ValueError(f"{path} cannot be loaded: define its class first, or delete it ({error!r:.300})") from None
    random.setstate(state)
    vae.compile(optimizer="adam")
    print(f"{name}: weights from {path.relative_to(path.parents[2]).as_posix()}")
    return vae


def warmup_cosine(steps, peak=4e-3):
    """A learning rate that climbs to its peak in a tenth of the steps, and falls along a cosine to zero."""
    warmup = steps // 10
    return keras.optimizers.schedules.CosineDecay(peak / 25, steps - warmup, warmup_target=peak, warmup_steps=warmup)


def train(vae, batches, backup_dir, epochs=10, x_test=None, weight_decay=None, callbacks=(), peak=4e-3):
    """Compile vae, train it, measure x_test (n, 28, 28) after each epoch, return History; a NaN is a RuntimeError.
    With the same settings it resumes from a folder in backup_dir that is named after them and deleted at the end."""

    def set_epoch(epoch, logs):
        batches.set_epoch(epoch)
        vae.sampling.seed_generator.state.assign([1000 * batches.seed + epoch, 0])

    rate = warmup_cosine(epochs * len(batches), peak)
    vae.compile(keras.optimizers.Adam(rate, epsilon=1e-4, weight_decay=weight_decay))
    vae.optimizer.build(vae.trainable_variables)  # in advance, or TensorFlow traces the training twice
    settings = f"{epochs} epochs of {len(batches.x)}, batch {batches.batch_size}, seed {batches.seed}, peak {peak:g}, "
    folder = Path(backup_dir, settings + f"decay {weight_decay}, {type(vae).__name__}, {vae.count_params()}")
    folder.mkdir(parents=True, exist_ok=True)
    vae._initial_epoch = None  # or Keras would begin where this model's last training resumed
    own = [keras.callbacks.TerminateOnNaN(raise_error=True), keras.callbacks.LambdaCallback(on_epoch_begin=set_epoch)]
    callbacks = [*own, keras.callbacks.BackupAndRestore(folder, double_checkpoint=True), *callbacks]
    options = {"validation_data": x_test, "validation_batch_size": 250}
    return vae.fit(batches, epochs=epochs, shuffle=False, verbose=2, callbacks=callbacks, **options)


def evaluate(vae, x, draws=2):
    """Return -ELBO (as loss), reconstruction and kl of x, nats per image; the draws of z start anew, also for vae."""
    vae.sampling.seed_generator.state.assign([0, 0])
    return vae.evaluate(np.concatenate([check_images(x)] * draws), batch_size=1000, verbose=0, return_dict=True)


def log_importance_weights(vae, x, noise, training=None):
    """Return log p(x, z) - log q(z|x), nats (n, k), at z = mean + exp(log_var / 2) * noise (n, k, latent_dim)."""
    mean, log_var = (ops.expand_dims(ops.cast(output, "float32"), 1) for output in vae.encoder(x, training=training))
    z = mean + ops.exp(0.5 * log_var) * noise  # (n, k, latent_dim)
    flat = ops.reshape(z, (-1, z.shape[-1]))  # (n * k, latent_dim)
    logits = ops.cast(vae.decoder(flat, training=training), "float32")  # (n * k, 28, 28)
    costs = reconstruction_loss(ops.repeat(ops.cast(x, "float32"), ops.shape(z)[1], axis=0), logits)  # (n * k,)
    return ops.reshape(vae.log_prior(flat) - costs, ops.shape(z)[:2]) - log_normal(z, mean, log_var)


def log_likelihood(vae, x, num_samples=500, seed=0, verbose=0):
    """Bound log p(x) of binary images (n, 28, 28) from below, in nats (n,), as Burda et al. (2016) do with samples."""
    x = check_images(x).astype("float32")
    rng, latent_dim = np.random.default_rng(seed), vae.encoder(x[:1])[0].shape[-1]
    inputs = [keras.Input(x.shape[1:]), keras.Input((None, latent_dim))]  # of a model, which Keras compiles
    log_weights = keras.Model(inputs, layers.Lambda(lambda n: log_importance_weights(vae, *n), dtype="float32")(inputs))
    size = max(1, 2500 // num_samples)  # so that no more than 2,500 latent vectors are decoded at a time
    bounds, bar = [], keras.utils.Progbar(len(x), verbose=verbose, unit_name="image")
    for images in np.split(x, range(size, len(x), size)):
        noise = rng.standard_normal((len(images), num_samples, latent_dim), dtype="float32")
        log_w = [log_weights.predict_on_batch([images, n]) for n in np.split(noise, range(2500, num_samples, 2500), 1)]
        bounds.append(np.logaddexp.reduce(np.concatenate(log_w, 1), axis=1, dtype="float64") - np.log(num_samples))
        bar.add(len(images))
    return np.concatenate(bounds)


@keras.saving.register_keras_serializable("vae")
class Flow(layers.Layer):
    """Map z (n, d) to noise (n, d) and log |det Jacobian| (n,) by affine couplings (Dinh et al., 2017)."""

    def __init__(self, d, couplings=6, width=128, **kwargs):
        super().__init__(**(kwargs | {"dtype": "float32"}))
        if d < 2:
            raise ValueError("a coupling changes half of z given the rest, so z needs two dimensions or more")
        self.half, self.built, rng = d // 2, True, np.random.default_rng(0)
        self.orders = [rng.permutation(d) for _ in range(couplings)]
        self.nets = [self.net(d, width) for _ in range(couplings)]

    def net(self, d, width):
        kept = keras.Input((self.half,))
        options = {"activation": "gelu", "dtype": "float32"}
        h = layers.Dense(width, **options)(layers.Dense(width, **options)(kept))
        h = layers.Dense(2 * (d - self.half), kernel_initializer="zeros", dtype="float32")(h)
        scale, shift = ops.split(h, 2, axis=1)
        return keras.Model(kept, [2 * ops.tanh(scale / 2), shift])  # no coupling scales by more than e²

    def call(self, z):
        log_det = 0.0
        for order, net in zip(self.orders, self.nets, strict=True):
            z = ops.take(z, order, axis=1)
            kept, changed = z[:, : self.half], z[:, self.half :]
            scale, shift = net(kept)
            z = ops.concatenate([kept, changed * ops.exp(scale) + shift], axis=1)
            log_det = log_det + ops.sum(scale, axis=1)
        return z, log_det

    def inverse(self, noise):  # (n, d), back to z (n, d)
        for order, net in zip(self.orders[::-1], self.nets[::-1], strict=True):
            kept, changed = noise[:, : self.half], noise[:, self.half :]
            scale, shift = net(kept)
            z = ops.concatenate([kept, (changed - shift) * ops.exp(-scale)], axis=1)
            noise = ops.take(z, np.argsort(order), axis=1)
        return noise


class FlowVAE(VAE):
    """A VAE with a learned prior: z is what standard normal noise becomes on its way back through a flow."""

    def __init__(self, encoder, decoder, flow, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.flow = flow

    def log_prior(self, z):
        noise, log_det = self.flow(z)
        return super().log_prior(noise) + log_det

    def from_noise(self, noise):
        return self.flow.inverse(ops.convert_to_tensor(noise, "float32"))

    def call(self, x, training=None):
        mean, log_var = self.encoder(x, training=training)
        z = self.sampling(mean, log_var)
        return self.decoder(z, training=training), mean, log_var, z

    def divergence(self, mean, log_var, z):
        return log_normal(z, mean, log_var) - self.log_prior(z)


def clear(classifier, x):
    """Return the share of images x (n, 28, 28) of whose class a classifier is more than 95 % sure."""
    return np.mean(classifier.predict(x, batch_size=1000, verbose=0).max(axis=1) > 0.95)


def show_digits(x, row_labels=(), column_labels=(), width=None):
    """Show images (rows, columns, 28, 28), or in colour (..., 28, 28, 3), as one grid, ink black; return the figure."""
    if np.ndim(x) not in (4, 5):
        raise ValueError(f"images must be (rows, columns, 28, 28), not {np.shape(x)}; x[None] makes one row")
    check_images(np.reshape(x, (-1, *np.shape(x)[2:])))
    grid = np.concatenate(np.concatenate(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)][: np.ndim(x)]), 1), 1)
    rows, columns, height, side = np.add(np.shape(x)[:4], (0, 0, 2, 2))
    width = width or 0.6 * columns
    figure, axes = plt.subplots(figsize=(width, width * rows / columns), subplot_kw={"frame_on": False})
    axes.imshow(grid, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(side * np.arange(len(column_labels)) + (side - 1) / 2, column_labels)
    axes.set_yticks(height * np.arange(len(row_labels)) + (height - 1) / 2, row_labels)
    axes.tick_params(length=0, labeltop=True, labelbottom=False, grid_alpha=0)
    return figure


def show_map(axes, z, y):
    """Scatter points z (n, 2) in a colour for each of the classes y (n,), and put each class's digit at its median."""
    for digit in np.unique(y):
        axes.scatter(*z[y == digit].T, color=f"C{digit}", s=10, linewidths=0)
        box = {"boxstyle": "circle,pad=0.1", "color": "white", "alpha": 0.6}
        axes.text(*np.median(z[y == digit], axis=0), digit, size=14, weight="bold", ha="center", va="center", bbox=box)


def save_figure(figure, name):
    """Write a figure to OUTPUTS/images/<name>.png and return that path."""
    path = OUTPUTS / "images" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
