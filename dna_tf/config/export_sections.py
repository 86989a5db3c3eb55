"""The config's sections `export`, `quantize` and `prune`: fields, defaults and checks."""

import math

import ml_collections

from dna_tf.config import field_checks

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16")
CALIBRATED = ("int8", "int16")  # the ranges of activations are measured on images
IO = ("int8", "uint8", "float32")
PREPROCESSING = ("inside", "outside")
ALSO = ("savedmodel", "onnx")
# Fewer images give poor ranges.
LEAST_CALIBRATION_IMAGES = 10
# (field, lowest)
RANGES = (("calibration_images", 1), ("test_images", 1), ("image_size", 0))


def default_export():
    """The fields of `export`."""
    export = ml_collections.ConfigDict()
    export.precisions = ("float32", "int8")  # of PRECISIONS
    export.calibration_images = 200  # of training data, for the ranges of int8 and int16
    export.test_images = 1000  # at most, on which the file is compared with Keras
    export.least_agreement = 0.95  # an export with less top-1 agreement is marked as not good
    # Input and output of int8 files: int8 | uint8 | float32; float32 holds for int16 files too.
    export.int8_io = "int8"
    export.image_size = 0  # height and width of the input in pixels; 0: those of the student
    # inside: files take 0..255; outside: without the rescaling, which the metadata states
    export.preprocessing = "inside"
    # Splits depthwise kernels above 25 taps (7x7): 3 to 8 times faster on CPUs (XNNPACK)
    export.split_large_kernels = True
    export.per_channel = True  # one scale per channel of a weight instead of one per weight
    export.float_layers = ()  # Keras layers that int8 files compute in float32
    export.also = ()  # further formats: savedmodel, onnx
    return export


def check(section):
    """Checks the values of `export`; types are checked by `field_checks.check_like`.

    Args:
        section: `config.export`.

    Raises:
        ValueError: a value is not one of the choices or out of range, or two contradict each
            other.
    """
    for field, lowest in RANGES:
        if section[field] < lowest:
            raise ValueError(
                f"config.export.{field} must be at least {lowest}. Received: {section[field]!r}"
            )
    if not 0.0 <= section.least_agreement <= 1.0:
        raise ValueError(
            "config.export.least_agreement must be in [0.0, 1.0]. Received: "
            f"{section.least_agreement!r}"
        )
    if 0 < section.image_size < 8:
        raise ValueError(
            "config.export.image_size must be at least 8, or 0 for the student's own. Received: "
            f"{section.image_size}"
        )
    if not section.precisions:
        raise ValueError(
            f"config.export.precisions must have at least one of {list(PRECISIONS)}. Received: ()"
        )
    for field, choices in (("precisions", PRECISIONS), ("also", ALSO)):
        for value in section[field]:
            field_checks.check_choice(f"export.{field}", value, choices)
    for field, choices in (("int8_io", IO), ("preprocessing", PREPROCESSING)):
        field_checks.check_choice(f"export.{field}", section[field], choices)
    for name in section.float_layers:
        if not isinstance(name, str) or not name:
            raise ValueError(
                "config.export.float_layers must be names of Keras layers, such as "
                f"('stem_conv', 'block1_layer1_dw_swish'). Received: {name!r}"
            )
    if section.float_layers and "int8" not in section.precisions:
        raise ValueError(
            "config.export.float_layers names layers that int8 files keep in float32, but 'int8' "
            f"is not in config.export.precisions={tuple(section.precisions)}."
        )


_ANY = math.inf
# (section, field, lowest, highest)
COMPRESSION_RANGES = (
    ("quantize", "epochs", 1, _ANY),
    ("quantize", "batch_size", 2, _ANY),
    ("quantize", "learning_rate", 1e-8, 1.0),
    ("quantize", "calibration_images", LEAST_CALIBRATION_IMAGES, _ANY),
    ("quantize", "checkpoint_seconds", 0.0, _ANY),
    ("prune", "sparsity", 0.01, 0.99),
    ("prune", "epochs", 1, _ANY),
    ("prune", "batch_size", 2, _ANY),
    ("prune", "learning_rate", 1e-8, 1.0),
    ("prune", "checkpoint_seconds", 0.0, _ANY),
)


def default_quantize():
    """The section of quantisation-aware training, for `tools/quantize.py`."""
    section = ml_collections.ConfigDict()
    section.epochs = 5  # of fine-tuning with simulated rounding
    section.batch_size = 64  # images
    section.learning_rate = 1e-4  # Adam, with a cosine to zero
    section.calibration_images = 200  # of training data, for the initial ranges
    section.checkpoint_seconds = 5.0  # a killed run loses at most this much
    return section


def default_prune():
    """The section of magnitude pruning, for `tools/prune.py`."""
    section = ml_collections.ConfigDict()
    section.sparsity = 0.5  # share of zeros in each pointwise convolution and dense layer
    section.epochs = 10  # of fine-tuning; zeros are added during the first 60 %
    section.batch_size = 64  # images
    section.learning_rate = 3e-3  # Adam, with a cosine to zero
    section.checkpoint_seconds = 5.0  # a killed run loses at most this much
    return section
