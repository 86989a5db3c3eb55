"""Keras' settings in this process: those that models here are built and run with.

Keras takes defaults for all layers from its file `keras.json`, from variables of the environment
and from calls in a user's script: the type of floats, the order of axes, the backend. A network
that is built under others computes something else, in silence.
"""

import keras

from dna_tf.common import progress

_BACKEND = "tensorflow"
_FLOAT = "float32"
# Name of a setting -> the functions of `keras.config` that read and write it, and its value here.
# The limits on `fit` and `predict` come from KERAS_MAX_EPOCHS and KERAS_MAX_STEPS_PER_EPOCH:
# `predict` of a part of the images would be measured as if it was all of them.
_SETTINGS = {
    "floatx": (keras.config.floatx, keras.config.set_floatx, _FLOAT),
    "epsilon": (keras.config.epsilon, keras.config.set_epsilon, 1e-7),
    "image_data_format": (
        keras.config.image_data_format,
        keras.config.set_image_data_format,
        "channels_last",
    ),
    "max_epochs": (keras.config.max_epochs, keras.config.set_max_epochs, None),
    "max_steps_per_epoch": (
        keras.config.max_steps_per_epoch,
        keras.config.set_max_steps_per_epoch,
        None,
    ),
}


def settle():
    """Sets what Keras takes as defaults for layers, and checks what cannot be set.

    Call it before layers are built, loaded or run. Values that a user has set to something else
    in `keras.json`, in the environment or in a script are changed for this process, with a
    warning.

    Raises:
        ValueError: Keras runs on another backend than TensorFlow, or its global dtype policy
            is not float32.
    """
    backend = keras.config.backend()
    if backend != _BACKEND:
        raise ValueError(
            f"Keras must run on the backend {_BACKEND!r}, and was imported with {backend!r}. "
            "Import dna_tf before keras, or set KERAS_BACKEND=tensorflow."
        )
    policy = keras.config.dtype_policy().name
    if policy not in (_FLOAT, keras.config.floatx()):  # without a policy of its own it is floatx
        raise ValueError(
            f"Keras' global dtype policy is {policy!r} in this process, and models are built and "
            f"loaded in {_FLOAT!r} here. Call keras.config.set_dtype_policy({_FLOAT!r}) first; for "
            "training in mixed precision set the recipe's or the supernet's precision."
        )
    changed = []
    for name, (read, write, value) in _SETTINGS.items():
        if read() != value:
            changed.append(f"{name}={read()!r}")
            write(value)
    if policy != _FLOAT:
        keras.config.set_dtype_policy(_FLOAT)
    if changed:
        usual = ", ".join(f"{name}={value!r}" for name, (_, _, value) in _SETTINGS.items())
        progress.warn(
            f"Keras was set to {', '.join(changed)} (in keras.json, in the environment or by a "
            f"call). This process computes with {usual}."
        )
