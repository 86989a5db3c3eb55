"""Determinism: the same seed gives the same numbers."""

import keras
import numpy as np
import tensorflow as tf

from dna_tf.training import determinism


def test_what_has_no_seed_of_its_own_is_seeded():
    numbers = []
    for seed in (3, 3, 4):
        determinism.enable(seed)
        drawn = keras.initializers.GlorotUniform()((4, 4))
        numbers.append((np.asarray(drawn).tobytes(), tf.random.uniform([3]).numpy().tobytes()))
    assert numbers[0] == numbers[1] != numbers[2]
