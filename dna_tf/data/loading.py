"""Images for all work: the splits train, rating and test, and the training batches.

Images are float32 in 0..255, `(height, width, channels)`. Small data is decoded
once and kept in memory; larger data is streamed. Both give the same pixels.
"""

import numpy as np
import tensorflow as tf

from dna_tf.common import files, seeding
from dna_tf.data import (
    decoding,
    held_out,
    label_checks,
    pipelines,
    source_base,
    sources,
    split_images,
)

SPLITS = held_out.SPLITS
# Source: our choice; CIFAR-10 at 32x32x3 takes 184 MB.
MEMORY_LIMIT_BYTES = 256 * 2**20
# Raised when the same source and settings would give other pixels or splits than before.
PIXELS_VERSION = 1


def load(config, seed, cache_dir=None, memory_limit_bytes=MEMORY_LIMIT_BYTES):
    """Opens and checks the data, and draws the splits.

    The rating images, `rating_per_class` of each class, are taken out of the
    training images. The test images come from `test_source`, from the source's
    own test split, or are held out of the training images of each class. With a
    `rating_fraction` above 0 both are drawn from all images instead, whatever their
    class: for data with few images a class.

    Args:
        config: the data section of the configuration.
        seed: int; decides the held-out test images and the rating images.
        cache_dir: folder in which the labels are kept as `data.json`, so that
            large sources are read once only; `None` keeps nothing.
        memory_limit_bytes: up to so many bytes of decoded images are kept in
            memory; beyond it images are decoded anew each time.

    Returns:
        A `Data`.

    Raises:
        ValueError: the source is not usable, a label is out of range, or a
            class or split has too few images; the message says which.
        FileNotFoundError: there is nothing where the source points.
    """
    train = sources.open_source(config)
    test = sources.open_test_source(config, train)
    opened = [train] if test is None else [train, test]
    allowed = config.max_broken_images
    labels, *test_labels = label_checks.read_labels(opened, cache_dir, check=not allowed)
    num_classes = config.num_classes or len(train.class_names or ()) or int(labels.max()) + 1
    class_names = list(train.class_names or map(str, range(num_classes)))
    label_checks.check_classes(train, labels, class_names, config.num_classes)
    test_labels = test_labels[0] if test_labels else None
    if test is not None:
        label_checks.check_range(test, test_labels, num_classes)
    good = [
        np.arange(len(labels_of)) for labels_of in (labels, test_labels) if labels_of is not None
    ]
    if allowed:
        good = source_base.leave_out(opened, allowed, cache_dir)
    kept, *test_kept = good
    tested = test_labels[test_kept[0]] if test_kept else None
    indices = held_out.draw_all(labels[kept], tested, class_names, config, seed)
    # Numbers among the good images become numbers among all of a source.
    indices["test"] = (test_kept[0] if test_kept else kept)[indices["test"]]
    for name in ("train", "rating"):
        indices[name] = kept[indices[name]]
    # What changes pixels or splits counts; shuffle_buffer changes the order only.
    names = ["test_fraction", "image_size", "channels", "crop_fraction", "shift", "flip"]
    names.append("rating_fraction" if config.rating_fraction else "rating_per_class")
    identity = {
        "version": PIXELS_VERSION,
        "sources": [train.fingerprint(), test.fingerprint() if test else None],
        "settings": {name: config[name] for name in names},
        "num_classes": num_classes,
        "seed": seed,
    }
    found = [labels] if test is None else [labels, test_labels]
    if sum(map(len, good)) < sum(map(len, found)):
        identity["images"] = [len(indices_of) for indices_of in good]
    fingerprint = files.fingerprint(identity)
    test, test_labels = (train, labels) if test is None else (test, test_labels)
    size = sum(map(len, indices.values())) * config.image_size**2 * config.channels
    drawn = {}
    for name in SPLITS:
        source, known = (test, test_labels) if name == "test" else (train, labels)
        chosen = indices[name]
        drawn[name] = split_images.SplitImages(
            name, source, chosen, known[chosen], config, size <= memory_limit_bytes
        )
    return Data(config, drawn, class_names, fingerprint)


