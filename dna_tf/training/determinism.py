"""The same seed gives the same result: set once, before any work of TensorFlow."""

import keras
import tensorflow as tf

from dna_tf.models import keras_settings


def enable(seed):
    """Makes TensorFlow's ops deterministic and seeds those without a seed of their own.

    Args:
        seed: an int.
    """
    keras_settings.settle()
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
