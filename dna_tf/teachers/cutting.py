"""Cuts a functional model at named layers into one sub-model per block."""

import dataclasses
import functools

import keras

from dna_tf.common import checks
from dna_tf.models import graph
from dna_tf.teachers import cut_points


class CutError(ValueError):
    """A model cannot be cut at the named layers."""


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A cut teacher; always called in inference mode.

    Args:
        model: the whole functional model.
        cuts: name of the last layer of each block.
        blocks: a functional model per block; block 1 takes the image.
        features: a functional model from the image to the outputs of all blocks.
        shapes: `(height, width, channels)` of the image and of each block's output.
    """

    model: keras.Model
    cuts: tuple[str, ...]
    blocks: tuple[keras.Model, ...]
    features: keras.Model
    shapes: tuple[tuple[int, int, int], ...]

    @functools.cached_property
    def head(self):
        """A functional model of what comes after the last block, up to the model's output."""
        end = self.model.get_layer(self.cuts[-1]).output
        return keras.Model(end, self.model.output, name="teacher_head")

    def check_images(self, image_shape):
        """Checks that images `(height, width, channels)` have the shape that it is cut for."""
        if tuple(image_shape) != tuple(self.shapes[0]):
            raise ValueError(
                f"The teacher {self.model.name!r} is cut for images of {tuple(self.shapes[0])}. "
                f"Received: images of {tuple(image_shape)}"
            )


def cut_model(model, cuts, image_shape):
    """Cuts a functional model into one sub-model per block.

    In inference the chain of the blocks, and of the layers after the last one, computes
    what the model computes, to the bit.

    Args:
        model: a `keras.Model` with one input and one output.
        cuts: name of the last layer of each block, in order.
        image_shape: `(height, width, channels)` of the images it will see.

    Returns:
        A `Teacher`.

    Raises:
        ValueError: the model is not functional, has several inputs or outputs, or takes
            another shape.
        CutError: a layer does not exist (near names are given), is named or used
            twice, does not return one map, is not the only way through the graph (the
            nearest such layers are given), or is out of order (the right order is given).
    """
    model = graph.functional(model)
    graph.check_image_shape(model, image_shape)
    graph.check_channels_last(model, f"The teacher {model.name!r}")
    listed = graph.nodes(model)
    if not cuts or len(set(cuts)) != len(cuts):
        raise CutError(
            f"The cuts must name different layers, one per block. Received: cuts={list(cuts)}"
        )
    places = [_place(model, listed, cut) for cut in cuts]
    if places != sorted(places):
        right = [listed[place].name for place in sorted(places)]
        raise CutError(
            f"The cuts are out of order. The teacher {model.name!r} computes these layers in this "
            f"order: {right}. Received: cuts={list(cuts)}"
        )
    outputs = [listed[place].outputs[0] for place in places]
    blocks = tuple(
        keras.Model(start, end, name=f"teacher_block{number}")
        for number, (start, end) in enumerate(
            zip([model.input, *outputs[:-1]], outputs, strict=True), 1
        )
    )
    features = keras.Model(model.input, outputs, name="teacher_features")
    outputs = graph.output_shapes(model, listed, image_shape)
    shapes = (tuple(image_shape), *(tuple(int(n) for n in outputs[place][0]) for place in places))
    return Teacher(model, tuple(cuts), blocks, features, shapes)


def _place(model, listed, cut):
    """The place of a layer in the graph, after checking that the model can be cut there."""
    names = [node.name for node in listed]
    if cut not in names:
        raise CutError(_missing_text(model, cut, names[1:]))
    place = names.index(cut)
    calls = names.count(cut)
    if place == 0:
        problem = f"The layer {cut!r} is the input of the teacher {model.name!r}: cut after it."
    elif calls > 1:
        problem = (
            f"The layer {cut!r} of the teacher {model.name!r} is used {calls} times in the "
            "model, so its name is ambiguous as a cut."
        )
    elif not listed[place].is_map:
        received = [tuple(tensor.shape) for tensor in listed[place].outputs]
        problem = (
            f"The layer {cut!r} of the teacher {model.name!r} was expected to return one map "
            f"(batch, height, width, channels). Received: {', '.join(map(str, received))}."
        )
    elif place not in cut_points.single_places(listed):
        problem = (
            f"The layer {cut!r} is not the only way through the teacher {model.name!r}: other "
            "branches go around it."
        )
    else:
        return place
    raise CutError(f"{problem} {_nearest(listed, place)}")


def _nearest(listed, place):
    """Names the nearest layers around a place at which the teacher can be cut."""
    single = cut_points.single_places(listed)
    before = [listed[i].name for i in single if i < place][-1:]
    after = [listed[i].name for i in single if i > place][:1]
    near = [f"{name!r} before it" for name in before] + [f"{name!r} after it" for name in after]
    if not near:
        return "It cannot be cut at any layer: take another teacher."
    return f"Nearest layers to cut at: {' and '.join(near)}."


def _missing_text(model, cut, names):
    for layer in model.layers:
        if isinstance(layer, keras.Model) and cut in [inner.name for inner in layer.layers]:
            return (
                f"The layer {cut!r} is in the nested model {layer.name!r} inside the teacher "
                f"{model.name!r}, and a cut must lie in the outer graph. Build the teacher without "
                "nesting, or save the inner model and use that as the teacher."
            )
    return f"The teacher {model.name!r} has no layer {cut!r}.{checks.near_names(cut, names)}"
