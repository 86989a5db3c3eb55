"""What is checked of a model and its images before they are measured."""

from dna_tf.common import files, statistics

# Images after which answers are held against shifted labels; our choice.
FIRST_IMAGES = 256


def check_size(predict, images, path):
    """Checks that a model takes images of this shape.

    Args:
        predict: has `input_shape` `(height, width, channels)`, `None` for any, and
            `num_outputs`.
        images: has `image_shape`, and `num_classes` or `None`.
        path: of the model, for the message.

    Raises:
        ValueError: it does not; the message has both sides and the likely fix.
    """
    takes = predict.input_shape
    fits = len(takes) == len(images.image_shape) and all(
        a is None or a == b for a, b in zip(takes, images.image_shape, strict=True)
    )
    if not fits:
        # Only the size is wrong: it can be had.
        same = len(takes) == 3 and takes[0] and takes[0] == takes[1]
        same = same and takes[2] == images.image_shape[2]
        raise ValueError(
            _both_sides(predict, images, path)
            + (f" --image_size={takes[0]} makes images of the model's size." if same else "")
        )


def check_shapes(predict, images, path, first_class=0):
    """Checks that a model takes the data's images and has one output per class.

    Args:
        predict: as for `check_size`.
        images: has `image_shape` and `num_classes`, `None` where the data has no names.
        path: of the model, for the message.
        first_class: the output that stands for the data's first class.

    Raises:
        ValueError: it does not; the message has both sides and the likely fix.
    """
    check_size(predict, images, path)
    outputs, classes = predict.num_outputs - first_class, images.num_classes
    if outputs < 2:
        raise ValueError(
            f"The model {path} gives {predict.num_outputs} scores: too few from "
            f"first_class={first_class} on. Expected one for each class, 2 or more."
        )
    if classes is None or outputs == classes:
        return
    hint = ""
    if outputs == classes + 1:
        hint = (
            " One score more than classes is often that of a background class, the first one: "
            "--first_class=1 leaves it out."
        )
    elif outputs == classes - 1 and getattr(images, "label_offset", None) is not None:
        hint = f" If labels start at 1, set config.data.label_offset={images.label_offset + 1}."
    raise ValueError(_both_sides(predict, images, path) + hint)


def _both_sides(predict, images, path):
    classes = "unnamed" if images.num_classes is None else images.num_classes
    return (
        f"The model {path} takes {predict.input_shape} and gives {predict.num_outputs} scores, and "
        f"the data has images of {images.image_shape} and {classes} classes. Choose the data that "
        "the model was trained for."
    )


def check_labels(images, num_classes):
    """Checks that all labels are classes of the model.

    Args:
        images: an `evaluation_images.EvaluationImages`.
        num_classes: what the model tells apart.

    Raises:
        ValueError: there is no image, or a label is out of range; labels that start at 1
            are recognised.
    """
    if not images.count:
        raise ValueError(f"{images.name} has no image to measure a model on.")
    low, high = images.label_range
    if 0 <= low and high < num_classes:
        return
    if low >= 1 and high == num_classes and images.label_offset is not None:
        fix = f"They seem to start at 1: set --config.data.label_offset={images.label_offset + 1}."
    elif low < 0:
        fix = "Labels below 0 mostly stand for labels that were withheld: take another split" + (
            "." if images.label_offset is None else ", or another --config.data.label_offset."
        )
    else:
        fix = "Take the data that the model was trained for."
    raise ValueError(
        f"The labels of {images.name} must be in 0..{num_classes - 1}, as the model tells "
        f"{num_classes} classes apart. Found: {low}..{high}. {fix}"
    )


def class_names(images, num_classes, path=""):
    """The names of the classes, as far as they are known.

    Args:
        images: an `evaluation_images.EvaluationImages`.
        num_classes: what the model tells apart.
        path: a text file with one class a line, in the order of the model's scores; if
            lines start with the data's own names, such as `n01440764 tench`, these are
            checked. `""` takes the data's names.

    Returns:
        A list of text, or `None`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has not one line for each class, or another order than the data.
    """
    own = images.class_names
    if not path:
        return own
    path = files.as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path} (--class_names).")
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if len(lines) != num_classes:
        raise ValueError(
            f"Expected one line for each of the model's {num_classes} classes in {path}. Received: "
            f"{len(lines)} lines."
        )
    words = [line.split()[0] for line in lines]
    if own and set(own) & set(words) and own != words:
        place = next(i for i, (a, b) in enumerate(zip(own, words, strict=False)) if a != b)
        raise ValueError(
            f"The classes of {path} are not those of {images.name} in the same order: class "
            f"{place} is {words[place]!r} there and {own[place]!r} in the data. A class too many or"
            " too few shifts all labels behind it by one."
        )
    if own == words:  # what comes after the data's own name says more
        return [line.partition(" ")[2].strip() or line for line in lines]
    return lines


def chance_warning(correct, total, num_classes):
    """A warning where a model is no better than guessing, else `None`."""
    if statistics.wilson(correct, total)[0] > 1 / num_classes:
        return None
    return (
        f"The model answers no better than chance ({100 / num_classes:.2f} %). Models are fed "
        "images in 0..255: if it expects another range, say so by --preprocessing. Or it is "
        "not trained, or its classes have another order."
    )
