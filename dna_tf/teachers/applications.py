"""Builds the models of keras.applications as teachers, from images in 0..255 to logits."""

import re
import warnings

import keras
import numpy as np

from dna_tf.common import files
from dna_tf.models import copies, preprocessing
from dna_tf.teachers import application_names

_IMAGENET_CLASSES = 1000
# Keras has separate weights for each of these sizes, and uses those of the last one otherwise.
_IMAGENET_SIZES = {
    "mobilenet": (128, 160, 192, 224),
    "mobilenet_v2": (96, 128, 160, 192, 224),
}
# Their classifier reads every pixel of the last map, so their weights fit one size only.
_IMAGENET_ONLY_SIZE = {"vgg16": 224, "vgg19": 224}
_IMAGENET_STD = np.array([0.229, 0.224, 0.225])


def build(name, image_shape, num_classes, weights="", seed=0):
    """Builds a model of `keras.applications` as a teacher.

    The graph is flat, and the layers that Keras numbers are numbered as in a fresh
    process: the names of cuts do not depend on which models were built before.

    Args:
        name: one of `application_names.NAMES`.
        image_shape: `(height, width, channels)`.
        num_classes: outputs, except with `weights="imagenet"`.
        weights: `""` for fresh weights, `"imagenet"` for those of Keras with 1000 outputs
            (downloaded by Keras on first use), or a `.weights.h5` or `.h5` file of this
            model with `num_classes` outputs.
        seed: seeds fresh weights.

    Returns:
        A `keras.Model` with one input, images in 0..255, and logits as output.

    Raises:
        FileNotFoundError: the weights file does not exist.
        OSError: Keras could not get the ImageNet weights.
        ValueError: the name is unknown; the image is too small or has the wrong channels;
            the weights do not fit.
    """
    entry = application_names.get(name)
    _check_image(name, entry, image_shape, weights)
    path = _weights_path(weights)
    keras.utils.set_random_seed(seed)
    model = getattr(keras.applications, entry.function)(
        weights=None,
        input_shape=tuple(image_shape),
        classes=_IMAGENET_CLASSES if weights == "imagenet" else num_classes,
        classifier_activation=None,
    )
    # Weights are loaded before the copy: files match Keras' graph, and the copy finalizes what is
    # derived from the weights.
    if weights == "imagenet":
        _take_imagenet_weights(model, name, entry, image_shape)
    elif path:
        _load_weights(model, name, entry, num_classes, path)
    return copies.copy_model(
        model,
        lambda image: preprocessing.apply(entry.kind, image),
        names=_names(model),
        inline=True,
        name=name,
    )


def paper_cuts(name, model):
    """The cut of DNA's Table 1, for EfficientNet by name.

    Args:
        name: the teacher's name.
        model: as `build` returns it.

    Returns:
        The last layer of each of Keras' stages `block2` to `block7`, such as
        `"block2g_add"`, for `efficientnet_b0` to `efficientnet_b7`; `None` for others.

    Source: DNA Table 1.
    """
    if not re.fullmatch(r"efficientnet_b[0-7]", name):
        return None
    names = [layer.name for layer in model.layers]
    return tuple([n for n in names if n.startswith(f"block{i}")][-1] for i in range(2, 8))


def _check_image(name, entry, image_shape, weights):
    height, width, channels = image_shape
    received = f"Received: {height}x{width}x{channels}"
    if min(height, width) < entry.smallest:
        raise ValueError(
            f"{name} takes images of at least {entry.smallest}x{entry.smallest}. {received}. Set "
            f"config.data.image_size={entry.smallest} or more, or take another teacher."
        )
    if channels != 3 and weights == "imagenet":
        raise ValueError(
            f"ImageNet weights need images with 3 channels. {received}. Set "
            "config.data.channels=3, which repeats grey images, or config.teacher.weights=''."
        )
    if channels != 3 and entry.coloured:
        raise ValueError(
            f"{name} has a value for each of the channels red, green and blue in its "
            f"preprocessing. {received}. Set config.data.channels=3, which repeats grey images, "
            "or take another teacher, such as efficientnet_b0."
        )
    size = _IMAGENET_ONLY_SIZE.get(name)
    if weights == "imagenet" and size and (height, width) != (size, size):
        raise ValueError(
            f"The ImageNet weights of {name} fit images of {size}x{size} only, as its classifier "
            f"reads every pixel of the last map. {received}. Set config.data.image_size={size}, or "
            "take another teacher, such as resnet50."
        )


