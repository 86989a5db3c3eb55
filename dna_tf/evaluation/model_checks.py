"""Checks that a model and images belong together, before the model is evaluated on them."""

from dna_tf.common import files, statistics
from dna_tf.data import labelled_images

# Images after which the answers are compared with shifted labels.
FIRST_IMAGES = 256


def check_images(images):
    """Checks that an argument is a `labelled_images.Images`, and not arrays, for example.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(images, labelled_images.Images):
        raise ValueError(
            "Expected images from load_images or images_from_arrays. Received: "
            f"{type(images).__name__}"
        )


def check_size(predictor, images, path):
    """Checks that a model takes images of this shape.

    Args:
        predictor: has `num_outputs` and `input_shape`, `(height, width, channels)` with
            `None` for any number.
        images: has `image_shape`, and `num_classes` or `None`.
        path: the path or the name of the model, for the message.

    Raises:
        ValueError: it does not; the message has both shapes and the likely fix.
    """
    takes = predictor.input_shape
    fits = len(takes) == len(images.image_shape) and all(
        a is None or a == b for a, b in zip(takes, images.image_shape, strict=True)
    )
    if not fits:
        is_square = len(takes) == 3 and takes[0] and takes[0] == takes[1]
        only_size_differs = is_square and takes[2] == images.image_shape[2]
        raise ValueError(
            _both_sides(predictor, images, path)
            + (f" image_size={takes[0]} makes images that fit." if only_size_differs else "")
        )


def check_shapes(predictor, images, path, first_class=0):
    """Checks that a model takes the data's images and has one score per class.

    Args:
        predictor: as for `check_size`.
        images: has `image_shape`, and `num_classes`, which is `None` if the data does not
            name its classes.
        path: the path or the name of the model, for the message.
        first_class: the score that stands for the data's first class.

    Raises:
        ValueError: it does not; the message has both shapes and the likely fix.
    """
    check_size(predictor, images, path)
    outputs, classes = predictor.num_outputs - first_class, images.num_classes
    if outputs < 2:
        raise ValueError(
            f"The model {path} gives {predictor.num_outputs} scores: too few from "
            f"first_class={first_class} on. Expected one for each class, 2 or more."
        )
    if classes is None or outputs == classes:
        return
    hint = ""
    if outputs == classes + 1:
        hint = (
            " One score more than classes often means that the first one is of a background "
            "class: first_class=1 leaves it out."
        )
    elif outputs == classes - 1 and getattr(images, "label_offset", None) is not None:
        hint = f" If labels start at 1, set label_offset={images.label_offset + 1}."
    raise ValueError(_both_sides(predictor, images, path) + hint)


def _both_sides(predictor, images, path):
    classes = "unnamed" if images.num_classes is None else images.num_classes
    return (
        f"The model {path} takes {predictor.input_shape} and gives {predictor.num_outputs} scores, "
        f"and the data has images of {images.image_shape} and {classes} classes. Choose the data "
        "that the model was trained for."
    )


def check_labels(images, num_classes):
    """Checks that all labels are classes of the model.

    Args:
        images: an `evaluation_images.EvaluationImages`.
        num_classes: the number of classes of the model.

    Raises:
        ValueError: there is no image, or a label is out of range; labels that start at 1
            are recognised.
    """
    if not images.count:
        raise ValueError(f"{images.name} has no image to evaluate a model on.")
    low, high = images.label_range
    if 0 <= low and high < num_classes:
        return
    if low >= 1 and high == num_classes and images.label_offset is not None:
        fix = f"They seem to start at 1: set label_offset={images.label_offset + 1}."
    elif low < 0:
        fix = "Labels below 0 mostly stand for labels that were withheld: take another split" + (
            "." if images.label_offset is None else ", or set another label_offset."
        )
    else:
        fix = "Take the data that the model was trained for."
    raise ValueError(
        f"The labels of {images.name} must be in 0..{num_classes - 1}, because the model has "
        f"{num_classes} classes. Found: {low}..{high}. {fix}"
    )


def class_names(images, num_classes, path=""):
    """The names of the classes, from a file or from the data.

    Args:
        images: an `evaluation_images.EvaluationImages`.
        num_classes: the number of classes of the model.
        path: a text file with one class a line, in the order of the model's scores. If
            lines start with the data's own names, such as `n01440764 tench`, their order is
            checked. `""` takes the data's names.

    Returns:
        A list of text, or `None` if the data does not name its classes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not have one line for each class, or has another order
            than the data.
    """
    names = images.class_names
    if not path:
        return names
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file of class names {path}.")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"The class names {path} are not text in UTF-8: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != num_classes:
        raise ValueError(
            f"Expected one line for each of the model's {num_classes} classes in {path}. Received: "
            f"{len(lines)} lines."
        )
    words = [line.split()[0] for line in lines]
    if names and set(names) & set(words) and names != words:
        place = next(i for i, (a, b) in enumerate(zip(names, words, strict=False)) if a != b)
        raise ValueError(
            f"The classes of {path} are not those of {images.name} in the same order: class "
            f"{place} is {words[place]!r} there and {names[place]!r} in the data. A class too many "
            "or too few shifts all labels behind it by one."
        )
    if names == words:  # the text after the data's own name is for people
        return [line.partition(" ")[2].strip() or line for line in lines]
    return lines


def chance_warning(correct, total, num_classes):
    """A warning if a model is no better than guessing, otherwise `None`."""
    if statistics.wilson(correct, total)[0] > 1 / num_classes:
        return None
    return (
        f"The model answers no better than chance ({100 / num_classes:.2f} %). Models are fed "
        "images in 0..255: one that expects another range needs the right preprocessing. Or it is "
        "not trained, or its classes have another order."
    )
