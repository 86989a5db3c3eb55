"""Images by the name of their source or from arrays: opened, checked, and split by a seed."""

import math

import numpy as np

from dna_tf.common import checks, files
from dna_tf.data import (
    array_source,
    data_settings,
    held_out,
    label_checks,
    labelled_images,
    source_base,
    sources,
    split_images,
)

# Decoded images are kept in memory up to this size. CIFAR-10 at 32x32x3 takes 184 MB.
MEMORY_LIMIT_BYTES = 256 * 2**20
# Raised when the same source and settings would give other pixels or splits than before.
PIXELS_VERSION = 1


def load_images(
    source: str = "digits",
    *,
    image_size: int = data_settings.DataSettings.image_size,
    channels: int = data_settings.DataSettings.channels,
    seed: int = 0,
    folder: str | None = None,
    **settings: str | float | bool,
) -> labelled_images.Images:
    """Opens a source of labelled images and splits it into training, rating and test images.

    Example:

        import dna_tf

        images = dna_tf.load_images("digits", image_size=16, channels=1, rating_per_class=10)
        print(images.counts)  # {'train': 1338, 'rating': 100, 'test': 359}
        pixels, labels = images.arrays("test")
        print(pixels.shape, labels.shape)  # (359, 16, 16, 1) (359,)

    Args:
        source: `"digits"` (scikit-learn's 8x8 digits), `"tfds:NAME[/VERSION]"`,
            `"tfrecord:GLOB"`, `"folder:DIR"` (a folder of images for each class) or `"list:FILE"`
            (a CSV file with the columns path and label).
        image_size: height and width in pixels, at least 8.
        channels: 3 (RGB) or 1 (grey).
        seed: decides the rating images, and the test images if they are held out.
        folder: keeps the labels in `data.json` in this folder, so that large sources are read
            only once; `None` keeps nothing.
        **settings: the other fields of `data_settings.DataSettings`, such as `test_source`,
            `rating_per_class=20`, `shift=0.1`, `flip=False`.

    Returns:
        A `labelled_images.Images`.

    Raises:
        ValueError: a setting is unknown or out of range, the source cannot be used, a label is
            out of range, or a class or a split has too few images.
        FileNotFoundError: the source names a file or a folder that does not exist.
    """
    _check_seed(seed)
    chosen = data_settings.from_names(
        source=source, image_size=image_size, channels=channels, **settings
    )
    return load(chosen, seed, folder)


def images_from_arrays(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    rating_per_class: int = data_settings.DataSettings.rating_per_class,
    rating_fraction: float = data_settings.DataSettings.rating_fraction,
    test_fraction: float = data_settings.DataSettings.test_fraction,
    class_names: list[str] | None = None,
    shift: float = 0.0,
    flip: bool = False,
    seed: int = 0,
) -> labelled_images.Images:
    """Splits images in memory into training, rating and test images.

    Example:

        import numpy as np

        import dna_tf

        pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
        labels = np.arange(60) % 3
        images = dna_tf.images_from_arrays(train=(pixels, labels), rating_per_class=4)
        print(images.counts)  # {'train': 36, 'rating': 12, 'test': 12}

    Args:
        train: `(images, labels)`. Images are uint8, or float32 that is rounded to whole
            numbers, in 0..255, `(count, height, width, channels)` with equal height and width
            of at least 8 and 1 or 3 channels; labels are integers from 0, `(count,)`.
        test: the same for the test images; `None` holds `test_fraction` of each class out of
            `train`.
        rating_per_class: images of each class that are taken out of the training images, to
            rate on.
        rating_fraction: above 0, this share of all images instead, whatever their class.
        test_fraction: share of the images that is held out if `test` is `None`.
        class_names: a name for each class; `None` counts the classes in the labels and names
            them by their numbers.
        shift: largest random shift in training, as a fraction of the image.
        flip: whether images are flipped left-right at random in training.
        seed: decides the rating images, and the test images if they are held out.

    Returns:
        A `labelled_images.Images`.

    Raises:
        ValueError: an array has the wrong shape or type, a value or a label is out of range,
            or a class or a split has too few images.
    """
    _check_seed(seed)
    train_source = array_source.Arrays("train", train, class_names)
    test_source = None
    if test is not None:
        test_source = array_source.Arrays("test", test, class_names)
        array_source.check_test_arrays(train_source, test_source)
    size, _, channels = train_source.image_shape
    chosen = data_settings.from_names(
        source="arrays",
        image_size=size,
        channels=channels,
        rating_per_class=rating_per_class,
        rating_fraction=rating_fraction,
        test_fraction=test_fraction,
        shift=shift,
        flip=flip,
    )
    return _split(train_source, test_source, chosen, seed, memory_limit_bytes=math.inf)


