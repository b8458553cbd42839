"""The training that notebooks 03 and 05 share, and its bad days."""

import shutil

import keras
import numpy as np
import pytest
from keras import ops

import utils


def small():
    keras.utils.set_random_seed(0)
    return utils.build_vae(2, hidden_units=16)


@pytest.fixture(autouse=True, scope="module")
def eagerly():
    """These trainings are so short that tracing them takes most of the time; notebook 03 resumes one that is traced."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)
    else:
        yield


class Interruption(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.last = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations > 5 * self.last + 2:
            raise KeyboardInterrupt


def train(
    model, folder, interrupted_in=None, batch_size=10, seed=0, epochs=4, weight_decay=0.03, callbacks=(), peak=4e-3
):
    """Train for four epochs of five steps and return Keras's History, or None if it is interrupted."""
    x = (utils.load_mnist()[0][0][:50] / 255).astype("float32")
    stop = [] if interrupted_in is None else [Interruption(interrupted_in)]
    batches = utils.BinarizedBatches(x, batch_size, seed)
    try:
        return utils.train(model, batches, folder / "backup", epochs, None, weight_decay, [*callbacks, *stop], peak)
    except KeyboardInterrupt:
        return None


@pytest.mark.slow
def test_an_interrupted_training_goes_on_where_it_stopped(tmp_path, capsys):
    """A closed laptop would cost the minutes before it, or give another model than an unbroken run."""
    whole, broken, resumed = small(), small(), small()
    history = train(whole, tmp_path)
    assert not any((tmp_path / "backup").iterdir())
    assert train(broken, tmp_path, interrupted_in=2) is None
    capsys.readouterr()
    history_resumed = train(resumed, tmp_path)
    printed = capsys.readouterr().out
    assert "Epoch 3/4" in printed
    assert "Epoch 1/4" not in printed
    assert (history.epoch, history_resumed.epoch) == ([0, 1, 2, 3], [2, 3])
    assert history.history["loss"][-1] < history.history["loss"][0]
    np.testing.assert_allclose(history_resumed.history["loss"], history.history["loss"][2:], rtol=1e-4)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-2)


@pytest.mark.slow
def test_a_training_stopped_in_its_first_epoch_begins_anew(tmp_path):
    """There is nothing to go on with, so other settings are as good."""
    train(small(), tmp_path, interrupted_in=0)
    assert train(small(), tmp_path, batch_size=25).epoch == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A folder with the backup of a training that was interrupted in its third epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    train(small(), folder, interrupted_in=2)
    return folder


@pytest.fixture
def folder(interrupted, tmp_path):
    return shutil.copytree(interrupted, tmp_path / "copy")


@pytest.mark.slow
def test_a_model_that_went_on_once_begins_anew_the_next_time(folder):
    """A second training in the same kernel would leave out its first epochs, as Keras remembers where it went on."""
    model = small()
    assert train(model, folder).epoch == [2, 3]
    assert train(model, folder).epoch == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"epochs": 3}, {"batch_size": 25}, {"weight_decay": None}, {"seed": 1}])
def test_other_settings_begin_anew(folder, change):
    """A reader who stops, edits and runs again would get a mixture of two trainings, or an empty history."""
    assert train(small(), folder, **change).epoch == list(range(change.get("epochs", 4)))
    assert train(small(), folder).epoch == [2, 3]


@pytest.mark.slow
def test_another_model_begins_anew(folder):
    """A reader who changes the model after an interruption would read that some objects cannot be loaded."""
    assert train(utils.build_vae(3, hidden_units=16), folder).epoch == [0, 1, 2, 3]


def test_of_a_damaged_backup_the_one_before_is_used(folder):
    """A crash while a backup is written would cost all epochs."""
    (latest,) = folder.rglob("latest.weights.h5")
    latest.write_bytes(b"half")
    assert train(small(), folder, interrupted_in=1) is None


class Unwritable(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise PermissionError(13, "Permission denied", "log.csv")


def test_an_error_of_something_else_is_not_blamed_on_the_backup(tmp_path):
    """A reader whose log cannot be written would be told to delete a good backup."""
    with pytest.raises(PermissionError, match="^[^:]*Permission denied: 'log.csv'$"):
        train(small(), tmp_path, callbacks=[Unwritable()])


def test_a_folder_that_cannot_be_written_is_named_at_once(tmp_path):
    """In a read-only folder a reader would wait for a whole epoch, and then lose it."""
    (tmp_path / "backup").touch()
    model = small()
    with pytest.raises(OSError, match="backup"):
        train(model, tmp_path)
    assert model.optimizer.iterations == 0


def test_a_loss_that_is_no_number_stops_the_training_and_nothing_is_saved(tmp_path):
    """A learning rate that is too high would train NaN for minutes, and save a model that decodes to nothing."""
    model = small()
    with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch [0-4]"):
        train(model, tmp_path, peak=1e30)
    assert model.optimizer.iterations < 5
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.slow
def test_each_seed_and_each_epoch_has_noise_of_its_own(tmp_path):
    """Rows of a table that are called seeds would share the noise of their samples."""
    firsts = []

    class Noting(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            firsts.append(ops.convert_to_numpy(keras.random.normal((4,), seed=self.model.sampling.seed_generator)))

    for seed in (0, 1):
        train(small(), tmp_path, seed=seed, epochs=2, callbacks=[Noting()])
    assert len(np.unique(np.round(firsts, 4), axis=0)) == 4


@pytest.mark.slow
def test_weight_decay_shrinks_the_weights(tmp_path):
    """The option would be passed over in silence, and notebook 05 would regularise nothing."""
    sizes = []
    for weight_decay in (None, 50):
        model = small()
        train(model, tmp_path, epochs=1, weight_decay=weight_decay)
        sizes.append(sum(float(ops.sum(ops.square(weights))) for weights in model.trainable_weights))
    assert sizes[1] < 0.7 * sizes[0]


def test_the_learning_rate_climbs_for_a_tenth_of_the_steps_and_ends_at_zero():
    """The curve that notebook 03 draws would be another one."""
    rates = np.array([float(utils.warmup_cosine(1000)(step)) for step in range(0, 1001, 10)])
    assert rates[10] == rates.max() == pytest.approx(4e-3)
    assert (np.diff(rates[:11]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)
