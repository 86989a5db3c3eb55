"""Teachers: load or build one, check it, and cut it into functional sub-models."""

import dataclasses

import keras

from dna_tf import checks, keras_files, residual_cnn

_EFFICIENTNETS = {f"efficientnet_b{i}": f"EfficientNetB{i}" for i in range(8)}


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


def build_teacher(section, image_shape, num_classes, dropout=0.0, seed=0):
    """Builds or loads the model that a config names.

    Args:
        section: the config's `teacher` section: `model` and `weights`.
        image_shape: `(height, width, channels)`.
        num_classes: outputs of a model that is to be trained.
        dropout: rate before the classifier of a model that is to be trained.
        seed: seeds first weights.

    Returns:
        A `keras.Model`.

    Raises:
        FileNotFoundError: a named file is not there.
        ValueError: the name is unknown, or the file is no Keras model that can be
            loaded safely.
    """
    name = section.model
    if name.endswith(".keras") or "/" in name:
        return keras_files.load_model(name)
    if name == "residual_cnn":
        return residual_cnn.build(image_shape, num_classes, dropout, seed)
    if name in _EFFICIENTNETS:
        keras.utils.set_random_seed(seed)
        weights = section.weights or None
        return getattr(keras.applications, _EFFICIENTNETS[name])(
            weights=weights,
            input_shape=image_shape,
            classes=1000 if weights == "imagenet" else num_classes,
            classifier_activation=None,
        )
    known = ["residual_cnn", *_EFFICIENTNETS]
    raise ValueError(
        f"There is no teacher named {name!r}.{checks.near_names(name, known)} Known names: "
        f"{known}; or give the path of a .keras file in config.teacher.model."
    )


def needs_training(section):
    """Whether the config's teacher is to be trained here, or comes trained."""
    is_file = section.model.endswith(".keras") or "/" in section.model
    return not is_file and not section.weights


def cut_teacher(model, cuts, image_shape):
    """Cuts a functional model into one sub-model per block.

    Args:
        model: a `keras.Model` with one input and one output.
        cuts: name of the last layer of each block, in order.
        image_shape: `(height, width, channels)` of the images it will see.

    Returns:
        A `Teacher`.

    Raises:
        ValueError: the model is not functional, has several inputs, or takes another
            shape; a layer is not there (near names are given), out of order, or not the
            only way through the graph.
    """
    model = _functional(model)
    takes = tuple(model.input.shape[1:])
    if any(a is not None and a != b for a, b in zip(takes, image_shape, strict=False)) or len(
        takes
    ) != len(image_shape):
        raise ValueError(
            f"The teacher {model.name!r} takes images of {_text(takes)}, and the data gives "
            f"{_text(image_shape)}. Set config.data.image_size and config.data.channels to match."
        )
    names = [layer.name for layer in model.layers]
    for cut in cuts:
        _check_not_nested(model, cut, names)
        if cut not in names:
            raise ValueError(
                f"The teacher {model.name!r} has no layer {cut!r}.{checks.near_names(cut, names)} "
                "Name layers of it in config.teacher.cuts; model.summary() lists them."
            )
    if not cuts or len(set(cuts)) != len(cuts):
        raise ValueError(
            f"config.teacher.cuts must name different layers, one per block. Received: {list(cuts)}"
        )
    outputs = [model.get_layer(cut).output for cut in cuts]
    for cut, output in zip(cuts, outputs, strict=True):
        if isinstance(output, list | tuple | dict) or len(output.shape) != 4:
            raise ValueError(
                f"The layer {cut!r} was expected to give one map (batch, height, width, channels)."
                f" Received: {output!r}. Cut at another layer."
            )
    blocks = tuple(
        _between(model, start, end, cuts, i)
        for i, (start, end) in enumerate(zip([model.input, *outputs[:-1]], outputs, strict=True))
    )
    _check_whole_way(model, outputs[-1], cuts[-1])
    features = keras.Model(model.input, outputs, name="teacher_features")
    given = [features.compute_output_shape((1, *image_shape))]
    given = given[0] if isinstance(given[0], list) else given
    shapes = (tuple(image_shape), *(tuple(int(n) for n in shape[1:]) for shape in given))
    return Teacher(model, tuple(cuts), blocks, features, shapes)


def _functional(model):
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            f"The teacher {model.name!r} is a Sequential model without an input shape: put "
            "keras.Input(shape) first in it."
        )
    graph = getattr(model, "inputs", None), getattr(model, "outputs", None)
    flat = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    if not (graph[0] and graph[1]) or not flat:
        raise ValueError(
            f"The teacher {model.name!r} is a subclassed model ({type(model).__name__}), and only "
            "functional models have a graph that can be cut. Rebuild it with keras.Model(inputs, "
            "outputs) and load the weights into that."
        )
    if len(graph[0]) != 1 or len(graph[1]) != 1:
        raise ValueError(
            f"A teacher has one input and one output. Received: {model.name!r} with "
            f"{len(graph[0])} inputs and {len(graph[1])} outputs."
        )
    if isinstance(model, keras.Sequential) or model.input is not graph[0][0]:
        # The same layers, with a plain tensor in and out: not a list or a dict of one.
        return keras.Model(graph[0][0], graph[1][0], name=model.name)
    return model


def _check_not_nested(model, cut, names):
    """Layers of a model inside the model are in another graph."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inside = [inner.name for inner in layer.layers]
            if cut == layer.name or (cut in inside and cut not in names):
                raise ValueError(
                    f"The layer {cut!r} is, or is in, the nested model {layer.name!r} inside the "
                    f"teacher {model.name!r}, and a cut must lie in the outer graph. Build the "
                    "teacher without nesting, or save the inner model and use that as the teacher."
                )


def _between(model, start, end, cuts, i):
    try:
        return keras.Model(start, end, name=f"teacher_block{i + 1}")
    except ValueError as error:
        before = f"after {cuts[i - 1]!r}" if i else "after the image"
        raise ValueError(
            f"The teacher {model.name!r} cannot be cut into a block {before} and up to "
            f"{cuts[i]!r}: the layers are out of order, or {cuts[max(i - 1, 0)]!r} is not the only "
            "way through the graph. Cut at the last layer of each stage, where all branches have "
            "joined (in EfficientNet: block2b_add, block3b_add, ...)."
        ) from error


def _check_whole_way(model, last, cut):
    """The last cut, too, must be the only way to the model's output."""
    if last is not model.output:
        try:
            keras.Model(last, model.output)
        except ValueError as error:
            raise ValueError(
                f"The layer {cut!r} is not the only way through the teacher {model.name!r}: other "
                "branches reach its output. Cut where all branches have joined."
            ) from error


def _text(shape):
    return "x".join("any" if n is None else str(n) for n in shape)