def load(settings, seed, cache_dir=None, memory_limit_bytes=MEMORY_LIMIT_BYTES):
    """Opens and checks the images of a source, and draws the splits.

    The rating images, `rating_per_class` of each class, are taken out of the
    training images. The test images come from `test_source`, from the source's
    own test split, or are held out of the training images of each class. With a
    `rating_fraction` above 0 both are drawn from all images instead, whatever their
    class: for data with few images a class.

    Args:
        settings: a `data_settings.DataSettings`, or the data section of a config, which has
            the same fields.
        seed: int; decides the held-out test images and the rating images.
        cache_dir: folder in which the labels are kept as `data.json`, so that
            large sources are read only once; `None` keeps nothing.
        memory_limit_bytes: decoded images are kept in memory up to this size; larger data is
            decoded in each epoch.

    Returns:
        A `labelled_images.Images`.

    Raises:
        ValueError: the source cannot be used, a label is out of range, or a
            class or a split has too few images; the message says which.
        FileNotFoundError: the source names a file or a folder that does not exist.
    """
    train = sources.open_source(settings)
    test = sources.open_test_source(settings, train)
    return _split(train, test, settings, seed, cache_dir, memory_limit_bytes)


def _split(train, test, settings, seed, cache_dir=None, memory_limit_bytes=MEMORY_LIMIT_BYTES):
    """Checks the labels of opened sources and draws the splits; `test` may be `None`."""
    opened = [train] if test is None else [train, test]
    allowed = settings.max_broken_images
    labels = label_checks.read_labels(opened, cache_dir, check=not allowed)
    num_classes = settings.num_classes or len(train.class_names or ()) or int(labels[0].max()) + 1
    class_names = list(train.class_names or map(str, range(num_classes)))
    label_checks.check_classes(train, labels[0], class_names, settings.num_classes)
    for source, labels_of_source in zip(opened[1:], labels[1:], strict=True):
        label_checks.check_range(source, labels_of_source, num_classes)
    good = [np.arange(len(labels_of_source)) for labels_of_source in labels]
    if allowed:
        good = source_base.leave_out(opened, allowed, cache_dir)
    indices = _draw(labels, good, class_names, settings, seed)
    fingerprints = [
        files.fingerprint(_identity(names, labels, good, settings, num_classes, seed))
        for names in zip(
            *((source.fingerprint(), source.former_fingerprint()) for source in opened), strict=True
        )
    ]
    values = sum(map(len, indices.values())) * settings.image_size**2 * settings.channels
    splits = {}
    for name in labelled_images.SPLITS:
        of = len(opened) - 1 if name == "test" else 0
        in_memory = values <= memory_limit_bytes
        # The rating images are measured after many epochs, and a source without random access is
        # read from front to back for them.
        if name == "rating" and not opened[of].random_access:
            own_values = len(indices[name]) * settings.image_size**2 * settings.channels
            in_memory = own_values <= memory_limit_bytes
        splits[name] = split_images.SplitImages(
            name,
            opened[of],
            indices[name],
            labels[of][indices[name]],
            settings,
            in_memory,
        )
    return labelled_images.Images(settings, splits, class_names, *fingerprints)


def _draw(labels, good, class_names, settings, seed):
    """Draws the splits from the good images of one or two sources: dict of sorted indices."""
    train_labels, *test_labels = [
        labels_of_source[kept] for labels_of_source, kept in zip(labels, good, strict=True)
    ]
    tested = test_labels[0] if test_labels else None
    drawn = held_out.draw_all(train_labels, tested, class_names, settings, seed)
    # Numbers among the good images become numbers among all images of a source.
    return {name: good[-1 if name == "test" else 0][part] for name, part in drawn.items()}


def _identity(fingerprints, labels, good, settings, num_classes, seed):
    """Returns what decides pixels and splits; `shuffle_buffer` decides the order only.

    `fingerprints` are those of the training source and, if there is one, of the test source.
    """
    names = ["test_fraction", "image_size", "channels", "crop_fraction", "shift", "flip"]
    names.append("rating_fraction" if settings.rating_fraction else "rating_per_class")
    # Runs from before the setting have bilinear pixels, and fingerprints without it.
    if settings.interpolation != "bilinear":
        names.append("interpolation")
    identity = {
        "version": PIXELS_VERSION,
        "sources": [*fingerprints, None][:2],
        "settings": {name: getattr(settings, name) for name in names},
        "num_classes": num_classes,
        "seed": seed,
    }
    if sum(map(len, good)) < sum(map(len, labels)):
        identity["images"] = [len(kept) for kept in good]
    return identity


def _check_seed(seed):
    checks.check_whole("seed", seed, 0)
    if seed >= 2**31:
        raise ValueError(f"seed must be below {2**31}. Received: {seed}")
