"""Train one VAE on several machines, by Keras on JAX: run this on each of them, with an INDEX of its own.

    python several_machines.py --address HOST:PORT --count COUNT --index INDEX --backup FILE

HOST:PORT is a free port of machine 0, COUNT is their number, and INDEX counts them from 0. FILE must be on a disk that
all of them see. When one of them dies, the others stop; run all of them again, and they go on from the last epoch.
"""

import argparse
import os
import random
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import jax
import keras
import numpy as np

import utils


class Share(utils.BinarizedBatches):
    """Of each batch, the images of one process out of `count`: it draws no others."""

    def __init__(self, x, index, count, **kwargs):
        super().__init__(x, **kwargs)
        self.index, self.count = index, count
        if self.batch_size % count or len(x) % self.batch_size:
            raise ValueError(f"{len(x)} images in batches of {self.batch_size}: {count} processes cannot share them")

    def __getitem__(self, step):
        size = self.batch_size // self.count
        start = step * self.batch_size + self.index * size
        # One seed for each image, so that its pixels do not depend on which process draws them.
        draws = [utils.binarize(self.x[[i]], [self.seed, self.epoch, i]) for i in self.order[start : start + size]]
        return np.concatenate(draws)


class Backup(keras.callbacks.Callback):
    """After each epoch, process 0 writes all that a restart needs into one file."""

    def __init__(self, path):
        super().__init__()
        self.path = Path(path)

    def variables(self, model):
        return model.variables + model.optimizer.variables

    def on_epoch_end(self, epoch, logs=None):
        if jax.process_index() == 0:
            values = [np.asarray(variable.value) for variable in self.variables(self.model)]
            with open(f"{self.path}.new", "wb") as file:
                np.savez(file, *values, epochs_done=epoch + 1)
            os.replace(f"{self.path}.new", self.path)

    def restore(self, model):
        """Set the model's variables as they were, and return the number of epochs that are done."""
        if not self.path.exists():
            return 0
        with np.load(self.path) as saved:
            for number, variable in enumerate(self.variables(model)):
                variable.assign(saved[f"arr_{number}"])
            return int(saved["epochs_done"])


def train(options):
    x_train = utils.load_mnist()[0][0][: options.images].astype("float32") / 255
    batches = Share(x_train, options.index, options.count)
    random.seed(0)  # Keras seeds its layers from it: all machines begin alike, and none imports TensorFlow for a seed
    vae = utils.build_vae(latent_dim=32, mean_image=x_train.mean(axis=0))
    vae.compile(keras.optimizers.Adam(utils.warmup_cosine(options.epochs * len(batches)), epsilon=1e-4))
    vae.optimizer.build(vae.trainable_variables)
    backup = Backup(options.backup)

    def set_epoch(epoch, logs):
        batches.set_epoch(epoch)
        vae.sampling.seed_generator.state.assign([epoch, 0])

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=set_epoch), backup]
    done = backup.restore(vae)
    if done >= options.epochs:
        raise SystemExit(f"{options.backup} holds all {done} epochs: delete it to begin anew")
    return vae.fit(batches, epochs=options.epochs, initial_epoch=done, shuffle=False, verbose=2, callbacks=callbacks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--backup", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--timeout", type=int, default=60, help="seconds after which a silent process counts as dead")
    options = parser.parse_args()

    host, _, _ = options.address.rpartition(":")
    os.environ["no_grpc_proxy"] = host  # noqa: SIM112  or a proxy for the internet would be asked
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(options.address, options.count, options.index, heartbeat_timeout_seconds=options.timeout)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    try:
        losses = train(options).history["loss"]
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).rpartition("Error dispatching computation: ")[2]
        print(f"process {options.index} stops: another one is gone (start all of them again); {reason}", flush=True)
        os._exit(1)  # a normal exit would wait for the dead one
    print(f"process {options.index} of {options.count}: loss {losses[-1]:.6f}")


if __name__ == "__main__":
    main()
