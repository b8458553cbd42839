"""What the tests need of a backend that keras.ops does not have."""

import keras
import numpy as np
import pytest


@pytest.fixture
def forgotten():
    """What a test registers with Keras does not outlive it: else a file could come back as another test's class."""
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    yield
    registered.clear()
    registered.update(before)


def gradient(function, *arrays):
    """Return the derivatives of a scalar function with respect to its arguments, as NumPy arrays."""
    arrays = [np.asarray(array, "float32") for array in arrays]
    if keras.backend.backend() == "jax":
        import jax

        found = jax.grad(function, argnums=range(len(arrays)))(*arrays)
    elif keras.backend.backend() == "torch":
        import torch

        arrays = [torch.tensor(array, requires_grad=True) for array in arrays]
        found = torch.autograd.grad(function(*arrays), arrays)
    else:
        import tensorflow as tf

        arrays = [tf.Variable(array) for array in arrays]
        with tf.GradientTape() as tape:
            value = function(*arrays)
        found = tape.gradient(value, arrays)
    return [keras.ops.convert_to_numpy(part) for part in found]


def gradient_of_weights(model, x):
    """Return the derivatives of a model's loss with respect to its weights, by path: one step of size one."""
    model.compile(keras.optimizers.SGD(1.0))
    before = {weight.path: np.array(keras.ops.convert_to_numpy(weight)) for weight in model.trainable_weights}
    model.train_on_batch(x)
    return {weight.path: before[weight.path] - keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}
