"""Reads the teacher's maps of all training images from disk, as seeded epochs of batches.

`cache_writer` writes them.
"""

import contextlib

import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files, seeding
from dna_tf.data import pipelines
from dna_tf.features import shard_files

# These sizes decide the order of images, so they are the same on every machine.
SHUFFLE_BYTES = 512 * 2**20
SHARDS_READ_AT_ONCE = 16
_READ_BUFFER_BYTES = 2**21


class FeatureCache:
    """A complete cache of features, opened for reading.

    Args:
        folder: of the cache, local or remote.
        made_from: the expected origin of the features, as returned by
            `cache_writer.made_from`.

    Attributes:
        count: number of images.
        shapes: `(height, width, channels)` of the image and of each block's map.

    Raises:
        FileNotFoundError: there is no cache, it was not finished, or shards are missing.
        ValueError: it was made from something else, or shards are cut off.
    """

    def __init__(self, folder, made_from):
        folder = files.as_path(folder)
        self._plan, self._entries = shard_files.read_plan(folder)
        if self._plan is None or not self._plan.manifest.exists():
            raise FileNotFoundError(
                f"The folder {folder} holds no whole cache of features (no manifest.json). Run "
                "the training with features=disk: it writes the missing files."
            )
        shard_files.check_made_from(self._plan, made_from)
        self._check_present()
        self.count = self._plan.count
        self.shapes = self._plan.shapes

    def steps_per_epoch(self, batch_size, num_shards=1):
        """Returns the number of batches of an epoch for each of `num_shards` workers.

        Raises:
            ValueError: there is less than one whole batch for each.
        """
        steps = self.count // num_shards // batch_size
        if batch_size < 1 or steps < 1:
            raise ValueError(
                f"The batch size must be from 1 to {self.count // num_shards}, the {self.count} "
                f"images over {num_shards} workers. Received: batch_size={batch_size}"
            )
        return steps

    def batches(
        self,
        batch_size,
        epoch,
        seed,
        skip_batches=0,
        shard=(0, 1),
        shuffle_bytes=SHUFFLE_BYTES,
    ):
        """Returns the batches of one epoch.

        The shards come in a new seeded order in each epoch, 16 are read in turn, and images
        are drawn from a buffer. This has two costs. Images that are far apart in that order
        are never in one batch, unless the cache is smaller than the buffer. And a cached map
        belongs to one view of its image, so there is no augmentation.

        Args:
            batch_size: images of a batch of this worker.
            epoch: int, which epoch it is.
            seed: int. With `epoch` it decides the order.
            skip_batches: leaves out that many batches at the start. They are read, but
                not parsed; the batches after them are the same to the bit.
            shard: `(index, count)`: this worker's part of the epoch's images. The parts are
                disjoint and have the same number of batches.
            shuffle_bytes: size of the buffer; it decides the order too.

        Returns:
            `tf.data.Dataset` of tuples of float32 tensors: images `(batch, height, width,
            channels)` in 0..255, then the map of each block.

        Raises:
            ValueError: the batch is larger than the cache, more batches are skipped than
                there are, or the shard is out of range.
        """
        index, workers = pipelines.check_shard(shard)
        steps = self.steps_per_epoch(batch_size, workers)
        if not 0 <= skip_batches <= steps:
            raise ValueError(
                f"skip_batches must be from 0 to the {steps} batches of an epoch. "
                f"Received: skip_batches={skip_batches}"
            )
        bounds = [self.count * i // workers for i in (index, index + 1)]
        ranges = self._ranges(seeding.seed_pair(seed, epoch, "shards"), *bounds)
        dataset = tf.data.Dataset.from_tensor_slices(ranges).interleave(
            _read_range,
            cycle_length=SHARDS_READ_AT_ONCE,
            block_length=1,
            num_parallel_calls=min(SHARDS_READ_AT_ONCE, pipelines.parallel_calls()),
            deterministic=True,
        )
        buffer = max(1, shuffle_bytes // self._plan.layout.record_bytes)
        dataset = pipelines.shuffled(dataset, buffer, seeding.seed_pair(seed, epoch, "features"))
        dataset = dataset.skip(skip_batches * batch_size).batch(batch_size, drop_remainder=True)
        dataset = dataset.map(
            self._plan.layout.decode, pipelines.calls_of_batches(), deterministic=True
        )
        steps -= skip_batches
        return pipelines.finished(dataset.take(steps), steps)

    @contextlib.contextmanager
    def reading(self):
        """Context for loops over `batches`: names the shard in which a record is damaged.

        Raises:
            FileNotFoundError: shards went missing.
            ValueError: names the shards that are damaged.
        """
        try:
            yield
        except tf.errors.DataLossError as error:
            self._check_present()
            shard_files.find_damage(self._plan, self._entries, error)
            raise
        except tf.errors.NotFoundError:
            self._check_present()
            raise

    def _check_present(self):
        exist = shard_files.present(self._plan, self._entries)
        missing = [self._plan.name(number) for number, exists in enumerate(exist) if not exists]
        if missing:
            raise FileNotFoundError(
                f"Of the {self._plan.num_shards} shards of features in {self._plan.folder} "
                f"{len(missing)} are missing: {checks.some(missing)}. Run the training "
                "with features=disk again: it writes only these anew."
            )

    def _ranges(self, seeds, start, stop):
        """Returns the images `start` to `stop` of the epoch's order of shards, as parts of shards.

        Returns:
            Paths of shards, first records and numbers of records, three arrays.
        """
        ranges, at = [], 0
        for number in pipelines.permutation(self._plan.num_shards, seeds).tolist():
            size = self._plan.size(number)
            first, last = max(start - at, 0), min(stop - at, size)
            if first < last:
                ranges.append((str(self._plan.path(number)), first, last - first))
            at += size
        paths, firsts, counts = zip(*ranges, strict=True)
        return np.array(paths), np.array(firsts, np.int64), np.array(counts, np.int64)


def _read_range(path, first, count):
    dataset = tf.data.TFRecordDataset(path, buffer_size=_READ_BUFFER_BYTES)
    return dataset.skip(first).take(count)
