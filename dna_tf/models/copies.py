"""Copies of functional models: other first layers, other names, models inside made flat."""
# MERGED: 'Copies of models in which layers of some types are of others that do the same.'

import keras

from dna_tf.models import graph


def copy_model(model, first=None, names=None, inline=False, name=None):
    """Copies a functional model and its weights into a new graph.

    Layers are made anew from their configs, so that each is in one graph only: that is
    what lets the copy be cut.

    Args:
        model: a functional `keras.Model` or a built `Sequential`, with one input and one
            output.
        first: function from the image tensor to the tensor that the model's own layers
            read instead of it; `None` adds nothing.
        names: dict from a layer's name to its copy's name; others keep theirs.
        inline: whether the layers of `Sequential` models inside the model become layers
            of the copy, and sums of two maps written `x + y` become `Add` layers, which
            unlike operations can be cut points.
        name: the copy's name; `None` keeps the model's.

    Returns:
        A `keras.Model` with the same output.

    Raises:
        ValueError: the model is not functional, has several inputs or outputs, or has a
            layer that cannot be made anew from its config.
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
        made = _made_anew(operation, names, model)
        pairs.append((operation, made))
        return made

    def call(made, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda value: read if value is image else value, (args, kwargs)
        )
        if isinstance(made, list):
            (value,) = args
            for layer in made:
                value = layer(value)
            return value
        if inline and _is_sum_of_maps(made, args):
            return keras.layers.Add(name=made.name)(list(args))
        return made(*args, **kwargs)

    copy = keras.models.clone_model(
        plain, input_tensors=image, clone_function=clone, call_function=call
    )
    for old, new in pairs:
        if isinstance(old, keras.Layer):
            copy_variables(old, new)
    return keras.Model(copy.input, copy.output, name=name or model.name)


def copy_variables(source, target):
    """Gives a layer or a model the variables of another one that is built alike.

    Raises:
        ValueError: they have not as many variables, or one has another shape.
    """
    for new, old in zip(target.variables, source.variables, strict=True):
        new.assign(old.value)
    finalize(target)


def finalize(model):
    """Lets the normalisations of a layer or a model take what their variables say now.

    `Normalization` computes with what it derives from its variables, and only `adapt` and
    loading derive it anew: assigned or set weights alone change nothing.
    """
    for layer in graph.layers_inside(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _made_anew(operation, names, model):
    try:
        config = operation.get_config()
        config["name"] = names.get(operation.name, operation.name)
        return type(operation).from_config(config)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        cause = str(error).split("Exception encountered: ")[-1]  # Keras wraps it
        reason = (cause.strip() or repr(error)).splitlines()[0]
        raise ValueError(
            f"The layer {operation.name!r} ({type(operation).__name__}) of the model "
            f"{model.name!r} cannot be made anew from its config, so the model cannot be copied. "
            "Give the layer a get_config() with every argument of its constructor, or replace it "
            f"by a layer of Keras. The reason: {reason}"
        ) from error


def _is_sum_of_maps(made, args):
    return (
        type(made).__name__ == "Add"
        and not isinstance(made, keras.Layer)
        and len(args) == 2
        and all(isinstance(value, keras.KerasTensor) for value in args)
        and args[0].shape == args[1].shape
    )


def swap(model, kinds):
    """Copies a model, with other types of layers and the same weights in the same order.

    Args:
        model: a functional or sequential `keras.Model`; models inside it are copied too.
        kinds: dict from a layer's type to a subclass of it that the copy has instead. A
            layer of another type, or of a subclass, stays what it is.

    Returns:
        A `keras.Model` with the names, settings and weights of `model`.
    """

    def copied(layer):
        made = kinds.get(type(layer), type(layer)).from_config(layer.get_config())
        made.trainable = layer.trainable
        return made

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy_variables(model, copy)
    copy.trainable = model.trainable
    return copy


def resized(model, image_size):
    """The same layers and weights as a graph for images of another size.

    Args:
        model: a functional `keras.Model` for images of a fixed size.
        image_size: the new height and width in pixels.

    Raises:
        ValueError: a layer's weights depend on the size.
    """
    shape = (image_size, image_size, model.inputs[0].shape[-1])
    try:
        made = keras.models.clone_model(model, input_tensors=keras.Input(shape))
        copy_variables(model, made)
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).split("Exception encountered: ")[-1].strip().splitlines()[0]
        raise ValueError(
            f"The model {model.name!r} is for images of "
            f"{'x'.join(map(str, model.inputs[0].shape[1:]))} and cannot run at "
            f"{image_size}x{image_size}: a layer depends on the size. Leave --image_size out. The "
            f"reason: {reason}"
        ) from error
    return made
