"""Train the variants that notebooks 05, 07 and 08 compare, and write the numbers to assets/variants.csv.

    python tools/measure_variants.py

"changes": what each change to the training bought, and "settings": other learning rates and batch sizes for `digits`.
So that the test set chooses nothing, these are trained on the first 50,000 training images and judged on the other
10,000. "seeds": the models `digits` and `digits_flow` with other seeds, trained on all 60,000 and judged on the test
set: what is left to chance. "control": `benchmark` continued as `benchmark_iwae` is, but on the ELBO. "convolutions":
`digits` and `digits_flow` with the networks of notebook 08. "shipped": `strongest` itself, as its bound takes too long
for a notebook. Together they take about an hour and a half on two cores.

Rows are written as they are finished. A row that is there is not measured again, so delete what you want measured
again; interrupted training resumes where it stopped.
"""

import csv
import datetime
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import utils  # before TensorFlow, which it tells what to do with memory

# isort: split
import keras
import numpy as np
import tensorflow as tf
from train_models import MODELS, shown_in

TABLE = utils.ASSETS / "variants.csv"
COLUMNS = [
    "table",
    "variant",
    "seed",
    "passes",
    "minus_elbo",
    "nll",
    "samples",
    "active",
    "date",
    "tensorflow",
    "keras",
]
SHORT = {"latent_dim": 50, "epochs": 10, "centred": "", "weight_decay": None}
CHANGES = {
    "10 passes, input and output not centred": SHORT,
    "output centred on the mean image": SHORT | {"centred": "output"},
    "input centred on it, too": SHORT | {"centred": "input and output"},
    "90 passes instead of 10": SHORT | {"centred": "input and output", "epochs": 90},
    "weight decay of 0.03": SHORT | {"centred": "input and output", "epochs": 90, "weight_decay": 0.03},
}
DIGITS = {"latent_dim": 32, "epochs": 10, "centred": "input and output", "weight_decay": None}
SETTINGS = ((4e-3, 250), (2e-3, 250), (8e-3, 250), (4e-3, 125), (4e-3, 500))
CONTROL = {"latent_dim": 50, "epochs": 35, "centred": "input and output", "weight_decay": 0.03, "start": "benchmark"}
JOBS = [  # table, variant, seed, samples of the bound, and how to train it
    *(("changes", name, 0, 100, options) for name, options in CHANGES.items()),
    *(
        ("settings", f"peak {peak:g}, batches of {size}", 0, 100, DIGITS | {"peak": peak, "batch_size": size})
        for peak, size in SETTINGS
    ),
    *(("seeds", "digits", seed, 100, DIGITS) for seed in range(3)),
    *(("seeds", "digits_flow", seed, 100, DIGITS | {"flow": True}) for seed in range(3)),
    ("control", "benchmark, 35 more passes on the ELBO", 0, 50, CONTROL),
    ("convolutions", "convolutional", 0, 100, DIGITS | {"conv": True}),
    ("convolutions", "convolutional_flow", 0, 100, DIGITS | {"conv": True, "flow": True}),
    ("shipped", "strongest", 0, 500, None),
]


def judge(vae, x_judged, samples):
    x = utils.binarize(x_judged, 0)
    mean, _ = vae.encoder.predict(x, batch_size=1000, verbose=0)
    return {
        "minus_elbo": f"{vae.evaluate(x, batch_size=1000, verbose=0, return_dict=True)['loss']:.2f}",
        "nll": f"{-utils.log_likelihood(vae, x, samples, verbose=1).mean():.2f}",
        "samples": samples,
        "active": "" if hasattr(vae, "flow") else np.sum(mean.var(axis=0) > 0.01),  # the threshold assumes N(0, I)
    }


def trained(
    name,
    x_train,
    seed,
    latent_dim,
    epochs,
    centred,
    weight_decay,
    start=None,
    flow=False,
    conv=False,
    peak=4e-3,
    batch_size=250,
):
    keras.utils.set_random_seed(seed)
    build = shown_in("08", "convolutional_vae") if conv else utils.build_vae
    vae = build(latent_dim, x_train.mean(axis=0) if centred else None)
    if centred == "output":
        (center,) = (layer for layer in vae.encoder.layers if isinstance(layer, utils.Center))
        center.image.assign(np.zeros((28, 28)))
    if start:
        vae.set_weights(utils.load_vae(start).get_weights())
    if flow:
        vae = utils.FlowVAE(vae.encoder, vae.decoder, utils.Flow(latent_dim))
    backup_dir = utils.OUTPUTS / "backup" / re.sub(r"\W+", "_", f"{name} {seed}")
    batches = utils.BinarizedBatches(x_train, batch_size, seed)
    utils.train(vae, batches, backup_dir, epochs, weight_decay=weight_decay, peak=peak)
    return vae


def main():
    (x_train, _), (x_test, _) = utils.load_mnist()
    x_train, x_test = (x_train / 255).astype("float32"), (x_test / 255).astype("float32")
    rows = list(csv.DictReader(TABLE.open(encoding="utf-8"))) if TABLE.exists() else []
    order = [job[:3] for job in JOBS]
    for table, name, seed, samples, options in JOBS:
        held_out = table in ("changes", "settings")
        images = (x_train[:50_000], x_train[50_000:]) if held_out else (x_train, x_test)
        key = {"table": table, "variant": name, "seed": str(seed)}
        if any(key.items() <= row.items() for row in rows):
            continue
        vae = trained(name, images[0], seed, **options) if options else utils.load_vae(name, utils.ASSETS)
        row = key | {"passes": (options or MODELS[name])["epochs"]} | judge(vae, images[1], samples)
        row |= {"date": datetime.date.today(), "tensorflow": tf.__version__, "keras": keras.__version__}
        print(*row.values(), sep="  ", flush=True)
        rows.append(row)
        rows.sort(key=lambda row: order.index((row["table"], row["variant"], int(row["seed"]))))
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
