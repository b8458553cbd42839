"""Train the shipped models that no notebook trains: python tools/train_models.py [NAME ...]

`digits` and `digits_2d` are trained in notebook 03. The others take half an hour on two cores, `benchmark` first,
because two start from it. They are written to outputs/models, or to assets/models with VAE_OUTPUTS=assets, and judged
in notebooks 05 and 07.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import utils  # before TensorFlow, which it tells what to do with memory

# isort: split
import keras
import nbformat

MODELS = {
    "benchmark": {"latent_dim": 50, "epochs": 95, "weight_decay": 0.03},
    "benchmark_iwae": {"latent_dim": 50, "epochs": 35, "weight_decay": 0.03, "start": "benchmark"},
    "digits_flow": {"latent_dim": 32, "epochs": 10},
    "benchmark_flow": {"latent_dim": 50, "epochs": 80, "weight_decay": 0.1, "start": "benchmark"},
}


def shown_in(notebook, name, **names):
    """Return the class or function that a cell of a notebook defines; names are what it needs beside utils."""
    (path,) = (utils.ASSETS.parent / "notebooks").glob(f"{notebook}_*.ipynb")
    sources = (cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    (source,) = (source for source in sources if source.startswith((f"class {name}(", f"def {name}(")))
    scope = vars(utils) | {"utils": utils} | names
    exec(source, scope)
    return scope[name]


def train(name, latent_dim, epochs, weight_decay=None, start=None):
    x_train = utils.load_mnist()[0][0].astype("float32") / 255
    keras.utils.set_random_seed(0)
    plain = vae = utils.build_vae(latent_dim, mean_image=x_train.mean(axis=0))
    if start:
        plain.set_weights(utils.load_vae(start).get_weights())
    if name.endswith("flow"):
        vae = utils.FlowVAE(plain.encoder, plain.decoder, utils.Flow(latent_dim))
    if name.endswith("iwae"):
        vae = shown_in("05", "IWAE")(plain.encoder, plain.decoder)
    batches, backup_dir = utils.BinarizedBatches(x_train), utils.OUTPUTS / "backup" / name
    utils.train(vae, batches, backup_dir, epochs, weight_decay=weight_decay)
    # The IWAE is saved as a plain VAE, so that it is judged by its ELBO, as the others are.
    utils.save_vae(plain if name.endswith("iwae") else vae, name)


if __name__ == "__main__":
    names = sys.argv[1:] or list(MODELS)
    if not MODELS.keys() >= set(names):
        sys.exit(f"the models are {', '.join(MODELS)}")
    for name in names:
        train(name, **MODELS[name])
