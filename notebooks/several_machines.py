"""Train one VAE on several machines, with Keras on JAX. Run this on each of them:

    python several_machines.py --address HOST:PORT --count COUNT --index INDEX --backup FILE

COUNT is the number of machines, INDEX runs from 0 to COUNT - 1, and HOST:PORT is a free port of machine 0. FILE must be
on a disk that all of them share. If one machine dies, the others stop. Run the command on all of them again, and they
resume after the last finished epoch.

To try it, let COUNT processes on one machine's processors stand in for several:

    python several_machines.py --launch COUNT --backup FILE
"""

import argparse
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import keras
import numpy as np

import utils


class Share(utils.BinarizedBatches):
    """One process's share of every batch: it draws these images and no others."""

    def __init__(self, x, index, count, **kwargs):
        super().__init__(x, **kwargs)
        self.index, self.count = index, count
        if self.batch_size % count or len(x) % self.batch_size:
            raise SystemExit(f"{count} processes cannot share {len(x)} images in batches of {self.batch_size} evenly")

    def __getitem__(self, step):
        size = self.batch_size // self.count
        start = step * self.batch_size + self.index * size
        # Each image has a seed of its own, so its pixels do not depend on which process draws them.
        draws = [utils.binarize(self.x[[i]], [self.seed, self.epoch, i]) for i in self.order[start : start + size]]
        return np.concatenate(draws)


class Backup(keras.callbacks.Callback):
    """After each epoch, process 0 writes everything that a restart needs into one file."""

    def __init__(self, path, **settings):
        super().__init__()
        self.path, self.settings, self.saved, self.done = Path(path), settings, {}, 0
        if self.path.exists():
            with np.load(self.path) as saved:
                self.saved = dict(saved)
            self.done = int(self.saved["done"])
            for name, began in json.loads(str(self.saved["settings"])).items():
                if began != settings[name]:
                    end = "repeat its settings to resume it, or name another file to begin anew"
                    raise SystemExit(f"{path} was begun with {began} {name}, not {settings[name]}: {end}")
            if self.done == settings["epochs"]:
                raise SystemExit(f"{path} holds all {self.done} epochs: delete it to begin anew")

    def variables(self, model):
        return model.variables + model.optimizer.variables

    def on_epoch_end(self, epoch, logs=None):
        if jax.process_index() == 0:
            values = [np.asarray(variable.value) for variable in self.variables(self.model)]
            with open(f"{self.path}.new", "wb") as file:
                np.savez(file, *values, done=epoch + 1, settings=json.dumps(self.settings))
            os.replace(f"{self.path}.new", self.path)

    def restore(self, model):
        """Set the model's variables to what they were after the last finished epoch."""
        if self.done:
            for number, variable in enumerate(self.variables(model)):
                variable.assign(self.saved[f"arr_{number}"])


def prepare(options):
    """Return the batches and the backup; refuse what cannot work, before any process waits."""
    if options.count > 1 and sys.platform == "win32":
        raise SystemExit("on Windows, JAX cannot connect several processes: use Linux, macOS or WSL")
    x_train = utils.load_mnist()[0][0][: options.images].astype("float32") / 255
    batches = Share(x_train, options.index, options.count)
    settings = {"epochs": options.epochs, "images": len(x_train), "images a batch": batches.batch_size}
    return batches, Backup(options.backup, **settings)


def train(options, batches, backup):
    random.seed(0)  # Keras seeds its layers from it: all machines begin alike, and none imports TensorFlow for a seed
    vae = utils.build_vae(latent_dim=32, mean_image=batches.x.mean(axis=0))
    vae.compile(keras.optimizers.Adam(utils.warmup_cosine(options.epochs * len(batches)), epsilon=1e-4))
    vae.optimizer.build(vae.trainable_variables)
    backup.restore(vae)

    def set_epoch(epoch, logs):
        batches.set_epoch(epoch)
        vae.sampling.seed_generator.state.assign([epoch, 0])

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=set_epoch), backup]
    how = {"epochs": options.epochs, "initial_epoch": backup.done, "shuffle": False, "callbacks": callbacks}
    return vae.fit(batches, verbose=0 if options.index else 2, **how)


def launch(count):
    """Run this command in `count` processes on this machine, and return whether one of them failed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, *sys.argv, "--launch", "0", "--address", address, "--count", str(count), "--index"]
    # On one core, XLA would start too few threads for two devices, and each would wait for the other.
    settings = {"JAX_PLATFORMS": "cpu", "PJRT_NPROC": "8", "TF_CPP_MIN_LOG_LEVEL": "3"}
    how = {"env": os.environ | settings, "stdin": subprocess.PIPE, "start_new_session": True}
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends this process at once, and so the others
    processes = [subprocess.Popen([*command, str(index)], **how) for index in range(count)]
    statuses = [process.wait() for process in processes]
    return any(statuses)


def end_with_the_launcher():
    os.read(0, 1)  # returns when the launcher has gone, however it went, because nobody writes to this pipe
    os._exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backup", required=True)
    parser.add_argument("--address")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--launch", type=int, metavar="COUNT", help="how many processes to start on this machine")
    parser.add_argument("--devices", type=int, default=1, help="into how many devices JAX divides the processor")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--timeout", type=int, default=60, help="seconds after which a silent process counts as dead")
    options = parser.parse_args()
    if options.count > 1 and not options.address:
        parser.error("several processes need the --address of the first")

    sys.stdout.reconfigure(line_buffering=True)  # or os._exit would swallow lines, and those of two processes would mix
    options.count = options.launch or options.count
    batches, backup = prepare(options)
    if options.launch:
        sys.exit(launch(options.launch))
    if options.launch == 0:  # which is what a launched process gets
        threading.Thread(target=end_with_the_launcher, daemon=True).start()

    jax.config.update("jax_num_cpu_devices", options.devices)
    if options.count > 1:
        host, _, _ = options.address.rpartition(":")
        os.environ["no_grpc_proxy"] = host  # noqa: SIM112  or a proxy for the internet would be asked
        logging.getLogger("jax._src.distributed").setLevel("ERROR")  # it warns of that variable
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        heartbeat = {"heartbeat_timeout_seconds": options.timeout}
        jax.distributed.initialize(options.address, options.count, options.index, **heartbeat)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    try:
        losses = train(options, batches, backup).history["loss"]
    except Exception as error:
        if options.count == 1:
            raise
        print(f"process {options.index} stops: {type(error).__name__}: {error}")
        print("If another process has died, start all of them again.")
        os._exit(1)  # a normal exit would wait for the others, dead or alive
    print(f"process {options.index} of {options.count}: loss {losses[-1]:.6f}")


if __name__ == "__main__":
    main()
