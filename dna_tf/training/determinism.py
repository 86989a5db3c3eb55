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
