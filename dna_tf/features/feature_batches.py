"""Teacher features as batches for supernet training: images and the maps of all blocks.

Three modes, one form of batch:

* `memory`: the teacher sees every training image once, and its maps stay in memory. The
  fastest, for data that fits; without augmentation.
* `disk`: the same on disk, for larger data; without augmentation. An epoch is shuffled
  within a buffer only, and float16 rounds the maps to 11 bits.
* `online`: the teacher runs on each augmented batch, once for all cells. It costs time: a
  pass of the teacher in each step.
"""

import contextlib

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, memory, progress, seeding
from dna_tf.data import pipelines
from dna_tf.features import cache_writer, feature_cache


def prepare(section, teacher, images, folder):
    """Writes the cache of the mode `disk`, or its missing shards; does nothing in other modes.

    `feature_datasets` does this first. If several processes share a folder, only one may
    write: let it call this while the others wait.

    Args:
        section, teacher, images, folder: as for `feature_datasets`.

    Raises:
        ValueError: as `feature_datasets`.
        OSError: the disk became full; finished shards are kept.
    """
    if section.features == "disk":
        with images.reading():
            cache_writer.write(section.cache_folder or folder, teacher, images, section.cache_dtype)


def feature_datasets(section, teacher, images, seed, folder):
    """Returns the batches of each epoch: images, and the maps of the teacher's blocks.

    A batch is a tuple: images `(batch, height, width, channels)` in 0..255, then the
    output of each block of the teacher. In `online` mode it has the augmented images only,
    and the step runs the teacher, in its strategy.

    Args:
        section: the config's `supernet` section: `features` (the mode), `batch_size`
            (a last smaller batch is dropped), and for `disk` `cache_dtype` and
            `cache_folder`.
        teacher: a `cutting.Teacher`.
        images: a `labelled_images.Images`; the training split is used.
        seed: seeds order and augmentation.
        folder: of the cache of `disk`, if `cache_folder` is empty.

    Returns:
        A `FeatureDatasets`: call it with `(epoch, skip)`.

    Raises:
        ValueError: the features do not fit in memory or on the disk, or exceed the range of
            the cache's dtype; the cache is damaged or was made from something else.
    """
    order_seed = seeding.derive_seed("features", seed)
    makers = {"memory": _in_memory, "disk": _on_disk, "online": _online}
    if section.features not in makers:
        raise ValueError(
            f"features must be one of {list(makers)}."
            f"{checks.near_names(section.features, makers)} Received: {section.features!r}"
        )
    return makers[section.features](section, teacher, images, order_seed, folder)


class FeatureDatasets:
    """The batches of each epoch as a `tf.data.Dataset` of tensors in host memory.

    Args:
        dataset: function from `(epoch, skip, shard)` to a `tf.data.Dataset`.
        reading: function that returns a context for loops over the datasets.
    """

    def __init__(self, dataset, reading):
        self._dataset, self._reading = dataset, reading

    def __call__(self, epoch, skip=0, shard=(0, 1)):
        """Returns the batches of an epoch without the first `skip`, the same at every call.

        Args:
            epoch: int, which epoch it is.
            skip: leaves out that many batches at the start.
            shard: `(index, count)`: the part of each batch for one of several workers, of
                `batch_size / count` images. With `memory` and `online` the parts of all
                workers are together the batch of a single worker.
        """
        return self._dataset(epoch, skip, shard)

    def reading(self):
        """Context for loops over the datasets: names broken images and shards.

        Raises:
            ValueError: names the image or the shard.
        """
        return self._reading()


def feature_function(teacher):
    """Returns a compiled function from images to the tuple of the outputs of all blocks."""

    @tf.function(reduce_retracing=True)
    def predict(images):
        maps = teacher.features(images, training=False)
        return tuple(maps) if isinstance(maps, list | tuple) else (maps,)

    return predict


def in_parts(function, size):
    """Runs a function of images on some of them at a time, so that it needs the memory of these.

    Args:
        function: from images `(batch, height, width, channels)` to a tuple of maps.
        size: images of a part, at most: those of a replica's batch, for what runs on one device.

    Returns:
        A function from images to the tuple of their maps. With more than one part they are in
        the host's memory.
    """

    def run(images):
        if len(images) <= size:
            return function(images)
        parts = []
        for start in range(0, len(images), size):
            maps = function(images[start : start + size])
            with tf.device("CPU:0"):
                parts.append([tf.identity(values) for values in maps])
        with tf.device("CPU:0"):
            return tuple(tf.concat(values, axis=0) for values in zip(*parts, strict=True))

    return run


def _online(section, teacher, images, order_seed, folder):
    def dataset(epoch, skip, shard):
        batches = images.epoch(
            section.batch_size, epoch, order_seed, augment=True, skip_batches=skip, shard=shard
        )
        return batches.map(lambda pixels, labels: (pixels,)).prefetch(tf.data.AUTOTUNE)

    return FeatureDatasets(dataset, images.reading)


def _on_disk(section, teacher, images, order_seed, folder):
    prepare(section, teacher, images, folder)
    made_from = cache_writer.made_from(teacher, images, section.cache_dtype)
    cache = feature_cache.FeatureCache(section.cache_folder or folder, made_from)

    def dataset(epoch, skip, shard):
        part = pipelines.part_of_batch(section.batch_size, shard)
        return cache.batches(part.stop - part.start, epoch, order_seed, skip, shard)

    return FeatureDatasets(dataset, cache.reading)


def _in_memory(section, teacher, images, order_seed, folder):
    kept = _all_features(teacher, images)
    size = section.batch_size

    def gather(rows):
        return tuple(tf.gather(array, rows) for array in kept)

    def dataset(epoch, skip, shard):
        part = pipelines.part_of_batch(size, shard)
        order = np.random.RandomState(seeding.derive_seed(order_seed, epoch))
        index = order.permutation(len(kept[0]))
        rows = index[: len(index) // size * size].reshape(-1, size)[skip:, part]
        batches = tf.data.Dataset.from_tensor_slices(rows)
        batches = batches.map(gather, pipelines.calls_of_batches(), deterministic=True)
        return pipelines.finished(batches, rewrite=False)

    return FeatureDatasets(dataset, contextlib.nullcontext)


def _all_features(teacher, images):
    """Returns images and maps of the training split: float32 tensors in host memory."""
    count = images.counts["train"]
    needed = 4 * count * sum(int(np.prod(shape)) for shape in teacher.shapes)
    room = memory.limit_bytes() // 2
    if needed > room:
        raise ValueError(
            f"The teacher's features of {count:,} images need {needed / 2**30:.1f} GiB, and half "
            f"of the memory of this machine or container is {room / 2**30:.1f} GiB. Set "
            "features=disk, which keeps them on disk, or features=online, which keeps none."
        )
    kept = [np.empty((count, *shape), np.float32) for shape in teacher.shapes]
    predict, start = feature_function(teacher), 0
    with progress.bar("teacher features", count, "image") as bar:
        for pixels, _ in images.images("train", batch_size=64):
            for array, values in zip(kept, (pixels, *predict(pixels)), strict=True):
                array[start : start + len(pixels)] = values.numpy()
            start += len(pixels)
            bar.update(len(pixels))
    with tf.device("CPU:0"):
        # A tensor is a copy: one array at a time, so that only one exists twice.
        return [tf.constant(kept.pop(0)) for _ in range(len(kept))]
