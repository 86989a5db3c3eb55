"""Prepares a model for export: at another size, without its rescaling, large kernels split."""

import dataclasses

import keras
import numpy as np

from dna_tf.export import split_kernels
from dna_tf.models import copies, graph, keras_settings, plain_models, preprocessing

_PROBABILITIES = ("softmax", "sigmoid")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A model that is ready for conversion.

    Args:
        whole: the `keras.Model` from images in 0..255 to scores, at the size of the file.
        model: the `keras.Model` that is converted: `whole`, or the part of it that follows
            the rescaling. Its large depthwise kernels may be split.
        mean: one value, or one for each channel.
        std: likewise. `model` takes `(x - mean) / std` of pixels x in 0..255.
        left_out: names of the layers of `whole` that are not in `model`.
        gives: `"logits"` or `"probabilities"`.
    """

    whole: keras.Model
    model: keras.Model
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    left_out: tuple[str, ...] = ()
    gives: str = "logits"

    @property
    def input_shape(self):
        """`(height, width, channels)`."""
        return tuple(self.whole.input_shape[1:])

    @property
    def num_outputs(self):
        """The number of scores."""
        return int(self.whole.output_shape[-1])

    def images(self, images):
        """Converts images in 0..255 to those that `model` takes, float32."""
        if not self.left_out:
            return images
        normalised = (images - np.asarray(self.mean)) / np.asarray(self.std)
        return normalised.astype(np.float32)

    @property
    def preprocessing(self):
        """The kind of `preprocessing.KINDS` that does the same as `images`, or `None`."""
        pixels = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, self.input_shape[2]))
        pixels = pixels.astype(np.float32)
        image = keras.Input(pixels.shape[1:])
        for kind in preprocessing.KINDS:
            try:
                model = keras.Model(image, preprocessing.apply(kind, image))
            except ValueError:  # the kind is for three channels only
                continue
            values = keras.ops.convert_to_numpy(model(pixels))
            if np.allclose(values, self.images(pixels), rtol=1e-5, atol=1e-5):
                return kind
        return None


def prepare(model, image_size=0, where="inside", split=True, open_size=0):
    """Prepares a model for conversion.

    Args:
        model: a functional `keras.Model` from images in 0..255 to scores.
        image_size: height and width in pixels; 0 keeps the model's own.
        where: `"inside"`: the file takes 0..255. `"outside"`: `Rescaling` and
            `Normalization` layers at the model's start are left out.
        split: whether large depthwise kernels are split (see `split_kernels`).
        open_size: height and width for a model that takes any size.

    Returns:
        A `Prepared`.

    Raises:
        ValueError: the model is not functional, does not have one input of images and one
            output of scores, cannot run at that size, or does not start with rescaling
            layers that could be left out.
    """
    keras_settings.settle()
    graph.check_channels_last(model, f"The model {model.name!r}")
    model = graph.functional(plain_models.usable(model))
    shapes = tuple(model.input.shape), tuple(model.output.shape)
    if len(shapes[0]) != 4 or len(shapes[1]) != 2 or None in (shapes[0][3], shapes[1][1]):
        raise ValueError(
            "Expected a model from images (batch, height, width, channels) to scores (batch, "
            f"classes) to export. Received: {model.name!r} from {shapes[0]} to {shapes[1]}."
        )
    image_size = image_size or (0 if shapes[0][1] else open_size)
    if image_size and shapes[0][1:3] != (image_size, image_size):
        model = copies.resized(model, image_size)
    gives = "probabilities" if _ends_in_probabilities(model) else "logits"
    finish = split_kernels.split if split else lambda unchanged: unchanged
    if where == "inside":
        return Prepared(model, finish(model), gives=gives)
    nodes = graph.nodes(model)
    factor, offset = np.ones(1), np.zeros(1)  # float64; of the layers so far together
    place, left_out = 0, []
    while len(readers := [n for n, node in enumerate(nodes) if place in node.reads]) == 1:
        step = _affine(nodes[readers[0]].layer)
        if step is None or len(nodes[readers[0]].reads) > 1:
            break
        place = readers[0]
        factor, offset = factor * step[0], offset * step[0] + step[1]
        left_out.append(nodes[place].name)
    if not left_out:
        first = nodes[readers[0]].layer
        raise ValueError(
            "preprocessing='outside' leaves out the Rescaling and Normalization "
            f"layers that a model starts with. Received: {model.name!r}, which starts with "
            f"{first.name!r} ({type(first).__name__}). Use 'inside'."
        )
    rest = keras.Model(nodes[place].outputs[0], model.output, name=model.name)
    mean, std = (tuple(map(float, values)) for values in (-offset / factor, 1.0 / factor))
    return Prepared(model, finish(rest), mean, std, tuple(left_out), gives)


def _affine(layer):
    """`(factor, offset)` of a layer that computes `factor * x + offset`, or `None`.

    Both are arrays with one value, or one for each channel.
    """
    if type(layer) is keras.layers.Rescaling:
        pair = layer.scale, layer.offset
    elif type(layer) is keras.layers.Normalization and not layer.invert:
        if layer.axis not in ((), (-1,), (3,)):  # one value, or one for each channel
            return None
        mean, variance = (
            keras.ops.convert_to_numpy(values).astype(np.float64)
            for values in (layer.mean, layer.variance)
        )
        factor = 1.0 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        pair = factor, -mean * factor
    else:
        return None
    pair = [np.atleast_1d(np.asarray(values, np.float64).squeeze()) for values in pair]
    return pair if all(values.ndim == 1 for values in pair) else None


def _ends_in_probabilities(model):
    last = graph.nodes(model)[-1].layer
    if isinstance(last, keras.layers.Softmax):
        return True
    activation = getattr(last, "activation", None) or getattr(last, "_activation", None)
    return getattr(activation, "__name__", "") in _PROBABILITIES
