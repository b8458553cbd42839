"""Train the shipped models that no notebook trains: python tools/train_models.py [NAME ...]

`digits` and `digits_2d` are trained in notebook 03. The others take half an hour on two cores, `benchmark` first,
because two start from it; `strongest` takes 40 minutes more if the processor computes with bfloat16, else over an hour.
They are written to outputs/models, or to assets/models with VAE_OUTPUTS=assets, and judged in notebooks 05, 07 and 08.
Interrupted training resumes where it stopped.
"""

import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import utils  # before TensorFlow, which it tells what to do with memory

# isort: split
import keras
import nbformat
import numpy as np
from keras import layers

MODELS = {
    "benchmark": {"latent_dim": 50, "epochs": 95, "weight_decay": 0.03},
    "benchmark_iwae": {"latent_dim": 50, "epochs": 35, "weight_decay": 0.03, "start": "benchmark"},
    "digits_flow": {"latent_dim": 32, "epochs": 10},
    "benchmark_flow": {"latent_dim": 50, "epochs": 80, "weight_decay": 0.1, "start": "benchmark"},
    "strongest": {"latent_dim": 32, "epochs": 60, "weight_decay": 0.1, "peak": 3e-3, "width": 32},
}


def shown_in(notebook, name, **names):
    """Return the class or function that a cell of a notebook defines; names are what it needs besides utils."""
    (path,) = (utils.ASSETS.parent / "notebooks").glob(f"{notebook}_*.ipynb")
    sources = (cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    (source,) = (source for source in sources if source.startswith((f"class {name}(", f"def {name}(")))
    scope = vars(utils) | {"utils": utils} | names
    exec(source, scope)
    return scope[name]


def set_precision(vae, policy):
    """Let all layers but the dense ones compute with a Keras policy. Their weights remain float32."""
    for layer in (*vae.encoder.layers, *vae.decoder.layers):
        if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose, layers.Activation, layers.Add)):
            layer.dtype_policy = policy


def fitted_flow(encoder, x, latent_dim, couplings=10, width=256, rounds=20):
    """Fit a larger flow to the latent codes of an encoder, as notebook 07 does, drawing them anew in every round."""
    density = shown_in("07", "Density")(utils.Flow(latent_dim, couplings, width))
    schedule = utils.warmup_cosine(rounds * 4 * (len(x) // 500), peak=2e-3)
    density.compile(keras.optimizers.Adam(schedule), loss=lambda _, log_r: -keras.ops.mean(log_r))
    density.optimizer.build(density.trainable_variables)
    for seed in range(rounds):
        mean, log_var = encoder.predict(utils.binarize(x, seed), batch_size=1000, verbose=0)
        noise = np.random.default_rng(seed).standard_normal(mean.shape, dtype="float32")
        z = mean + np.exp(0.5 * log_var) * noise
        loss = density.fit(z, z, batch_size=500, epochs=4, verbose=0).history["loss"][-1]
        print(f"round {seed + 1}/{rounds}: {-loss:.2f} nats", flush=True)
    return density.flow


def save_small(vae, name):
    """Save a model with weights of 16 bits, as float32 numbers whose last bits are 0 and are squeezed out."""
    vae.set_weights([weight.astype("float16") for weight in vae.get_weights()])
    path = utils.save_vae(vae, name)
    with zipfile.ZipFile(path) as file:
        parts = {part: file.read(part) for part in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part, content in parts.items():
            file.writestr(part, content)


def train(name, latent_dim, epochs, weight_decay=None, start=None, peak=4e-3, width=None):
    x_train = utils.load_mnist()[0][0].astype("float32") / 255
    keras.utils.set_random_seed(0)
    if width:
        plain = vae = shown_in("08", "convolutional_vae")(latent_dim, x_train.mean(axis=0), width)
        set_precision(vae, "mixed_bfloat16")  # twice as fast on processors that have it
    else:
        plain = vae = utils.build_vae(latent_dim, mean_image=x_train.mean(axis=0))
    if start:
        plain.set_weights(utils.load_vae(start).get_weights())
    if name.endswith("flow") or width:
        vae = utils.FlowVAE(plain.encoder, plain.decoder, utils.Flow(latent_dim))
    if name.endswith("iwae"):
        vae = shown_in("05", "IWAE")(plain.encoder, plain.decoder)
    batches, backup_dir = utils.BinarizedBatches(x_train), utils.OUTPUTS / "backup" / name
    utils.train(vae, batches, backup_dir, epochs, weight_decay=weight_decay, peak=peak)
    if width:
        set_precision(vae, "float32")
        flow = fitted_flow(vae.encoder, x_train, latent_dim)
        return save_small(utils.FlowVAE(vae.encoder, vae.decoder, flow), name)
    # The IWAE is saved as a plain VAE, so that it is judged by its ELBO, as the others are.
    utils.save_vae(plain if name.endswith("iwae") else vae, name)


if __name__ == "__main__":
    names = sys.argv[1:] or list(MODELS)
    if not MODELS.keys() >= set(names):
        sys.exit(f"the models are {', '.join(MODELS)}")
    for name in names:
        train(name, **MODELS[name])
