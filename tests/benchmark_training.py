"""How long one epoch of training `digits` takes, beside what its arithmetic alone would take.

    python tests/benchmark_training.py --epochs 3

The network is 784-500-500-32 and back, the data 60,000 images in batches of 250. Three things are timed in turns, one
epoch each, after an epoch of each that is not counted, because it compiles; printed are the medians:

1. the matrix products alone, forward and backward, in one compiled function: no activations, no loss, no optimizer;
2. Keras by default: fit on a NumPy array that is already black and white, compile(optimizer="adam");
3. ours, as in notebook 03: BinarizedBatches, jit_compile, steps_per_execution=40, Adam with warm-up and cosine decay.

The target is that ours takes at most 2.2 times as long as the products.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import utils  # noqa: I001  first, because it imports TensorFlow without its log lines
import keras
import numpy as np
import tensorflow as tf

BATCH, STEPS, LATENT = 250, 240, utils.LATENT_DIM["digits"]
LAYERS = [(784, 500), (500, 500), (500, LATENT), (500, LATENT), (LATENT, 500), (500, 500), (500, 784)]


def matrix_products():
    rng = np.random.default_rng(0)

    def matrix(*shape):
        return tf.constant(rng.standard_normal(shape), tf.float32)

    data = [(matrix(BATCH, n), matrix(n, m), matrix(BATCH, m)) for n, m in LAYERS]

    @tf.function(jit_compile=True)
    def step(data):
        products = []
        for number, (inputs, weights, slopes) in enumerate(data):
            products += [inputs @ weights, tf.matmul(inputs, slopes, transpose_a=True)]
            if number > 0:  # nobody needs a gradient with respect to the images
                products.append(tf.matmul(slopes, weights, transpose_b=True))
        return products  # all of them, or else the compiler would leave out what nobody uses

    def epoch():
        for _ in range(STEPS):
            products = step(data)
        products[-1].numpy()

    return epoch


def keras_default(x, mean_image):
    vae = utils.build_vae(LATENT, mean_image)
    vae.compile(optimizer="adam")
    black_and_white = utils.binarize(x, 0)
    return lambda: vae.fit(black_and_white, batch_size=BATCH, verbose=0)


def ours(x, mean_image):
    vae = utils.build_vae(LATENT, mean_image)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=9 * STEPS, warmup_target=4e-3, warmup_steps=STEPS
    )
    vae.compile(keras.optimizers.Adam(schedule, epsilon=1e-4), jit_compile=True, steps_per_execution=40)
    batches = utils.BinarizedBatches(x, BATCH)
    return lambda: vae.fit(batches, shuffle=False, verbose=0)


def main():
    parser = argparse.ArgumentParser(description="Time one epoch of training, beside its matrix products alone.")
    parser.add_argument("--epochs", type=int, default=3, help="how many epochs of each to take the median of")
    epochs = parser.parse_args().epochs

    x = (utils.load_mnist()[0][0] / 255).astype("float32")
    runs = {
        "matrix products alone": matrix_products(),
        "Keras by default": keras_default(x, x.mean(0)),
        "ours": ours(x, x.mean(0)),
    }
    seconds = {name: [] for name in runs}
    for _ in range(1 + epochs):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    median = {name: np.median(times[1:]) for name, times in seconds.items()}

    print(f"{os.cpu_count()} processors, TensorFlow {tf.__version__}, Keras {keras.__version__}; median of {epochs}")
    for name, time_taken in median.items():
        ratio = time_taken / median["matrix products alone"]
        print(f"{name:22} {time_taken:6.2f} s per epoch, {ratio:.2f} times the products")
    print("target: ours at most 2.20 times the products")


if __name__ == "__main__":
    main()