class Data:
    """The splits `"train"`, `"rating"` and `"test"` of labelled images; made by `load`.

    Attributes:
        num_classes: int.
        class_names: list of str, one for each class.
        image_shape: `(height, width, channels)`.
        counts: dict from split to its number of images.
        fingerprint: 16 hexadecimal digits that stand for the source, the seed of
            the splits, and every setting that changes images or splits.
    """

    def __init__(self, config, drawn, class_names, fingerprint):
        self.num_classes = len(class_names)
        self.class_names = class_names
        self.image_shape = (config.image_size, config.image_size, config.channels)
        self.counts = {name: len(drawn[name].indices) for name in SPLITS}
        self.fingerprint = fingerprint
        self._splits = drawn
        self._shift_limit = decoding.shift_limit(config.shift, config.image_size)
        self._flip = config.flip

    def images(self, split, batch_size=None, skip=0, mixed=False):
        """Returns a split in a fixed order, whole and without augmentation.

        Args:
            split: `"train"`, `"rating"` or `"test"`.
            batch_size: images of a batch; the last batch may be smaller. `None`
                gives single images.
            skip: leaves out that many images at the start, without decoding them.
            mixed: in an order that mixes the classes, the same in every run, where the
                source gives images in any order; other sources keep their own.

        Returns:
            `tf.data.Dataset` of (image float32 `(height, width, channels)` in
            0..255, label int32), with a leading batch axis if batched.
        """
        chosen = self._split(split)
        labels = source_base.on_cpu(chosen.labels)
        # Whatever is in memory: the order must not depend on how much memory may be taken.
        mixed = mixed and chosen.source.random_access
        dataset = chosen.decoded(
            lambda position, image: (tf.cast(image, tf.float32), labels[position]),
            seeding.seed_pair("mixed") if mixed else None,
            skip,
        )
        count = self.counts[split] - skip
        if batch_size is not None:
            dataset = dataset.batch(batch_size)
            count = -(-count // batch_size)
        return pipelines.finished(dataset, count)

    def source(self, split):
        """Returns the `source_base.Source` that the images of a split lie in."""
        return self._split(split).source

    def arrays(self, split):
        """Returns a whole split in memory.

        Args:
            split: `"train"`, `"rating"` or `"test"`.

        Returns:
            np.float32 images `(count, height, width, channels)` in 0..255, and
            np.int32 labels `(count,)`.
        """
        chosen = self._split(split)
        return chosen.pixels().astype(np.float32), chosen.labels.copy()

    def steps_per_epoch(self, batch_size):
        """Returns the number of training batches of an epoch.

        Raises:
            ValueError: there are fewer training images than `batch_size`.
        """
        if not 1 <= batch_size <= self.counts["train"]:
            raise ValueError(
                f"The batch size must be from 1 to the number of training images, "
                f"{self.counts['train']}. Received: batch_size={batch_size}"
            )
        return self.counts["train"] // batch_size

    def epoch(
        self,
        batch_size,
        epoch,
        seed,
        augment=True,
        skip_batches=0,
        shard=(0, 1),
        augmentation=None,
    ):
        """Returns the training batches of one epoch.

        The images are shuffled anew in each epoch: all of them where they can be
        had in any order (in memory, or a folder), else within a buffer of
        `shuffle_buffer` images. Those left over after the last whole batch are
        not used in this epoch. Wrap the loop in `reading`, and an image that
        fails to decode is named.

        Args:
            batch_size: images of a batch.
            epoch: int, which epoch it is.
            seed: int. With `epoch` it decides order and augmentation.
            augment: whether to shift and flip as the configuration says.
            skip_batches: leaves out that many batches at the start, without
                decoding them; those that follow are the same to the bit.
            shard: `(index, count)`: gives the part `index` of `count` equal parts of
                each batch, and decodes only that. The parts of a batch in order are
                the batch.
            augmentation: an `augmentation.Augmentation` with what a recipe does beyond
                shift and flip. With random-resized crops nothing is shifted, and images
                are decoded anew in each epoch, of JPEGs only the crop.

        Returns:
            `tf.data.Dataset` of (images float32 `(batch, height, width, channels)`
            in 0..255, labels int32 `(batch,)`); where images are mixed, labels are
            float32 `(batch, num_classes)`.

        Raises:
            ValueError: a batch is larger than the training split, more batches
                are skipped than there are, or a batch has no such equal parts.
        """
        steps = self.steps_per_epoch(batch_size)
        part = pipelines.part_of_batch(batch_size, shard)
        if not 0 <= skip_batches <= steps:
            raise ValueError(
                f"skip_batches must be from 0 to the {steps} batches of an epoch. "
                f"Received: skip_batches={skip_batches}"
            )
        train = self._splits["train"]
        labels = source_base.on_cpu(train.labels)
        image_seed = seeding.seed_pair(seed, epoch, "augment")[0]
        recipe_seed = seeding.seed_pair(seed, epoch, "recipe")[0]
        crops = augment and augmentation is not None and augmentation.crop_area > 0
        mixes = augment and augmentation is not None and augmentation.mixes
        limit = 0 if crops else self._shift_limit

        def seeded(first, position):
            # Seeded by the image, so that skipped or parallel work changes nothing.
            return tf.stack([tf.constant(first, tf.int64), position])

        def box_of(position, shape):
            return augmentation.crop_box(shape, seeded(recipe_seed, position))

        def finish(position, image):
            drawn = ()
            if augment:
                image = decoding.augment(image, seeded(image_seed, position), limit, self._flip)
            if augment and augmentation is not None:
                image_draws = seeded(recipe_seed, position)
                image = augmentation.image(image, image_draws)
                drawn = (augmentation.draws(image_draws),) if mixes else ()
            return tf.cast(image, tf.float32), labels[position], *drawn

        order_seed = seeding.seed_pair(seed, epoch, "order")
        skip = skip_batches * batch_size
        crop = box_of if crops else None
        dataset = train.decoded(finish, order_seed, skip, batch_size, part, crop)
        dataset = dataset.batch(part.stop - part.start, drop_remainder=True)
        if mixes:
            dataset = dataset.map(augmentation.batch, tf.data.AUTOTUNE, deterministic=True)
        return pipelines.finished(dataset.take(steps - skip_batches), steps - skip_batches)

    def reading(self):
        """Context for loops over `images` and `epoch`: names an image that fails to decode.

        Raises:
            ValueError: names the path, or the file and the number of the record.
        """
        used = {id(split.source): split.source for split in self._splits.values()}
        return source_base.naming_broken_images(*used.values())

    def _split(self, split):
        if split not in self._splits:
            raise ValueError(f"A split is one of {', '.join(SPLITS)}. Received: {split!r}")
        return self._splits[split]
