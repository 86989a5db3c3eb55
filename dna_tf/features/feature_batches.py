"""Teacher features as batches for supernet training: images and the maps of all blocks.

Three modes, one form of batch:

* `memory`: the teacher sees every training image once and its maps stay in memory. The
  fastest, for data that fits. Gives up augmentation.
* `disk`: the same on disk, in the run's folder `features/`, for larger data. Gives up
  augmentation, and the order of an epoch mixes within a buffer only. float16 rounds
  the maps to 11 bits.
* `online`: the teacher runs on each augmented batch, once for all cells. Gives up
  nothing but time: a pass of the teacher in each step.
"""

import contextlib
import os

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, progress, seeding
from dna_tf.data import pipelines
from dna_tf.features import cache_writer, feature_cache


def prepare(section, teacher, data, folder):
    """Writes the cache of `disk`, or what is missing of it; nothing in the other modes.

    `feature_datasets` does this first. Of several processes that share a folder only one
    may write: let it do this while the others wait.

    Args:
        section, teacher, data, folder: as of `feature_datasets`.

    Raises:
        ValueError: as of `feature_datasets`.
        OSError: the disk became full; what is finished is kept.
    """
    if section.features == "disk":
        with data.reading():
            cache_writer.write(section.cache_folder or folder, teacher, data, section.cache_dtype)


def feature_datasets(section, teacher, data, seed, folder):
    """Returns the batches of each epoch: images, and the maps of the blocks of a teacher.

    A batch is a tuple: images `(batch, height, width, channels)` in 0..255, then the
    output of each block of the teacher. In `online` mode it has the augmented images alone,
    and the step runs the teacher, under its strategy.

    Args:
        section: the config's `supernet` section: `features` (the mode), `batch_size`
            (what is left of an epoch is dropped), and for `disk` `cache_dtype` and
            `cache_folder`.
        teacher: a `cutting.Teacher`.
        data: a `loading.Data`; its training split is used.
        seed: seeds order and augmentation.
        folder: where `disk` keeps its cache unless `cache_folder` says otherwise.

    Returns:
        A `FeatureDatasets`: call it with `(epoch, skip)`.

    Raises:
        ValueError: the features do not fit in memory or on the disk, or cannot be kept
            in the cache's dtype; the cache is damaged or of something else.
    """
    order_seed = seeding.derive_seed("features", seed)
    makers = {"memory": _in_memory, "disk": _on_disk, "online": _online}
    if section.features not in makers:
        raise ValueError(
            f"config.supernet.features must be one of {list(makers)}."
            f"{checks.near_names(section.features, makers)} Received: {section.features!r}"
        )
    return makers[section.features](section, teacher, data, order_seed, folder)


class FeatureDatasets:
    """The batches of each epoch as a `tf.data.Dataset` of tensors in host memory.

    Args:
        dataset: function from `(epoch, skip, shard)` to a `tf.data.Dataset`.
        reading: function that gives a context.
    """

    def __init__(self, dataset, reading):
        self._dataset, self._reading = dataset, reading

    def __call__(self, epoch, skip=0, shard=(0, 1)):
        """Returns the batches of an epoch without the first `skip`, the same at every call.

        Args:
            epoch: int, which epoch it is.
            skip: how many batches are left out at the start.
            shard: `(index, count)`: the part of each batch for one of several workers,
                a batch of `batch_size / count` images. With `memory` and `online` the
                parts of all workers are the batch that one worker gets.
        """
        return self._dataset(epoch, skip, shard)

    def reading(self):
        """Context for loops over the datasets: broken images and shards get their names.

        Raises:
            ValueError: names the image or the shard.
        """
        return self._reading()


def feature_function(teacher):
    """The teacher as a compiled function from images to the tuple of its blocks' outputs."""

    @tf.function(reduce_retracing=True)
    def predict(images):
        maps = teacher.features(images, training=False)
        return tuple(maps) if isinstance(maps, list | tuple) else (maps,)

    return predict


def _online(section, teacher, data, order_seed, folder):
    def dataset(epoch, skip, shard):
        batches = data.epoch(
            section.batch_size, epoch, order_seed, augment=True, skip_batches=skip, shard=shard
        )
        return batches.map(lambda images, labels: (images,)).prefetch(tf.data.AUTOTUNE)

    return FeatureDatasets(dataset, data.reading)


def _on_disk(section, teacher, data, order_seed, folder):
    prepare(section, teacher, data, folder)
    made_from = cache_writer.made_from(teacher, data, section.cache_dtype)
    cache = feature_cache.FeatureCache(section.cache_folder or folder, made_from)

    def dataset(epoch, skip, shard):
        part = pipelines.part_of_batch(section.batch_size, shard)
        return cache.batches(part.stop - part.start, epoch, order_seed, skip, shard)

    return FeatureDatasets(dataset, cache.reading)


def _in_memory(section, teacher, data, order_seed, folder):
    kept = _all_features(teacher, data)
    size = section.batch_size

    def gather(rows):
        return tuple(tf.gather(array, rows) for array in kept)

    def dataset(epoch, skip, shard):
        part = pipelines.part_of_batch(size, shard)
        order = np.random.RandomState(seeding.derive_seed(order_seed, epoch))
        index = order.permutation(len(kept[0]))
        rows = index[: len(index) // size * size].reshape(-1, size)[skip:, part]
        batches = tf.data.Dataset.from_tensor_slices(rows)
        batches = batches.map(gather, tf.data.AUTOTUNE, deterministic=True)
        return pipelines.finished(batches, rewrite=False)

    return FeatureDatasets(dataset, contextlib.nullcontext)


def _all_features(teacher, data):
    """Images and maps of the training split: a list of float32 tensors in host memory."""
    count = data.counts["train"]
    needed = 4 * count * sum(int(np.prod(shape)) for shape in teacher.shapes)
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if needed > room:
        raise ValueError(
            f"The teacher's features of {count:,} images need {needed / 2**30:.1f} GiB, and half "
            f"of this machine's memory is {room / 2**30:.1f} GiB. Set "
            "--config.supernet.features=disk, which keeps them on disk, or "
            "--config.supernet.features=online, which keeps none."
        )
    kept = [np.empty((count, *shape), np.float32) for shape in teacher.shapes]
    predict, start = feature_function(teacher), 0
    with progress.bar("teacher features", count, "image") as shown:
        for images, _ in data.images("train", batch_size=64):
            for array, values in zip(kept, (images, *predict(images)), strict=True):
                array[start : start + len(images)] = values.numpy()
            start += len(images)
            shown.update(len(images))
    with tf.device("CPU:0"):
        # Making a tensor copies: one at a time, so that only one is there twice.
        return [tf.constant(kept.pop(0)) for _ in range(len(kept))]
