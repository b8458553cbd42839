"""How long training and the likelihood take, beside what their arithmetic alone would take.

    python tools/benchmark.py --rounds 3

Set KERAS_BACKEND to `jax` or `torch` to time Keras's other backends; the products are TensorFlow's on all of them.

The network is that of `digits`, 784-500-500-32 and back. They are timed in turn, after a round that is not counted,
because it compiles; it prints the medians of the time on the clock and of that of all processors, which other work
on the machine hardly changes. The matrix products alone, in one compiled function, without activations,
losses or random numbers, are what no implementation can do without.

Training, one epoch of 60,000 images in batches of 250:

1. the products alone, forward and backward;
2. Keras by default: fit on a NumPy array that is already black and white, compile(optimizer="adam");
3. ours, as in notebook 03: BinarizedBatches, Adam with warm-up and cosine decay.

Likelihood, 500 samples for each of 400 images:

4. the products of the decoder alone, on 2,500 codes at a time;
5. ours: log_likelihood.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import utils  # before TensorFlow, which it tells what to do with memory

# isort: split
import keras
import numpy as np
import tensorflow as tf

BATCH, STEPS, LATENT = 250, 240, 32
ENCODER = [(784, 500), (500, 500), (500, LATENT), (500, LATENT)]
DECODER = [(LATENT, 500), (500, 500), (500, 784)]
IMAGES, SAMPLES, CODES = 400, 500, 2500


def matrices(batch, layers):
    rng = np.random.default_rng(0)

    def matrix(*shape):
        return tf.constant(rng.standard_normal(shape), tf.float32)

    return [(matrix(batch, n), matrix(n, m), matrix(batch, m)) for n, m in layers]


def repeat(function, data, times):
    compiled = tf.function(function, jit_compile=True)

    def run():
        for _ in range(times):
            products = compiled(data)
        products[-1].numpy()

    return run


def training_products():
    def step(data):
        products = []
        for number, (inputs, weights, slopes) in enumerate(data):
            products += [inputs @ weights, tf.matmul(inputs, slopes, transpose_a=True)]
            if number > 0:  # nobody needs a gradient with respect to the images
                products.append(tf.matmul(slopes, weights, transpose_b=True))
        return products  # all of them, or else the compiler would leave out what nobody uses

    return repeat(step, matrices(BATCH, ENCODER + DECODER), STEPS)


def decoder_products():
    def decode(data):
        return [inputs @ weights for inputs, weights, _ in data]

    return repeat(decode, matrices(CODES, DECODER), IMAGES * SAMPLES // CODES)


def keras_default(x, mean_image):
    vae = utils.build_vae(LATENT, mean_image)
    vae.compile(optimizer="adam")
    black_and_white = utils.binarize(x, 0)
    return lambda: vae.fit(black_and_white, batch_size=BATCH, verbose=0)


def our_training(x, mean_image):
    vae = utils.build_vae(LATENT, mean_image)
    vae.compile(keras.optimizers.Adam(utils.warmup_cosine(10 * STEPS), epsilon=1e-4))
    batches = utils.BinarizedBatches(x, BATCH)
    return lambda: vae.fit(batches, shuffle=False, verbose=0)


def our_likelihood(x, mean_image):
    vae = utils.build_vae(LATENT, mean_image)
    black_and_white = utils.binarize(x[:IMAGES], 0)
    return lambda: utils.log_likelihood(vae, black_and_white, SAMPLES)


def medians(runs, rounds):
    """Return for each run the medians of its seconds, by the clock and of all processors."""
    seconds = {name: [] for name in runs}
    for _ in range(1 + rounds):
        for name, run in runs.items():
            start = time.perf_counter(), time.process_time()
            run()
            seconds[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return {name: np.median(times[1:], axis=0) for name, times in seconds.items()}


def report(seconds):
    """Print each run's seconds, and their ratio to those of the products."""
    products = seconds["matrix products alone"]
    for name, own in seconds.items():
        (clock, processors), times = own, own / products
        print(f"{name:22} {clock:6.2f} s, {times[0]:.2f} times the products", end="; ")
        print(f"{processors:6.2f} s of the processors, {times[1]:.2f} times")


def main():
    parser = argparse.ArgumentParser(description="Time training and the likelihood beside their matrix products alone.")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds to take the median of")
    rounds = parser.parse_args().rounds
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__} on {keras.backend.backend()}"
    print(f"{os.cpu_count()} processors, {versions}; median of {rounds}")

    x = (utils.load_mnist()[0][0] / 255).astype("float32")
    mean_image = x.mean(0)
    likelihood = {"matrix products alone": decoder_products(), "ours": our_likelihood(x, mean_image)}
    likelihood = medians(likelihood, rounds)
    speed = 2e-9 * IMAGES * SAMPLES * sum(n * m for n, m in DECODER) / likelihood["matrix products alone"][0]
    print(f"\nlikelihood, {SAMPLES} samples for each of {IMAGES} images; the products run at {speed:.0f} GFLOP/s")
    report(likelihood)

    training = medians(
        {
            "matrix products alone": training_products(),
            "Keras by default": keras_default(x, mean_image),
            "ours": our_training(x, mean_image),
        },
        rounds,
    )
    print("\ntraining, one epoch")
    report(training)


if __name__ == "__main__":
    main()
