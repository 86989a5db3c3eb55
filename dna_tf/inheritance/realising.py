"""Realises an assembly: one Keras model with the weights of trained paths and of the teacher."""

import keras

from dna_tf.inheritance import path_weights
from dna_tf.models import keras_files, keras_settings, logits, plain_models
from dna_tf.space import spaces


def realise(assembly, teacher, cells, calibration):
    """Realises an assembly: the chosen paths stand in the teacher in place of its blocks.

    Batch norm of the paths is calibrated in the order of the chain: each block on what it will
    really read. Nothing is trained.

    Args:
        assembly: an `assemblies.Assembly`.
        teacher: the `cutting.Teacher` that it was chosen for.
        cells: the `trained_cells.TrainedCell`s of its paths; there may be others.
        calibration: a list of batches of training images in 0..255, `(batch, height, width,
            channels)`.

    Returns:
        A functional `keras.Model` from images in 0..255 to logits `(batch, classes)`, with
        layers and weights of its own. The end of each block is a layer `block1_map`,
        `block2_map`, ...

    Raises:
        ValueError: the teacher is another one, a cell is missing, or the teacher's answers are
            no distribution over classes.
    """
    _check(assembly, teacher, cells)
    keras_settings.settle()
    chosen = {(cell.block, cell.cell): cell for cell in cells}
    carried, paths = list(calibration), {}
    for b, part in enumerate(assembly.parts):
        if part.is_own:
            carried = [teacher.blocks[b](batch, training=False) for batch in carried]
        else:
            cell = chosen[b, part.cell].build(teacher.shapes)
            paths[b], carried = path_weights.calibrate(cell, part.path, carried)
    model = _chain(assembly, teacher, paths)
    for path in paths.values():
        path_weights.assign(model, path)
    for layer in model.layers:
        layer.trainable = True  # of a frozen teacher it is not
    return model


def build(assembly, teacher):
    """Builds the model of an assembly with fresh weights in its paths: the same layers.

    Args:
        assembly: an `assemblies.Assembly`.
        teacher: the `cutting.Teacher` that it was chosen for.

    Returns:
        A functional `keras.Model`, as `realise` returns it.
    """
    paths = {
        b: path_weights.fresh(assembly.space, b, part.cell, part.path, teacher.shapes)
        for b, part in enumerate(assembly.parts)
        if not part.is_own
    }
    return _chain(assembly, teacher, paths)


def _chain(assembly, teacher, paths):
    """The layers of an assembly as one flat model; `paths` has the paths by block."""
    x = image = keras.Input(teacher.shapes[0], name="image")
    for b, part in enumerate(assembly.parts):
        x = teacher.blocks[b](x) if part.is_own else path_weights.apply(x, paths[b])
        x = keras.layers.Identity(name=map_name(b))(x)
    x = logits.with_logits(teacher.head)(x)
    return plain_models.flat(keras.Model(image, x, name=assembly.name.replace(".", "_")))


def map_name(block):
    """The name of the layer that ends a block; `block` is counted from 0."""
    return f"block{block + 1}_map"


def _check(assembly, teacher, cells):
    fingerprint = keras_files.weights_fingerprint(teacher.model)
    facts = assembly.teacher
    if fingerprint != facts.fingerprint or tuple(teacher.cuts) != facts.cuts:
        raise ValueError(
            f"The assembly {assembly.name!r} belongs to another teacher: weights "
            f"{facts.fingerprint}, cut at {list(facts.cuts)}. Received: weights {fingerprint}, cut "
            f"at {list(teacher.cuts)}. Give that teacher, or compress this one."
        )
    there = {(cell.block, cell.cell) for cell in cells}
    for b, part in enumerate(assembly.parts):
        if not part.is_own and (b, part.cell) not in there:
            raise ValueError(
                f"The assembly {assembly.name!r} has a path of {spaces.cell_name(b, part.cell)}, "
                "and this cell is not among the trained ones."
            )
    for cell in cells:
        if cell.space.to_dict() != assembly.space.to_dict():
            raise ValueError(
                f"The cells belong to the space {cell.space.name!r}, and the assembly "
                f"{assembly.name!r} to {assembly.space.name!r}, or to another version of it."
            )
