"""The names of teachers, with a table of the models of keras.applications."""

import dataclasses

from dna_tf.common import checks

# Built in `residual_cnn` and trained on the run's own images; they come without weights.
TRAINED_HERE = ("residual_cnn", "residual_cnn_medium", "residual_cnn_wide")


@dataclasses.dataclass(frozen=True)
class Application:
    """A model of `keras.applications`.

    Args:
        function: name of its function.
        kind: the preprocessing that it needs, of `PREPROCESSING_KINDS`.
        included: whether the model contains its preprocessing (then `kind` is `"none"`).
        smallest: least height and width of images in pixels.
        coloured: whether its preprocessing has values for red, green and blue; then it
            cannot take grey images.
    """

    function: str
    kind: str
    included: bool
    smallest: int
    coloured: bool


def _entry(function, kind, smallest=32, coloured=False):
    coloured = coloured or kind in ("caffe", "torch")
    return Application(
        function, "none" if kind == "own" else kind, kind == "own", smallest, coloured
    )


# name -> function, preprocessing ("own": the model contains it), smallest image if not 32
MODELS = {
    **{f"efficientnet_b{i}": _entry(f"EfficientNetB{i}", "own") for i in range(8)},
    **{f"efficientnet_v2_b{i}": _entry(f"EfficientNetV2B{i}", "own") for i in range(4)},
    "efficientnet_v2_s": _entry("EfficientNetV2S", "own"),
    "efficientnet_v2_m": _entry("EfficientNetV2M", "own"),
    "efficientnet_v2_l": _entry("EfficientNetV2L", "own"),
    "mobilenet": _entry("MobileNet", "minus_one_one"),
    "mobilenet_v2": _entry("MobileNetV2", "minus_one_one"),
    "mobilenet_v3_small": _entry("MobileNetV3Small", "own"),
    "mobilenet_v3_large": _entry("MobileNetV3Large", "own"),
    "resnet50": _entry("ResNet50", "caffe"),
    "resnet101": _entry("ResNet101", "caffe"),
    "resnet152": _entry("ResNet152", "caffe"),
    "resnet50_v2": _entry("ResNet50V2", "minus_one_one"),
    "resnet101_v2": _entry("ResNet101V2", "minus_one_one"),
    "resnet152_v2": _entry("ResNet152V2", "minus_one_one"),
    # For other than three channels Keras would leave ConvNeXt's preprocessing out.
    "convnext_tiny": _entry("ConvNeXtTiny", "own", coloured=True),
    "convnext_small": _entry("ConvNeXtSmall", "own", coloured=True),
    "convnext_base": _entry("ConvNeXtBase", "own", coloured=True),
    "convnext_large": _entry("ConvNeXtLarge", "own", coloured=True),
    "convnext_xlarge": _entry("ConvNeXtXLarge", "own", coloured=True),
    "densenet121": _entry("DenseNet121", "torch"),
    "densenet169": _entry("DenseNet169", "torch"),
    "densenet201": _entry("DenseNet201", "torch"),
    "vgg16": _entry("VGG16", "caffe"),
    "vgg19": _entry("VGG19", "caffe"),
    "xception": _entry("Xception", "minus_one_one", smallest=71),
    "inception_v3": _entry("InceptionV3", "minus_one_one", smallest=75),
    "inception_resnet_v2": _entry("InceptionResNetV2", "minus_one_one", smallest=75),
    "nasnet_mobile": _entry("NASNetMobile", "minus_one_one"),
    "nasnet_large": _entry("NASNetLarge", "minus_one_one"),
}

NAMES = tuple(MODELS)


def get(name, others=()):
    """Looks a model up in the table.

    Args:
        name: one of `NAMES`.
        others: further names that exist, for the message.

    Raises:
        ValueError: the name is unknown; near names are given.
    """
    if name not in MODELS:
        names = [*others, *NAMES]
        raise ValueError(
            f"There is no teacher named {name!r}.{checks.near_names(name, names)} Known names: "
            f"{names}; or give the path of a .keras file in config.teacher.model."
        )
    return MODELS[name]
