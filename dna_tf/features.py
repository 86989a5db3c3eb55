"""Teacher features as batches for supernet training: images and the maps of all blocks.

Two modes, one form of batch:

* `memory`: the teacher sees every training image once, without augmentation, and
  its maps stay in memory. The fastest, for data that fits.
* `online`: the teacher runs on each augmented batch, once for all cells.
"""

import os

import numpy as np
import tensorflow as tf

from dna_tf import determinism, progress


def feature_batches(mode, teacher, data, batch_size, seed):
    """Returns a function from `(epoch, skip)` to an iterable of batches of features.

    A batch is a tuple: images `(batch, height, width, channels)` in 0..255, then the
    output of each block of the teacher.

    Args:
        mode: `"memory"` or `"online"`.
        teacher: a `teacher.Teacher`.
        data: a `data.Data`; its training split is used.
        batch_size: images in a batch; what is left of an epoch is dropped.
        seed: seeds order and augmentation.

    Raises:
        ValueError: the features do not fit in memory.
    """
    predict = feature_function(teacher)
    order_seed = determinism.derive_seed("features", seed)
    if mode == "online":

        def online(epoch, skip):
            for images, _ in data.epoch(
                batch_size, epoch, order_seed, augment=True, skip_batches=skip
            ):
                yield (images, *predict(images))

        return online
    kept = _all_features(teacher, data, predict)

    def memory(epoch, skip):
        order = np.random.RandomState(determinism.derive_seed(order_seed, epoch))
        index = order.permutation(len(kept[0]))
        for start in range(skip * batch_size, len(index) - batch_size + 1, batch_size):
            rows = index[start : start + batch_size]
            yield tuple(tf.constant(array[rows]) for array in kept)

    return memory


def feature_function(teacher):
    """The teacher as a compiled function from images to the tuple of its blocks' outputs."""

    @tf.function(reduce_retracing=True)
    def predict(images):
        maps = teacher.features(images, training=False)
        return tuple(maps) if isinstance(maps, list | tuple) else (maps,)

    return predict


def _all_features(teacher, data, predict):
    count = data.counts["train"]
    needed = 4 * count * sum(int(np.prod(shape)) for shape in teacher.shapes)
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if needed > room:
        raise ValueError(
            f"The teacher's features of {count:,} images need {needed / 2**30:.1f} GiB, and half "
            f"of this machine's memory is {room / 2**30:.1f} GiB. Set "
            "--config.supernet.features=online, which keeps none."
        )
    kept = [np.empty((count, *shape), np.float32) for shape in teacher.shapes]
    start = 0
    with progress.bar("teacher features", count, "image") as shown:
        for images, _ in data.images("train", batch_size=64):
            for array, values in zip(kept, (images, *predict(images)), strict=True):
                array[start : start + len(images)] = values.numpy()
            start += len(images)
            shown.update(len(images))
    return kept
