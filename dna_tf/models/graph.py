"""The graph of a functional Keras model as a list of nodes in the order of computation."""

import collections
import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer.

    Args:
        layer: the `keras.Layer`, or the `keras.Operation` of an expression such as `a + b`;
            a model inside the model is one layer.
        reads: indices of the nodes that it reads, ascending, each once.
        outputs: its symbolic outputs, `keras.KerasTensor`s.
    """

    layer: object
    reads: tuple[int, ...]
    outputs: tuple[object, ...]

    @property
    def name(self):
        """The name of its layer, unique in a model."""
        return self.layer.name

    @property
    def is_map(self):
        """Whether its output is one map `(batch, height, width, channels)`."""
        return len(self.outputs) == 1 and len(self.outputs[0].shape) == 4


def functional(model):
    """Returns a model as a functional one, from one tensor to one tensor.

    Args:
        model: a `keras.Model`. For a `Sequential` model, and for one that reads a list or a
            dict of one tensor, the result is a new model with the same layers.

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
            "outputs) and load the weights into it."
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"A teacher must have one input and one output. Received: {model.name!r} with "
            f"{len(inputs)} inputs {_names(inputs)} and {len(outputs)} outputs {_names(outputs)}. "
            "Make a model of the layers between them: keras.Model(one input, one output)."
        )
    if isinstance(model, keras.Sequential) or model.input is not inputs[0]:
        return keras.Model(inputs[0], outputs[0], name=model.name)
    return model


def check_image_shape(model, image_shape):
    """Checks that a functional model takes images of `(height, width, channels)`.

    Raises:
        ValueError: it takes images of another shape; the message has both shapes.
    """
    expected = tuple(model.input.shape[1:])
    if len(expected) != len(image_shape) or any(
        a is not None and a != b for a, b in zip(expected, image_shape, strict=True)
    ):
        raise ValueError(
            f"The teacher {model.name!r} takes images of {_text(expected)}, and the data gives "
            f"{_text(image_shape)}. Set image_size and channels of the data to match."
        )


def nodes(model):
    """Lists the calls of layers between a model's input and its output.

    Args:
        model: a functional `keras.Model` with one input and one output, as `functional`
            returns it.

    Returns:
        A list of `Node`: first the input, last the output, each after the nodes that it
        reads. Layers that the output does not depend on are left out.
    """
    ordered = calls([model.output])
    indices = {id(call): index for index, call in enumerate(ordered)}
    listed = []
    for call in ordered:
        reads = sorted({indices[id(_call_of(tensor))] for tensor in call.input_tensors})
        listed.append(Node(call.operation, tuple(reads), tuple(call.outputs)))
    return listed


def calls(outputs):
    """Lists Keras' records of the calls that tensors depend on.

    Args:
        outputs: symbolic tensors, the outputs of a functional model.

    Returns:
        A list of Keras' nodes, each after those that it reads; they have `operation`,
        `arguments` and `outputs`.
    """
    # Keras keeps in each tensor which call computes it; keras.Model finds its graph in this way.
    seen, ordered = set(), []
    waiting = [_call_of(tensor) for tensor in outputs]
    while waiting:
        call = waiting[-1]
        new = [c for c in map(_call_of, call.input_tensors) if id(c) not in seen]
        if new:
            waiting += new
            continue
        waiting.pop()
        if id(call) not in seen:
            seen.add(id(call))
            ordered.append(call)
    return ordered


def num_calls(listed):
    """The number of calls of each layer in a list of nodes, by name."""
    return collections.Counter(node.name for node in listed)


def output_shapes(model, listed, image_shape):
    """The shapes of all outputs for images of one size, even if the model does not fix it.

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
        shapes = whole.compute_output_shape((1, *image_shape))
        shapes = [shapes] if len(flat) == 1 else shapes
    else:
        shapes = [tensor.shape for tensor in flat]
    shapes = iter(tuple(shape[1:]) for shape in shapes)
    return [tuple(next(shapes) for _ in node.outputs) for node in listed]


def _call_of(tensor):
    operation, call, _ = tensor._keras_history
    return operation._inbound_nodes[call]


def _text(shape):
    return "x".join("any" if n is None else str(n) for n in shape)


def _names(tensors):
    return [tensor._keras_history.operation.name for tensor in tensors]


def check_channels_last(model, what):
    """Checks that the convolutions of a model read and give maps with the channels last.

    Args:
        model: a `keras.Model`.
        what: the model in words, such as `"The teacher 'resnet'"`.

    Raises:
        ValueError: one of them has its channels first; TensorFlow runs such on GPUs only.
    """
    for layer in layers_inside(model):
        is_first = getattr(layer, "data_format", None) == "channels_first"
        if is_first and hasattr(layer, "kernel_size"):  # croppings and poolings run anywhere
            raise ValueError(
                f"{what} has convolutions with the channels first (channels_first), such as "
                f"{layer.name!r}: CPUs and phones cannot run them, and maps (batch, height, width, "
                "channels) are expected here. Build it with data_format='channels_last'; the "
                "weights stay as they are."
            )


def layers_inside(model):
    """Yields a layer or model and all layers in it: of inner models, and of wrappers."""
    yield from model._flatten_layers()
