"""Takes a teacher the whole way: cut, one step of a supernet, rating, export.

    python -m tests.helpers.every_teacher
    python -m tests.helpers.every_teacher --only=resnet50,vgg16

prints the rows of docs/guide/teacher.md: for the models of `keras.applications`, which take long,
and for models of other forms. tests/runs/test_every_teacher.py compares them.
"""

import dataclasses
import sys
import tempfile

import keras
import numpy as np

import dna_tf
from dna_tf.data import loading
from dna_tf.models import graph, plain_models
from dna_tf.teachers import application_names, building, cut_points

_SIZE, _CLASSES, _IMAGES = 32, 2, 24
# Strides of a stem and of a block, in the order in which they are tried.
_STRIDES = ((2, 2), (2, 1), (1, 1), (1, 2))
_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Way:
    """How far a teacher went.

    Args:
        name: of the teacher.
        size: height and width of the images in pixels.
        layers: number of layers at which it can be cut.
        blocks: number of blocks of the proposed cut.
        cut: the layer of the one block that was imitated.
        error: the sentence with which it was refused; `""` if it came through.
        stage: what refused it.
    """

    name: str
    size: int
    layers: int = 0
    blocks: int = 0
    cut: str = ""
    error: str = ""
    stage: str = ""

    def row(self):
        """The row of a table in Markdown."""
        counts = [self.size, self.layers or "", self.blocks or ""]
        result = f"{self.stage}: {self.error}" if self.error else "yes"
        return f"| {' | '.join(map(str, [f'`{self.name}`', *counts, result]))} |"


def images_of(size, channels=3):
    """Images of noise in two classes: one batch to train on, the others to rate and test on."""
    pixels = np.random.default_rng(0).integers(0, 256, (_IMAGES, size, size, channels), np.uint8)
    labels = np.arange(_IMAGES) % _CLASSES
    return loading.images_from_arrays(
        (pixels[:-8], labels[:-8]), (pixels[-8:], labels[-8:]), rating_per_class=4
    )


def take(name, make, size=_SIZE, channels=3):
    """Takes a teacher the whole way.

    Args:
        name: for the table.
        make: function that returns the `keras.Model`.
        size: height and width of the images in pixels.
        channels: of the images.

    Returns:
        A `Way`. Errors that are not meant for users are raised.
    """
    way, stage = Way(name, size), "cut"
    shape = (size, size, channels)
    images, model = images_of(size, channels), make()
    try:
        plain = graph.functional(plain_models.flat(model))
        points = cut_points.single_way_layers(plain, shape)
        way = dataclasses.replace(way, layers=len(points))
        way = dataclasses.replace(way, blocks=len(cut_points.propose(plain, shape)))
        space = _space(plain, shape)
        teacher = dna_tf.cut_teacher(plain, images, space=space)
        way = dataclasses.replace(way, cut=teacher.cuts[0])
        stage = "supernet"
        cells = dna_tf.train_cells(space, teacher, images, epochs=1, batch_size=_BATCH)
        stage = "rating"
        rated = dna_tf.rate_cells(
            cells, teacher, images, batch_size=4, batches=1, calibration_images=_BATCH
        )
        assert np.isfinite(rated[0, 0].metrics["relative_l1"]).all()
        stage = "export"
        with tempfile.TemporaryDirectory() as folder:
            settings = {"test_images": 2, "calibration_images": 8, "least_agreement": 0.0}
            (file,) = dna_tf.export_tflite(model, images, folder, ["float32"], **settings)
        largest, rounding = _scores(plain, images.arrays("test")[0])
        assert file.largest_difference < 1e-2 * max(1.0, largest) + 2 * rounding, (file, largest)
    except ValueError as error:
        return dataclasses.replace(way, error=_sentence(error, model.name), stage=stage)
    return way


def _scores(model, pixels):
    """The largest score of a model, and how far rounding moves scores.

    First weights of a deep network can give scores of millions, which cancel: then the same image
    has other scores in a batch than alone.
    """
    together = model.predict(pixels, verbose=0)
    alone = model.predict(pixels, batch_size=1, verbose=0)
    return np.abs(together).max(), np.abs(together - alone).max()


def _sentence(error, model_name):
    """The first sentence of a message, without the number that Keras gives a model."""
    sentence = str(error).split(". ")[0].rstrip(".") + "."
    return sentence.replace(f"{model_name!r}", "'model'")


def _space(model, shape):
    """A space of one block that fits a teacher."""
    for stem_stride, stride in _STRIDES:
        space = dna_tf.SearchSpace.from_dict(
            {
                "name": "one_block",
                "ops": ["k3e1"],
                "blocks": [{"stride": stride, "cells": [[1, 4]]}],
                "frame": {
                    "stem_stride": stem_stride,
                    "stem_width": 4,
                    "stem_output_width": 4,
                    "head_width": 8,
                },
            }
        )
        try:
            cut_points.propose(model, shape, space)
        except ValueError as error:
            problem = error
        else:
            return space
    raise problem


