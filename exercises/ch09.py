"""09 Scale it."""

import numpy as np
from keras import ops

from exercises.checks import exercise, expect_near


@exercise
def four_replicas(reported, peak):
    mistakes = [
        (94, "each replica's loss is the mean over its share, and they are added up"),
        (94 / 4, "added up, not divided"),
    ]
    expect_near(reported, 376, mistakes, "Keras undoes a division by 4 that never took place")
    mistakes = [
        (16e-3, "for Adam the first guess is the square root of the factor"),
        (2e-3, "larger batches allow larger steps"),
    ]
    expect_near(peak, 8e-3, mistakes, "4e-3 times the square root of 4")


@exercise
def next_bfloat16(guess):
    steps = ops.convert_to_numpy(ops.cast(ops.cast(np.linspace(200, 204, 4001), "bfloat16"), "float32"))
    mistakes = [
        (200.5, "near 90 the step is 0.5; from 128 on it is twice that"),
        (202, "200 has 8 binary digits before the point, and 8 is all there is"),
    ]
    hint = "with 8 significant bits, how much is the last one worth between 128 and 256?"
    expect_near(guess, np.unique(steps)[1], mistakes, hint, 1e-5)
