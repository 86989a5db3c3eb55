"""One seed, one result: what has to be set once before any TensorFlow work."""

import keras
import tensorflow as tf


def enable(seed):
    """Makes TensorFlow's ops deterministic and seeds what has no seed of its own.

    Args:
        seed: an int.
    """
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


def derive_seed(*parts):
    """Mixes ints and strings into one seed in [0, 2**31), the same on every machine."""
    value = 2166136261
    for byte in "/".join(map(str, parts)).encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value % 2**31
