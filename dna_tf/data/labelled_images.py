"""Labelled images in three splits: train, rating and test, and the batches of an epoch.

Images are float32 in 0..255, `(height, width, channels)`. Small data is decoded once and kept
in memory; larger data is decoded in each epoch. Both give the same pixels.
"""

import copy

import numpy as np
import tensorflow as tf

from dna_tf.common import seeding
from dna_tf.data import decoding, held_out, pipelines, source_base

SPLITS = held_out.SPLITS


class Images:
    """Labelled images in the splits `"train"`, `"rating"` and `"test"`; made by `loading`.

    Args:
        settings: a `data_settings.DataSettings`.
        splits: dict from the name of each split to its `split_images.SplitImages`.
        class_names: list of str, one for each class.
        fingerprint: 16 hexadecimal digits.
        former_fingerprint: those that earlier versions gave to the same images; `None` if they
            are the same.

    Attributes:
        num_classes: int.
        class_names: list of str, one for each class.
        image_shape: `(height, width, channels)`.
        counts: dict from split to its number of images.
        interpolation: of the resize, `"bilinear"` or `"bicubic"`.
        fingerprint: 16 hexadecimal digits that stand for the content of the source, the seed of
            the splits, and every setting that changes images or splits.
    """

    def __init__(self, settings, splits, class_names, fingerprint, former_fingerprint=None):
        self.num_classes = len(class_names)
        self.class_names = class_names
        self.image_shape = (settings.image_size, settings.image_size, settings.channels)
        self.counts = {name: len(splits[name].indices) for name in SPLITS}
        self.interpolation = settings.interpolation
        self.fingerprint = self._fingerprint = fingerprint
        self.former_fingerprint = former_fingerprint or fingerprint
        self._splits = splits
        self._shift_limit = decoding.shift_limit(settings.shift, settings.image_size)
        self._flip = settings.flip

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
        part = self._split(split)
        labels = source_base.on_cpu(part.labels)
        # Also for images in memory: the order must not depend on how much memory may be used.
        mixed = mixed and part.source.random_access
        dataset = part.decoded(
            lambda position, image: (tf.cast(image, tf.float32), labels[position]),
            seeding.seed_pair("mixed") if mixed else None,
            skip,
        )
        count = self.counts[split] - skip
        if batch_size is not None:
            dataset = dataset.batch(batch_size)
            count = -(-count // batch_size)
        return pipelines.finished(dataset, count)

    def take_up(self, fingerprint):
        """Prepares for the continuation of what was begun with images of a fingerprint.

        Fingerprints of earlier versions depend on the path of the source, and their runs saw
        photos as they are stored, not turned by their EXIF tag. Such a run keeps both.

        Args:
            fingerprint: of this version or an earlier one. It becomes that of these images if
                it stands for them.

        Returns:
            Whether it stands for these images.
        """
        if fingerprint not in (self._fingerprint, self.former_fingerprint):
            return False
        self.fingerprint = fingerprint
        for part in self._splits.values():
            part.decode_as_before(fingerprint != self._fingerprint)
        return True

    def with_random_labels(self, seed):
        """Returns these images with random labels in the training split; other splits keep theirs.

        A label is drawn once for each image, all classes alike, by its number in the source: it
        depends neither on order and batches nor on how the splits were drawn.

        Args:
            seed: an int.

        Returns:
            `Images`.

        Source: RLNAS, Zhang et al. 2021.
        """
        train = self._split("train")
        draws = np.random.default_rng([seed, seeding.derive_seed("random labels")])
        of_source = draws.integers(0, self.num_classes, int(train.indices.max(initial=-1)) + 1)
        relabelled = copy.copy(self)
        relabelled._splits = {**self._splits, "train": train.with_labels(of_source[train.indices])}
        return relabelled

    def source(self, split):
        """Returns the `source_base.Source` of the images of a split."""
        return self._split(split).source

    def indices(self, split):
        """Returns the numbers of a split's images in their source: np.int64 `(count,)`."""
        return self._split(split).indices

    def labels(self, split):
        """Returns the labels of a split in the order of `images`: np.int32 `(count,)`."""
        return self._split(split).labels.copy()

    def some(self, split, positions):
        """Returns some images of a split, of which alone it decodes.

        Args:
            split: `"train"`, `"rating"` or `"test"`.
            positions: int array `(count,)`, their positions in the order of `images`, each once.

        Returns:
            np.float32 images `(count, height, width, channels)` in 0..255, in this order.
        """
        return self._split(split).pixels(positions).astype(np.float32)

    def arrays(self, split):
        """Returns a whole split in memory.

        Args:
            split: `"train"`, `"rating"` or `"test"`.

        Returns:
            np.float32 images `(count, height, width, channels)` in 0..255, and
            np.int32 labels `(count,)`.
        """
        part = self._split(split)
        return part.pixels().astype(np.float32), part.labels.copy()

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

        The images are shuffled in a new order in each epoch: all of them if the source gives
        images in any order or they are in memory, otherwise within a buffer of
        `shuffle_buffer` images. Images after the last whole batch are not used in this epoch.
        Wrap the loop in `reading`, so that an image that cannot be decoded is named.

        Args:
            batch_size: images of a batch.
            epoch: int, which epoch it is.
            seed: int. With `epoch` it decides order and augmentation.
            augment: whether to shift and flip as the settings say.
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
                are skipped than there are, or a batch does not divide into equal parts.
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
            # Seeded by the image, so that skipping and parallel work change nothing.
            return tf.stack([tf.constant(first, tf.int64), position])

        def box_of(position, shape):
            return augmentation.crop_box(shape, seeded(recipe_seed, position))

        def finish(position, image):
            mixing = ()
            if augment:
                image = decoding.augment(image, seeded(image_seed, position), limit, self._flip)
            if augment and augmentation is not None:
                own_seed = seeded(recipe_seed, position)
                image = augmentation.image(image, own_seed)
                mixing = (augmentation.draws(own_seed),) if mixes else ()
            return tf.cast(image, tf.float32), labels[position], *mixing

        order_seed = seeding.seed_pair(seed, epoch, "order")
        skip = skip_batches * batch_size
        crop = box_of if crops else None
        dataset = train.decoded(finish, order_seed, skip, batch_size, part, crop)
        dataset = dataset.batch(part.stop - part.start, drop_remainder=True)
        if mixes:
            dataset = dataset.map(
                augmentation.batch, pipelines.calls_of_batches(), deterministic=True
            )
        return pipelines.finished(dataset.take(steps - skip_batches), steps - skip_batches)

    def reading(self):
        """Context for loops over `images` and `epoch`: names an image that cannot be decoded.

        Raises:
            ValueError: names the path, or the file and the number of the record.
        """
        used = {id(part.source): part.source for part in self._splits.values()}
        return source_base.naming_broken_images(*used.values())

    def _split(self, split):
        if split not in self._splits:
            raise ValueError(f"A split is one of {', '.join(SPLITS)}. Received: {split!r}")
        return self._splits[split]
