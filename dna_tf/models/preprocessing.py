"""What a teacher does to images in 0..255 first, as layers of its own graph."""

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
_OWN = "preprocess_"  # how the names of these layers begin


def apply(kind, image):
    """Puts the layers of a kind of preprocessing behind an image tensor.

    They are layers of Keras without weights: nothing to freeze, nothing in weights files.
    Their values are those of Keras' function to the bit.

    Args:
        kind: of `KINDS`: `"none"` leaves 0..255, `"zero_one"` divides by 255,
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
        return keras.layers.Rescaling(1.0, offset=-1.0, name=f"{_OWN}shift")(_divide(image, 127.5))
    if kind == "torch":
        # The square root that the layer takes of a square gives the number back.
        variance = [float(np.square(np.float32(std), dtype=np.float64)) for std in _RGB_STD]
        normalize = keras.layers.Normalization(
            mean=list(_RGB_MEAN), variance=variance, name=f"{_OWN}normalize"
        )
        return normalize(_divide(image, 255.0))
    if kind == "caffe":
        offset = [-mean for mean in _BGR_MEAN]
        return keras.layers.Rescaling(1.0, offset=offset, name=f"{_OWN}mean")(_to_bgr(image))
    return image


def _divide(image, divisor):
    # A Rescaling would multiply, which rounds otherwise than the division of Keras.
    scale = keras.layers.Normalization(
        axis=None, mean=0.0, variance=divisor**2, name=f"{_OWN}scale"
    )
    return scale(image)


def _to_bgr(image):
    # Read as (batch, channels, height, width), the last axis is one that can be cropped.
    # Unlike a 1x1 convolution this is exact in any precision of matrix products.
    channels = [
        keras.layers.Cropping2D(
            ((0, 0), (i, 2 - i)), data_format="channels_first", name=f"{_OWN}{colour}"
        )(image)
        for i, colour in ((2, "blue"), (1, "green"), (0, "red"))
    ]
    return keras.layers.Concatenate(axis=-1, name=f"{_OWN}bgr")(channels)


def with_preprocessing(model, kind):
    """Puts the layers of a kind of preprocessing before a functional model.

    Args:
        model: a functional `keras.Model` with one input `(batch, height, width,
            channels)`, as the kind's preprocessing leaves it.
        kind: of `KINDS`.

    Returns:
        A new `keras.Model` from images in 0..255 to the model's outputs, in one flat
        graph: layers keep their names and weights. For `"none"` it is `model` itself.

    Raises:
        ValueError: the kind is unknown or needs three channels; the model has these
            layers already, has no one input of that form, or cannot be copied.
    """
    check_kind(kind)
    if kind == "none":
        return model
    if output(model) is not None:
        raise ValueError(
            f"The model {model.name!r} has layers named {_OWN}... already: its preprocessing is "
            "inside. Set config.teacher.preprocessing='none'."
        )
    for tensor in getattr(model, "inputs", None) or ():
        if len(tensor.shape) != 4:
            raise ValueError(
                "Expected a model of images (batch, height, width, channels). Received: "
                f"{model.name!r}, whose input has the shape {tuple(tensor.shape)}."
            )
    return copies.copy_model(model, lambda image: apply(kind, image))


def output(model):
    """What the layers that `apply` put into a model give: a Keras tensor, or `None` without."""
    own = [layer for layer in model.layers if layer.name.startswith(_OWN)]
    return own[-1].output if own else None


def check_kind(kind, image_shape=None):
    """Checks that a kind of preprocessing exists and suits images of a shape.

    Args:
        kind: what should be one of `KINDS`.
        image_shape: `(height, width, channels)`; `None` does not check it.

    Raises:
        ValueError: it is not, or does not.
    """
    if kind not in KINDS:
        raise ValueError(
            f"There is no preprocessing {kind!r}.{checks.near_names(kind, KINDS)} "
            f"Known: {list(KINDS)}"
        )
    if image_shape is not None and kind in _COLOURED and image_shape[-1] != 3:
        raise ValueError(
            f"The preprocessing {kind!r} has a value for each of the channels red, green and blue."
            f" Received: images with {image_shape[-1]} channels. Set config.data.channels=3, which "
            "repeats grey images, or take a teacher that was trained with 'minus_one_one' or "
            "'zero_one'."
        )