def application(name):
    """The way of a model of `keras.applications` with first weights, at its smallest size."""
    size = application_names.MODELS[name].smallest
    build = building.build_teacher
    return take(name, lambda: build(name, (size, size, 3), _CLASSES), size)


# Models of other forms


def _body(x, **options):
    layers = keras.layers
    for number, width in enumerate((4, 8)):
        x = layers.Conv2D(width, 3, 2, "same", name=f"conv{number}", **options)(x)
        x = layers.BatchNormalization(name=f"bn{number}", **options)(x)
        x = layers.ReLU(name=f"relu{number}", **options)(x)
    return x


def _head(x, **options):
    pooled = keras.layers.GlobalAveragePooling2D(name="pool", **options)(x)
    return keras.layers.Dense(_CLASSES, name="scores", **options)(pooled)


def _backbone(shape=(None, None, 3)):
    image = keras.Input(shape)
    return keras.Model(image, _body(keras.layers.Rescaling(1 / 255)(image)), name="backbone")


def _model(batch_size=None, channels=3, size=_SIZE, first=None, **options):
    image = keras.Input((size, size, channels), batch_size)
    first = first or keras.layers.Rescaling(1 / 255, **options)
    return keras.Model(image, _head(_body(first(image), **options), **options))


def _nested():
    image = keras.Input((_SIZE, _SIZE, 3))
    return keras.Model(image, _head(_backbone()(image, training=False)))


def _nested_twice():
    image = keras.Input((None, None, 3))
    middle = keras.Model(image, _backbone()(image), name="middle")
    image = keras.Input((_SIZE, _SIZE, 3))
    return keras.Model(image, _head(middle(image)))


def _sequential():
    pool = keras.layers.GlobalAveragePooling2D()
    return keras.Sequential([_backbone((_SIZE, _SIZE, 3)), pool, keras.layers.Dense(_CLASSES)])


def _shared():
    image, backbone = keras.Input((_SIZE, _SIZE, 3)), _backbone()
    mirrored = keras.layers.Rescaling(-1.0, 255.0)(image)
    both = keras.layers.Add(name="both")([backbone(image), backbone(mirrored)])
    return keras.Model(image, _head(both))


def _frozen():
    model = _nested()
    model.trainable = False
    return model


def _softmax():
    model = _model()
    return keras.Model(model.input, keras.layers.Softmax()(model.output))


def _augmenting():
    image = keras.Input((_SIZE, _SIZE, 3))
    x = keras.layers.RandomRotation(0.1)(keras.layers.RandomFlip()(image))
    return keras.Model(image, _head(_body(keras.layers.Rescaling(1 / 255)(x))))


def _channels_first():
    image = keras.Input((_SIZE, _SIZE, 3))
    x = keras.layers.Permute((3, 1, 2))(image)
    x = keras.layers.Conv2D(4, 3, data_format="channels_first", name="conv")(x)
    return keras.Model(image, _head(keras.layers.Permute((2, 3, 1))(x)))


def _without_maps():
    image = keras.Input((_SIZE, _SIZE, 3))
    patches = keras.layers.Reshape((64, 48))(image)
    x = keras.layers.MultiHeadAttention(2, 4)(patches, patches)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, keras.layers.Dense(_CLASSES)(x))


def _two_inputs():
    one, two = keras.Input((_SIZE, _SIZE, 3)), keras.Input((_SIZE, _SIZE, 3))
    return keras.Model([one, two], _head(_body(keras.layers.Add()([one, two]))))


class _Subclassed(keras.Model):
    def call(self, images):
        return images


FORMS = {
    "flat with logits": _model,
    "probabilities": _softmax,
    "a nested backbone": _nested,
    "nested twice": _nested_twice,
    "Sequential([backbone, ...])": _sequential,
    "a backbone called twice": _shared,
    "frozen and nested": _frozen,
    "mixed_float16": lambda: _model(dtype="mixed_float16"),
    "mixed_bfloat16": lambda: _model(dtype="mixed_bfloat16"),
    "float16": lambda: _model(dtype="float16"),
    "float64": lambda: _model(dtype="float64"),
    "a batch of 1": lambda: _model(batch_size=1),
    "images of any size": lambda: _model(size=None),
    "preprocess_input inside": lambda: _model(first=keras.applications.resnet.preprocess_input),
    "augmentation inside": _augmenting,
    "channels first": _channels_first,
    "without maps": _without_maps,
    "two inputs": _two_inputs,
    "subclassed": _Subclassed,
}


def form(name):
    """The way of a model of another form; images are of 32x32."""
    return take(name, FORMS[name])


def main(only):
    """Prints the rows of `only`, or of all."""
    for names, examine in ((application_names.NAMES, application), (FORMS, form)):
        for name in names:
            if not only or name in only:
                print(examine(name).row(), flush=True)
                keras.backend.clear_session()


if __name__ == "__main__":
    main([name for word in sys.argv[1:] for name in word.removeprefix("--only=").split(",")])
