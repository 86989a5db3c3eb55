"""Checks that a student, its data, its recipe and a teacher to distil fit together."""

import keras
import numpy as np

from dna_tf.config import training_sections
from dna_tf.data import label_checks
from dna_tf.models import graph, keras_files, plain_models

CLASSIFIER = "classifier"
_CHECKED_IMAGES = 200


def check_fits_data(arch, images):
    """Checks that an architecture takes the data's images and has its number of classes.

    Raises:
        ValueError: it does not; the message has both sides.
    """
    expected = (arch.image_size, arch.image_size, arch.channels, arch.num_classes)
    received = (*images.image_shape, images.num_classes)
    if expected != received:
        raise ValueError(
            f"The architecture {arch.name!r} takes images of "
            f"{'x'.join(map(str, expected[:3]))} and {expected[3]} classes, and the data gives "
            f"{'x'.join(map(str, received[:3]))} and {received[3]} classes. Set the image_size of "
            "the data, search on this data, or fine-tune a trained student of it with start_from."
        )


def fit_to_data(arch, images):
    """Returns an architecture for the data's image size and classes, for fine-tuning.

    Raises:
        ValueError: it takes another number of channels.
    """
    size, _, channels = images.image_shape
    if channels != arch.channels:
        raise ValueError(
            f"The architecture {arch.name!r} takes images of {arch.channels} channels, and the "
            f"data gives {channels}. Set channels={arch.channels} for the data."
        )
    return arch.adapted(images.num_classes, size)


def check_model(model, images):
    """Checks that a model can be trained on images: a functional classifier of their classes.

    Args:
        model: a `keras.Model` from images in 0..255 to logits.
        images: a `labelled_images.Images`.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: its graph, its input or its output does not fit.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"The student must be a keras.Model. Received: {type(model).__name__}")
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs or len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"The student {model.name!r} must be a functional or sequential model with one input "
            "and one output."
        )
    _check_shapes(f"The student {model.name!r}", model, images)
    graph.check_channels_last(model, f"The student {model.name!r}")
    if not plain_models.is_usable(model):
        raise ValueError(
            f"The student {model.name!r} must be in float32 and for batches of any size. Build it "
            "under the dtype policy float32, with keras.Input(shape) instead of a batch_shape; "
            "for training in mixed precision set precision in the recipe."
        )
    if not model.trainable_weights:
        raise ValueError(
            f"The student {model.name!r} has no weights to train: all its layers are frozen. Set "
            "model.trainable = True."
        )
    last = model.layers[-1]
    if getattr(last, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid):
        raise ValueError(
            f"The student {model.name!r} must return logits, but its last layer {last.name!r} has "
            f"the activation {last.activation.__name__}. Remove it."
        )


def check_teacher(teacher, images):
    """Checks that a teacher can be distilled: it has the classes of the data, in their order.

    Args:
        teacher: a `keras.Model` from images in 0..255 to logits.
        images: a `labelled_images.Images`.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: its input or its output does not fit, or its answers fit the labels only
            after a shift by one.
    """
    if not isinstance(teacher, keras.Model):
        raise TypeError(
            "The teacher to distil must be a keras.Model that returns logits; of a cut teacher "
            f"take its `model`. Received: {type(teacher).__name__}"
        )
    _check_shapes("The teacher to distil", teacher, images)
    with images.reading():
        pixels, labels = next(iter(images.images("rating", _CHECKED_IMAGES, mixed=True)))
    answers = np.argmax(teacher.predict_on_batch(pixels.numpy()), axis=-1)
    source = images.source("rating")
    problem = label_checks.shift_problem(labels.numpy(), answers, images.num_classes, source)
    if problem:
        raise ValueError(f"The teacher to distil does not fit the labels. {problem}")


def _check_shapes(name, model, images):
    expected = (*images.image_shape, images.num_classes)
    received = (*model.input_shape[1:], *model.output_shape[1:])
    fits = [size in (None, wanted) for size, wanted in zip(received, expected, strict=False)]
    if len(received) != len(expected) or not all(fits) or received[-1] is None:
        raise ValueError(
            f"{name} takes images of {tuple(model.input_shape[1:])} and returns "
            f"{tuple(model.output_shape[1:])}. The data has images of {images.image_shape} and "
            f"{images.num_classes} classes."
        )


def checked_recipe(recipe=None):
    """Returns a recipe for students, checked, with the defaults of a config for missing fields.

    Args:
        recipe: a dict or a config section with fields of the section `retrain`, such as
            `{"epochs": 5}`; a whole config, of which that section is taken; or `None`.

    Returns:
        An `ml_collections.ConfigDict`, locked.

    Raises:
        ValueError: a field is unknown (near names are given), or a value has the wrong type or
            is out of range.
    """
    if recipe is not None and "retrain" in recipe:
        recipe = recipe["retrain"]
    return training_sections.complete(recipe)


def copy_weights(path, model):
    """Copies the weights of a trained student into another one, except the classifier's.

    Args:
        path: a `.keras` file of a student, of the same architecture except for image size and
            classes.
        model: the student that gets the weights.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file has another architecture; the message names the first layer that
            differs.
    """
    trained = {layer.name: layer for layer in keras_files.load_model(path).layers}
    for layer in model.layers:
        if not layer.weights or layer.name == CLASSIFIER:
            continue
        expected = [tuple(w.shape) for w in layer.weights]
        source = trained.get(layer.name)
        received = [tuple(w.shape) for w in source.weights] if source is not None else None
        if received != expected:
            raise ValueError(
                f"start_from={path} is no student of the architecture {model.name!r}: its layer "
                f"{layer.name!r} was expected to have weights of {expected}. Found: "
                f"{received or 'no such layer'}. Use the model file of a student of this "
                "architecture."
            )
        for weight, value in zip(layer.weights, source.weights, strict=True):
            weight.assign(value)
    names = {layer.name for layer in model.layers if layer.weights}
    extra = sorted(name for name, layer in trained.items() if layer.weights and name not in names)
    if extra:
        raise ValueError(
            f"start_from={path} is no student of the architecture {model.name!r}: it has "
            f"{len(extra)} layers more, such as {extra[0]!r}. Use the model file of a student of "
            "this architecture."
        )
