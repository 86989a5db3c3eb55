"""The settings of data: names, defaults and ranges, the same as in the data section of a config."""

import dataclasses
import math

from dna_tf.common import checks

# (setting, lowest, highest)
RANGES = (
    ("rating_per_class", 1, math.inf),
    ("image_size", 8, math.inf),
    ("num_classes", 0, math.inf),
    ("rating_fraction", 0.0, 0.9),
    ("shuffle_buffer", 1, math.inf),
    ("max_broken_images", 0, math.inf),
    ("test_fraction", 0.01, 0.9),
    ("crop_fraction", 0.1, 1.0),
    ("shift", 0.0, 0.5),
)
CHANNELS = (1, 3)
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where images come from, their size, and how they are split.

    Args:
        source: `digits`, `tfds:NAME[/VERSION]`, `tfrecord:GLOB`, `folder:DIR` or `list:FILE`.
        test_source: another source of test images; "" takes the test split of `source`, or
            holds test images out if it has none.
        test_fraction: share of each class that is held out as test images.
        rating_per_class: images of each class that are taken out of the training images, to
            rate on.
        rating_fraction: above 0, this share of all images instead, whatever their class.
        image_size: height and width in pixels.
        channels: 3 (RGB) or 1 (grey).
        num_classes: 0 counts them in the data.
        image_feature: of TFRecord files, the name of the encoded image.
        label_feature: of TFRecord files, the name of the int64 label.
        label_offset: of TFRecord files, subtracted from labels (1 if they start at 1).
        tfds_data_dir: folder of TFDS data; "" is the default of tensorflow-datasets.
        crop_fraction: central part of the resized image that is kept.
        interpolation: of the resize, `bilinear` or `bicubic`; random-resized crops of training
            are always bilinear.
        shift: largest random shift in training, as a fraction of the image.
        flip: whether images are flipped left-right at random in training.
        shuffle_buffer: images from which the next one is drawn, for data that does not fit in
            memory.
        max_broken_images: above 0, all images are decoded once, and up to this number of
            images that cannot be decoded are left out.
    """

    source: str = "digits"
    test_source: str = ""
    test_fraction: float = 0.2
    rating_per_class: int = 20
    rating_fraction: float = 0.0
    image_size: int = 32
    channels: int = 3
    num_classes: int = 0
    image_feature: str = "image"
    label_feature: str = "label"
    label_offset: int = 0
    tfds_data_dir: str = ""
    crop_fraction: float = 1.0
    interpolation: str = "bilinear"
    shift: float = 0.1
    flip: bool = False
    shuffle_buffer: int = 10_000
    max_broken_images: int = 0


def from_names(**settings):
    """Checks settings by name and returns them with defaults for the others.

    Args:
        **settings: values for fields of `DataSettings`.

    Returns:
        A `DataSettings`.

    Raises:
        ValueError: a name is unknown (near names are given), or a value has the wrong type or
            is out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(DataSettings)}
    values = {}
    for name, value in settings.items():
        if name not in fields:
            raise ValueError(
                f"Images have no setting {name!r}.{checks.near_names(name, fields)} "
                f"Known settings: {list(fields)}"
            )
        values[name] = _typed(name, value, fields[name].default)
    for name, lowest, highest in RANGES:
        if name in values and not lowest <= values[name] <= highest:  # NaN is refused too
            expected = f"at least {lowest}" if highest == math.inf else f"in [{lowest}, {highest}]"
            raise ValueError(f"{name} must be {expected}. Received: {values[name]!r}")
    for name, choices in (("channels", CHANNELS), ("interpolation", INTERPOLATIONS)):
        if values.get(name, choices[0]) not in choices:
            raise ValueError(f"{name} must be one of {list(choices)}. Received: {values[name]!r}")
    return DataSettings(**values)


def _typed(name, value, default):
    """Returns a value in the type of the default: whole numbers may stand for floats."""
    expected = type(default)
    is_right = isinstance(value, (int, float) if expected is float else expected)
    if not is_right or (isinstance(value, bool) and expected is not bool):
        raise ValueError(
            f"{name} must be of type {expected.__name__}, such as {default!r}. "
            f"Received: {value!r} of type {type(value).__name__}"
        )
    return expected(value)
