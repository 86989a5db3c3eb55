"""The preprocessing of a teacher for images in 0..255, as layers of its graph."""

import keras
import numpy as np

from dna_tf.common import checks
from dna_tf.config import run_config
from dna_tf.models import copies

KINDS = run_config.PREPROCESSING_KINDS

_BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet in 0..255
_RGB_MEAN = (0.485, 0.456, 0.406)  # of ImageNet in 0..1
_RGB_STD = (0.229, 0.224, 0.225)
_COLOURED = ("caffe", "torch")
_PREFIX = "preprocess_"  # of the names of these layers


def apply(kind, image):
    """Applies the layers of a kind of preprocessing to an image tensor.

    They are stock Keras layers without weights, so there is nothing to freeze or to save. Their
    values equal those of Keras' function to the bit.

    Args:
        kind: one of `KINDS`: `"none"` leaves 0..255, `"zero_one"` divides by 255,
            `"minus_one_one"` divides by 127.5 and subtracts 1, `"caffe"` turns RGB into
            BGR and subtracts ImageNet's mean, `"torch"` divides by 255, then subtracts
            ImageNet's mean and divides by its standard deviation, each per channel.
        image: Keras tensor `(batch, height, width, channels)`, RGB in 0..255.

    Returns:
        A Keras tensor of the same shape.

    Raises:
        ValueError: the kind is unknown, or needs three channels.

    Source: `keras.applications.imagenet_utils.preprocess_input`, modes `"tf"`
        (`"minus_one_one"`), `"caffe"` and `"torch"`.
    """
    check_kind(kind, image.shape[1:])
    if kind == "zero_one":
        return _divide(image, 255.0)
    if kind == "minus_one_one":
        return keras.layers.Rescaling(1.0, offset=-1.0, name=f"{_PREFIX}shift")(
            _divide(image, 127.5)
        )
    if kind == "torch":
        # The square root that the layer takes of a square gives the number back.
        variance = [float(np.square(np.float32(std), dtype=np.float64)) for std in _RGB_STD]
        normalize = keras.layers.Normalization(
            mean=list(_RGB_MEAN), variance=variance, name=f"{_PREFIX}normalize"
        )
        return normalize(_divide(image, 255.0))
    if kind == "caffe":
        offset = [-mean for mean in _BGR_MEAN]
        return keras.layers.Rescaling(1.0, offset=offset, name=f"{_PREFIX}mean")(_to_bgr(image))
    return image


def _divide(image, divisor):
    # A Rescaling multiplies, which rounds differently from the division in Keras' function.
    scale = keras.layers.Normalization(
        axis=None, mean=0.0, variance=divisor**2, name=f"{_PREFIX}scale"
    )
    return scale(image)


def _to_bgr(image):
    # With channels_first, Cropping2D crops the last axis, here the channels. Unlike a 1x1
    # convolution this is exact in any precision of matrix products.
    channels = [
        keras.layers.Cropping2D(
            ((0, 0), (i, 2 - i)), data_format="channels_first", name=f"{_PREFIX}{colour}"
        )(image)
        for i, colour in ((2, "blue"), (1, "green"), (0, "red"))
    ]
    return keras.layers.Concatenate(axis=-1, name=f"{_PREFIX}bgr")(channels)


def with_preprocessing(model, kind):
    """Adds the layers of a kind of preprocessing before a functional model.

    Args:
        model: a functional `keras.Model` with one input of preprocessed images `(batch,
            height, width, channels)`.
        kind: one of `KINDS`.

    Returns:
        A new `keras.Model` from images in 0..255 to the model's outputs, in one flat
        graph; layers keep their names and weights. For `"none"` it is `model` itself.

    Raises:
        ValueError: the kind is unknown or needs three channels; the model has these layers
            already, does not have a single input of this form, or cannot be copied.
    """
    check_kind(kind)
    if kind == "none":
        return model
    if output(model) is not None:
        raise ValueError(
            f"The model {model.name!r} has layers named {_PREFIX}... already: its preprocessing is "
            "inside. Set preprocessing='none'."
        )
    for tensor in getattr(model, "inputs", None) or ():
        if len(tensor.shape) != 4:
            raise ValueError(
                "Expected a model of images (batch, height, width, channels). Received: "
                f"{model.name!r}, whose input has the shape {tuple(tensor.shape)}."
            )
    return copies.copy_model(model, lambda image: apply(kind, image))


def output(model):
    """The output of the layers that `apply` added to a model; `None` without such layers."""
    layers = [layer for layer in model.layers if layer.name.startswith(_PREFIX)]
    return layers[-1].output if layers else None


def check_kind(kind, image_shape=None):
    """Checks that a kind of preprocessing exists and fits images of a shape.

    Args:
        kind: should be one of `KINDS`.
        image_shape: `(height, width, channels)`; `None` skips this check.

    Raises:
        ValueError: the kind is unknown, or does not fit.
    """
    if kind not in KINDS:
        raise ValueError(
            f"There is no preprocessing {kind!r}.{checks.near_names(kind, KINDS)} "
            f"Known: {list(KINDS)}"
        )
    if image_shape is not None and kind in _COLOURED and image_shape[-1] != 3:
        raise ValueError(
            f"The preprocessing {kind!r} has a value for each of the channels red, green and blue."
            f" Received: images with {image_shape[-1]} channels. Load them with 3 channels, which "
            "repeats grey ones, or take a teacher that was trained with 'minus_one_one' or "
            "'zero_one'."
        )
