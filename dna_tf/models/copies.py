"""Copies models and their weights: renamed, flattened, resized, or with other types of layers."""

import keras

from dna_tf.models import graph


def copy_model(model, first=None, names=None, inline=False, name=None):
    """Copies a functional model and its weights into a new graph.

    Layers are rebuilt from their configs, so that each is in one graph only and the copy can
    be cut.

    Args:
        model: a functional `keras.Model` or a built `Sequential`, with one input and one
            output.
        first: function from the image tensor to the tensor that the model's layers read
            instead; `None` adds nothing.
        names: dict from the name of a layer to the name of its copy; other names stay.
        inline: whether layers of `Sequential` models inside the model become layers of the
            copy, and sums of two maps written `x + y` become `Add` layers, which can be cut
            points.
        name: name of the copy; `None` keeps the model's.

    Returns:
        A `keras.Model` with the same output.

    Raises:
        ValueError: the model is not functional, has several inputs or outputs, or has a
            layer that cannot be rebuilt from its config.
    """
    names, pairs = names or {}, []
    plain = graph.functional(model)
    start = next(layer.name for layer in plain.layers if isinstance(layer, keras.layers.InputLayer))
    image = keras.Input(
        batch_shape=plain.input.shape, dtype=plain.input.dtype, name=names.get(start, start)
    )
    read = image if first is None else first(image)

    def clone(operation):
        if inline and isinstance(operation, keras.Sequential):
            return [clone(layer) for layer in operation.layers]
        name = names.get(operation.name, operation.name)
        copied = rebuild(operation, model.name, name)
        pairs.append((operation, copied))
        return copied

    def call(copied, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda value: read if value is image else value, (args, kwargs)
        )
        if isinstance(copied, list):
            (value,) = args
            for layer in copied:
                value = layer(value)
            return value
        if inline and _is_sum_of_maps(copied, args):
            return keras.layers.Add(name=copied.name)(list(args))
        return copied(*args, **kwargs)

    copy = keras.models.clone_model(
        plain, input_tensors=image, clone_function=clone, call_function=call
    )
    for old, new in pairs:
        if isinstance(old, keras.Layer):
            copy_variables(old, new)
    return keras.Model(copy.input, copy.output, name=name or model.name)


def copy_variables(source, target):
    """Copies the variables of a layer or a model to another one of the same structure.

    Raises:
        ValueError: the numbers or shapes of their variables differ.
    """
    for new, old in zip(target.variables, source.variables, strict=True):
        new.assign(old.value)
    finalize(target)


def finalize(model):
    """Makes the `Normalization` layers of a layer or a model use their present variables.

    `Normalization` computes with values derived from its variables. Only `adapt` and loading
    derive them again: assigning or setting weights alone has no effect.
    """
    for layer in graph.layers_inside(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def rebuild(operation, model_name, name, change=None):
    """Makes a layer anew from the config of another one, without its weights.

    Args:
        operation: a `keras.Layer`, or a `keras.Operation`.
        model_name: of the model that it is in, for the message.
        name: of the new layer.
        change: function from the config to that of the new layer; `None` changes nothing.

    Raises:
        ValueError: the layer cannot be rebuilt from its config.
    """
    try:
        fields = operation.get_config()
        fields["name"] = name
        return type(operation).from_config(fields if change is None else change(fields))
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        cause = str(error).split("Exception encountered: ")[-1]  # Keras wraps it
        reason = (cause.strip() or repr(error)).splitlines()[0]
        raise ValueError(
            f"The layer {operation.name!r} ({type(operation).__name__}) of the model "
            f"{model_name!r} cannot be rebuilt from its config, so the model cannot be copied. "
            "Give the layer a get_config() with every argument of its constructor, or replace it "
            f"by a layer of Keras. The reason: {reason}"
        ) from error


def _is_sum_of_maps(operation, args):
    return (
        type(operation).__name__ == "Add"
        and not isinstance(operation, keras.Layer)
        and len(args) == 2
        and all(isinstance(value, keras.KerasTensor) for value in args)
        and args[0].shape == args[1].shape
    )


def swap(model, kinds):
    """Copies a model, replacing layers by equivalent layers of another type.

    Args:
        model: a functional or sequential `keras.Model`; models inside it are copied too.
        kinds: dict from a type of layer to the subclass that replaces it. Layers of other
            types, or of subclasses, keep their type.

    Returns:
        A `keras.Model` with the names, settings and weights of `model`.
    """

    def copied(layer):
        replacement = kinds.get(type(layer), type(layer)).from_config(layer.get_config())
        replacement.trainable = layer.trainable
        return replacement

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy_variables(model, copy)
    copy.trainable = model.trainable
    return copy


def resized(model, image_size):
    """Copies a model for images of another size, with the same layers and weights.

    Args:
        model: a functional `keras.Model` for images of a fixed size.
        image_size: the new height and width in pixels.

    Raises:
        ValueError: a layer's weights depend on the size.
    """
    shape = (image_size, image_size, model.inputs[0].shape[-1])
    try:
        copy = keras.models.clone_model(model, input_tensors=keras.Input(shape))
        copy_variables(model, copy)
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).split("Exception encountered: ")[-1].strip().splitlines()[0]
        raise ValueError(
            f"The model {model.name!r} is for images of "
            f"{'x'.join(map(str, model.inputs[0].shape[1:]))} and cannot run at "
            f"{image_size}x{image_size}: a layer depends on the size. Run it at its own size. The "
            f"reason: {reason}"
        ) from error
    return copy
