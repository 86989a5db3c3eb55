"""Models as users save them, made plain: in float32, for batches of any size, in one flat graph.

Models come from other people's training: computing in mixed precision, for a batch of 1, or with
a backbone that is one layer of the whole. Here they become models that compute the same and that
every other function can use. A model that is plain already is not copied.
"""

import keras

from dna_tf.models import copies, graph

_FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


def usable(model):
    """Returns a model in float32, for batches of any size.

    Args:
        model: a `keras.Model`. If its layers compute in another type, its weights are cast.

    Returns:
        `model` itself if it is so already; otherwise a copy, in one flat graph.

    Raises:
        ValueError: the model is not so, and cannot be copied: it is no functional model with
            one input and one output, it is quantized, or a layer needs the batch size or
            the other type.
    """
    return model if is_usable(model) else _rebuilt(model, ())


def flat(model, cuts=()):
    """Returns a functional model as `usable` does, in one graph without models inside it.

    The layers of inner functional and sequential models become layers of the model, under their
    names; a name that occurs twice gets the name of its inner model in front. A model that is
    called twice becomes layers that are called twice. Outputs are the same to the bit.

    Args:
        model: a functional `keras.Model` or a built `Sequential`, with one input and one
            output.
        cuts: names of layers that end blocks; an inner model of such a name stays one layer.

    Returns:
        `model` itself if it is so already.

    Raises:
        ValueError: the model is not functional, or cannot be copied.
    """
    whole = graph.functional(model)
    inner = [call.operation for call in graph.calls(whole.outputs)]
    nested = any(_is_graph(operation, cuts) for operation in inner)
    return _rebuilt(model, cuts) if nested else usable(model)


def is_usable(model):
    """Whether a model is in float32 and for batches of any size."""
    inputs = getattr(model, "inputs", None) or ()
    is_free = all(tensor.shape[0] is None for tensor in inputs)
    if any(keras.backend.standardize_dtype(tensor.dtype) in _FLOATS for tensor in inputs):
        return False
    return is_free and all(_is_float32(layer) for layer in graph.layers_inside(model))


def _is_float32(layer):
    # A model's own policy computes nothing, and neither does that of an input.
    if isinstance(layer, keras.Model | keras.layers.InputLayer):
        return True
    # A quantized layer has a policy such as int8_from_mixed_float16.
    return layer.dtype_policy.name.split("_from_")[-1] not in _FLOATS


def _rebuilt(model, cuts):
    whole = graph.functional(model)
    for layer in graph.layers_inside(whole):
        if getattr(layer, "quantization_mode", None):
            raise ValueError(
                f"The layer {layer.name!r} of the model {model.name!r} is quantized by Keras "
                f"({layer.dtype_policy.name}). Give the model as it was before quantize()."
            )
    start = whole.inputs[0]
    is_float = keras.backend.is_float_dtype(start.dtype)
    image = keras.Input(
        shape=start.shape[1:],
        dtype="float32" if is_float else start.dtype,
        name=start._keras_history.operation.name,
    )
    copier = _Copier(whole, cuts)
    try:
        (output,) = copier.run(whole, [image])
    except (TypeError, ValueError, NotImplementedError) as error:
        cause = str(error).split("Exception encountered: ")[-1].strip().splitlines()
        raise ValueError(
            f"The model {model.name!r} cannot be rebuilt in float32, for batches of any size and "
            f"without models inside it: {cause[0] if cause else type(error).__name__}"
        ) from error
    _check(model, start, output)
    for old, new in copier.pairs:
        copies.copy_variables(old, new)
    return keras.Model(image, output, name=model.name)


def _check(model, start, output):
    """Checks that nothing of the batch size and of other types is left in a new graph."""
    for call in graph.calls([output]):
        for tensor in call.outputs:
            if tensor.shape and tensor.shape[0] is not None and start.shape[0] is not None:
                raise ValueError(
                    f"The model {model.name!r} is for batches of {start.shape[0]}, and its layer "
                    f"{call.operation.name!r} needs that size. Rebuild it with keras.Input(shape) "
                    "instead of a batch_shape."
                )
            if keras.backend.standardize_dtype(tensor.dtype) in _FLOATS:
                raise ValueError(
                    f"The layer {call.operation.name!r} of the model {model.name!r} computes in "
                    f"{tensor.dtype} whatever its settings are. Rebuild the model in float32."
                )


class _Copier:
    """Calls copies of a model's layers on new tensors; `pairs` has layers with their copies."""

    def __init__(self, model, cuts):
        self.pairs, self._cuts = [], cuts
        self._copies = {}  # by identity: a layer that is called twice is copied once
        outer = [call.operation for call in graph.calls(model.outputs)]
        self._names = {operation.name for operation in outer if not _is_graph(operation, cuts)}
        self._outer = {id(operation) for operation in outer}

    def run(self, model, inputs):
        """Returns the outputs of the copied layers of a model, a list.

        Args:
            model: a functional model.
            inputs: new symbolic tensors instead of its inputs.
        """
        values = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
        for call in graph.calls(model.outputs):
            if id(call.outputs[0]) in values:
                continue
            args, kwargs = call.arguments.fill_in(values)
            results = self._call(call.operation, args, kwargs, model.name)
            values |= {id(old): new for old, new in zip(call.outputs, results, strict=True)}
        return [values[id(tensor)] for tensor in model.outputs]

    def _call(self, operation, args, kwargs, inside):
        if _is_graph(operation, self._cuts):
            # Other arguments, such as training=False, are defaults: calls of the whole model
            # that say `training` override them.
            return self.run(operation, keras.tree.flatten(args))
        copied = self._copies.get(id(operation))
        if copied is None:
            name = self._new_name(operation, inside)
            copied = copies.rebuild(operation, inside, name, _in_float32)
            self._copies[id(operation)] = copied
            if isinstance(operation, keras.Layer):
                self.pairs.append((operation, copied))
        return keras.tree.flatten(copied(*args, **kwargs))

    def _new_name(self, operation, inside):
        name = operation.name
        if id(operation) in self._outer:
            return name
        number = 1
        while name in self._names:
            name = f"{inside}_{operation.name}" + (f"_{number}" if number > 1 else "")
            number += 1
        self._names.add(name)
        return name


def _is_graph(operation, cuts):
    """Whether a layer is a model whose layers are to be called one by one in its place."""
    if operation.name in cuts:
        return False
    for kind in type(operation).__mro__:
        if kind.__name__ in ("Functional", "Sequential"):
            inputs = getattr(operation, "inputs", None) or ()  # none before it is built
            # A subclass with a call() of its own is one layer.
            return type(operation).call is kind.call and len(inputs) == 1
    return False


def _in_float32(fields):
    """The config of a layer, with float32 as the type of it and of all layers in it."""
    if isinstance(fields, list | tuple):
        return type(fields)(_in_float32(value) for value in fields)
    if not isinstance(fields, dict):
        return fields
    changed = {key: _in_float32(value) for key, value in fields.items()}
    if "dtype" in changed and _is_other_float(changed["dtype"]):
        changed["dtype"] = "float32"
    return changed


def _is_other_float(dtype):
    """Whether a serialized type or policy, or one in a map of policies, is not float32."""
    if isinstance(dtype, dict):
        return any(_is_other_float(value) for value in dtype.values())
    return isinstance(dtype, str) and dtype in _FLOATS