def _weights_path(weights):
    if weights in ("", "imagenet"):
        return None
    path = files.as_path(weights)
    if path.suffix != ".h5":
        raise ValueError(
            "config.teacher.weights must be '', 'imagenet' or the path of a .weights.h5 or .h5 "
            f"file. Received: {weights!r}. Give a .keras file in config.teacher.model."
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path} (config.teacher.weights).")
    return path


def _load_weights(model, name, entry, num_classes, path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hundreds of them, before one error that sums them up
            model.load_weights(str(path))
        for weight in model.weights:
            if not np.all(np.isfinite(weight.numpy())):
                raise ValueError(f"{weight.path} has values that are not numbers.")
    except (ValueError, TypeError, OSError, KeyError) as error:
        reason = re.split("Target variable:|List of objects", str(error))[0]
        reason = " ".join(reason.split())
        raise ValueError(
            f"The weights file {path} does not fit {name} with {num_classes} outputs, one for each "
            f"class of the data. Expected a file that save_weights() of keras.applications."
            f"{entry.function}(classes={num_classes}) wrote. The reason: {reason}"
        ) from error
    for layer in _normalizations(model):
        # Keras' ImageNet files of EfficientNet contain standard deviations where the layer
        # expects variances. Keras corrects this for weights="imagenet", but not for a path.
        if np.allclose(layer.get_weights()[1], _IMAGENET_STD, atol=1e-3):
            _scale_output(layer, _IMAGENET_STD**-0.5)


def _take_imagenet_weights(model, name, entry, image_shape):
    """Copies Keras' ImageNet weights, which are for one image size, into a model of any size."""
    sizes = _IMAGENET_SIZES.get(name, ())
    has_size = image_shape[0] == image_shape[1] and image_shape[0] in sizes
    try:
        source = getattr(keras.applications, entry.function)(
            weights="imagenet",
            input_shape=tuple(image_shape) if has_size else None,
            classifier_activation=None,
        )
    except Exception as error:  # a failed download is a plain Exception
        raise OSError(
            f"Keras could not get or load the ImageNet weights of {name}. It downloads them once, "
            "into the folder models of KERAS_HOME (~/.keras): put the file there yourself, or give "
            f"a .keras file in config.teacher.model. The reason: {str(error).strip()}"
        ) from error
    stem = next(w for w in source.weights if len(w.shape) == 4)
    if stem.shape[2] != 3:
        raise ValueError(
            f"The first convolution of {name} with ImageNet weights sees {stem.shape[2]} channels "
            f"instead of 3: this release of Keras ({keras.__version__}) builds it wrongly. Install "
            "another one, or give a .keras file in config.teacher.model."
        )
    model.set_weights(source.get_weights())
    for layer in _normalizations(model):
        for other in source.layers:
            # A layer that only the ImageNet graph has; see _load_weights.
            if isinstance(other, keras.layers.Rescaling) and isinstance(other.scale, list):
                _scale_output(layer, np.array(other.scale))


def _normalizations(model):
    """The layers that normalise with statistics stored as weights."""
    kind = keras.layers.Normalization
    return [layer for layer in model.layers if isinstance(layer, kind) and layer.weights]


def _scale_output(normalization, scale):
    mean, variance, *rest = normalization.get_weights()
    normalization.set_weights([mean, (variance / scale**2).astype(variance.dtype), *rest])


def _names(model):
    """New names for layers that Keras numbers, as if no other model had been built before."""
    names, numbered, before = {}, {}, ""
    for operation in model.operations:
        prefix = _snake_case(type(operation).__name__)
        match = re.fullmatch(rf"{prefix}(?:_(\d+))?", operation.name)
        if isinstance(operation, keras.layers.InputLayer):
            names[operation.name] = "image"
        elif match and prefix == "add" and before.endswith("_identity"):
            names[operation.name] = before.removesuffix("_identity") + "_add"  # ConvNeXt
        elif match:
            numbered.setdefault(prefix, []).append((int(match[1] or 0), operation.name))
        before = operation.name
    for prefix, operations in numbered.items():
        for i, (_, old) in enumerate(sorted(operations)):
            names[old] = f"{prefix}_{i}" if i else prefix
    return names


def _snake_case(name):
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
