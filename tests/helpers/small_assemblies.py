"""A small cut teacher, cells with random weights for it, and assemblies of both."""

import functools

import keras
import numpy as np
import tensorflow as tf

from dna_tf.models import keras_files
from dna_tf.space import assemblies, part_costs
from dna_tf.supernet import cell_models, trained_cells
from dna_tf.teachers import cutting, parts
from tests.helpers import small_cells, small_teachers

SPACE, SHAPES, CLASSES = small_cells.SPACE, small_cells.SHAPES, 4


def teacher(activation="softmax", seed=0):
    """A teacher with maps of `small_cells.SHAPES`, cut into two blocks; all its layers count."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input(SHAPES[0], name="photo")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(6, 3, 4, "same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization(name="first_bn")(x)
    x = layers.ReLU(name="end1")(x)
    y = layers.Conv2D(5, 1, name="second")(x)
    y = layers.BatchNormalization(name="second_bn")(y)
    x = layers.DepthwiseConv2D(3, padding="same", name="third")(y)
    x = layers.Add(name="end2")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(CLASSES, activation=activation, name="scores")(x)
    model = small_teachers.shaken(keras.Model(image, x, name="small"))
    scores = model.get_layer("scores")
    # Answers that differ from image to image, around equal shares.
    pooled = keras.Model(image, model.get_layer("pool").output)(pixels(100)).numpy()
    kernel = scores.kernel.numpy() / (pooled @ scores.kernel.numpy()).std(0)
    scores.kernel.assign(kernel)
    scores.bias.assign(-(pooled @ kernel).mean(0))
    return cutting.cut_model(model, ("end1", "end2"), SHAPES[0])


def cells(model_fingerprint, seed=1):
    """All cells of the space with random weights, as if they had been trained."""
    built = cell_models.build_cells(SPACE, SHAPES, seed)
    return [
        trained_cells.TrainedCell(
            SPACE,
            cell.block,
            cell.cell,
            trained_cells.weights_of(cell),
            {"teacher": model_fingerprint},
        )
        for cell in built
    ]


@functools.cache
def all_of_it():
    """The teacher, its facts, and the cells."""
    small = teacher()
    return small, parts.facts(small), cells(keras_files.weights_fingerprint(small.model))


def pixels(count=24, seed=3):
    """Tinted images in 0..255, float32 `(count, height, width, channels)`."""
    draws = np.random.default_rng(seed)
    tints = draws.uniform(0, 1, (count, 1, 1, 3))
    return tf.constant(tints * draws.uniform(100, 255, (count, *SHAPES[0])), tf.float32)


def assembly(choices, facts, name="small", space=SPACE):
    """An assembly of choices: for each block `None` or `(cell, path)`."""
    chosen = []
    for b, choice in enumerate(choices):
        if choice is None:
            chosen.append(assemblies.Part(None, None, 0.0, facts.blocks[b]))
        else:
            costs = part_costs.path_costs(space, b, *choice, facts.shapes)
            chosen.append(assemblies.Part(*choice, 0.25, costs))
    return assemblies.Assembly(name, space, facts, tuple(chosen), {"by": "test"})
