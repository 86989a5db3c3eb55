"""The graph of a functional Keras model as plain nodes in the order of computation."""

import collections
import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer.

    Args:
        layer: the `keras.Layer`, or the `keras.Operation` that a bare `a + b` leaves in
            the graph; a model inside the model is one layer.
        reads: places in the list of nodes of what it reads, ascending, each once.
        outputs: its symbolic outputs, `keras.KerasTensor`s.
    """

    layer: object
    reads: tuple[int, ...]
    outputs: tuple[object, ...]

    @property
    def name(self):
        """The layer's name; no two layers of a model share one."""
        return self.layer.name

    @property
    def is_map(self):
        """Whether it gives one map `(batch, height, width, channels)`."""
        return len(self.outputs) == 1 and len(self.outputs[0].shape) == 4


def functional(model):
    """Returns the model as one with a plain graph: one tensor in, one tensor out.

    Args:
        model: a `keras.Model`; a `Sequential` one and one that takes a list or a dict of
            one tensor give a model that shares its layers.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: the model is subclassed, has no input shape yet, or has several
            inputs or outputs.
    """
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            f"The teacher {model.name!r} is a Sequential model without an input shape: put "
            "keras.Input(shape) first in it."
        )
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    flat = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    if not (inputs and outputs and flat):
        raise ValueError(
            f"The teacher {model.name!r} is a subclassed model ({type(model).__name__}), and only "
            "functional models have a graph that can be cut. Rebuild it with keras.Model(inputs, "
            "outputs) and load the weights into that."
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"A teacher has one input and one output. Received: {model.name!r} with "
            f"{len(inputs)} inputs {_names(inputs)} and {len(outputs)} outputs {_names(outputs)}. "
            "Make one with keras.Model(one input, one output) of the layers in between."
        )
    if isinstance(model, keras.Sequential) or model.input is not inputs[0]:
        return keras.Model(inputs[0], outputs[0], name=model.name)
    return model


def check_image_shape(model, image_shape):
    """Checks that a functional model takes images of `(height, width, channels)`.

    Raises:
        ValueError: it takes others; the message has both shapes.
    """
    takes = tuple(model.input.shape[1:])
    if len(takes) != len(image_shape) or any(
        a is not None and a != b for a, b in zip(takes, image_shape, strict=True)
    ):
        raise ValueError(
            f"The teacher {model.name!r} takes images of {_text(takes)}, and the data gives "
            f"{_text(image_shape)}. Set config.data.image_size and config.data.channels to match."
        )


def nodes(model):
    """Lists the calls of layers between a model's input and its output.

    Args:
        model: a functional `keras.Model` with one input and one output, as `functional`
            gives it.

    Returns:
        A list of `Node`: first the input, last the output; each after all that it reads.
        Layers of which the output does not depend are left out.
    """
    # Keras keeps in each tensor which call made it; keras.Model itself finds its graph so.
    places, ordered = {}, []
    waiting = [_maker(model.output)]
    while waiting:
        made = waiting[-1]
        new = [n for n in map(_maker, made.input_tensors) if id(n) not in places]
        if new:
            waiting += new
            continue
        waiting.pop()
        if id(made) not in places:
            places[id(made)] = len(ordered)
            reads = sorted({places[id(_maker(tensor))] for tensor in made.input_tensors})
            ordered.append(Node(made.operation, tuple(reads), tuple(made.outputs)))
    return ordered


def num_calls(listed):
    """How often each layer is called in a list of nodes, by name."""
    return collections.Counter(node.name for node in listed)


def output_shapes(model, listed, image_shape):
    """The shapes of all outputs for images of one size, which a model may leave open.

    Args:
        model: the functional model.
        listed: its `nodes`.
        image_shape: `(height, width, channels)`.

    Returns:
        A list with one tuple of shapes for each node, without the batch axis.
    """
    flat = [tensor for node in listed for tensor in node.outputs]
    if None in model.input.shape[1:]:
        whole = keras.Model(model.input, flat)
        made = whole.compute_output_shape((1, *image_shape))
        made = [made] if len(flat) == 1 else made
    else:
        made = [tensor.shape for tensor in flat]
    shapes = iter(tuple(shape[1:]) for shape in made)
    return [tuple(next(shapes) for _ in node.outputs) for node in listed]


def _maker(tensor):
    operation, call, _ = tensor._keras_history
    return operation._inbound_nodes[call]


def _text(shape):
    return "x".join("any" if n is None else str(n) for n in shape)


def _names(tensors):
    return [tensor._keras_history.operation.name for tensor in tensors]


def layers_inside(model):
    """Yields a layer or model and, of a model, all layers, those of models inside it too."""
    yield model
    for layer in getattr(model, "layers", ()):
        yield from layers_inside(layer)
