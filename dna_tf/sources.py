"""Raw labelled images: scikit-learn digits, TFDS, TFRecord files, folders of classes.

A `Source` gives images and labels in one fixed order, so that an index means
the same image on every machine. Splits and batches are made of it in `data`.
All files are reached through `tf.io.gfile`: a path may be remote (`gs://...`).
"""

import os

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn import datasets

from dna_tf import files, images, progress

KINDS = ("digits", "tfds:NAME[/VERSION]", "tfrecord:GLOB", "folder:DIR")
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
# Folders of up to so many images are decoded once before any work starts.
MOST_CHECKED_FILES = 20_000
# Files read at once; the order of the records of a source depends on it.
PARALLEL_READS = 16
LABEL_BATCH = 1024


class Source:
    """Labelled images in a fixed order; the kinds of sources derive from it.

    Attributes:
        name: the source as the user wrote it.
        class_names: list of str in the order of the labels, or `None`.
        random_access: whether `records` gives the images in any order asked for;
            other sources are read from front to back.
    """

    random_access = False

    def __init__(self, name, class_names=None):
        self.name = name
        self.class_names = class_names

    @property
    def num_examples(self):
        """The number of images."""
        return len(self.labels())

    def labels(self):
        """Returns the labels, np.int64 `(num_examples,)`, in the order of the source."""
        raise NotImplementedError

    def fingerprint(self):
        """Returns 16 hexadecimal digits that change with the source's content. Cheap."""
        raise NotImplementedError

    def decode(self, raw):
        """Graph function from the second item of `records` to an image.

        Returns:
            uint8 or float tensor `(height, width, channels)` in 0..255, 1 or 3 channels.
        """
        raise NotImplementedError

    def records(self, indices=None):
        """Returns a dataset of (int64 index, raw image not yet decoded).

        Args:
            indices: int64 array, the images wanted; by default all. With
                `random_access` they come in this order, else in the source's.
        """
        if indices is None:
            return self._raw().enumerate()
        wanted = np.zeros(np.max(indices, initial=-1) + 1, bool)
        wanted[indices] = True
        wanted = tf.constant(wanted)
        return (
            self._raw().enumerate().filter(lambda index, raw: index < len(wanted) and wanted[index])
        )

    def images(self):
        """Returns a dataset of (image, int64 label) in the order of the source."""
        labels = tf.constant(self.labels())
        return self.records().map(
            lambda index, raw: (self.decode(raw), labels[index]),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def check(self):
        """Checks what takes longer than opening; nothing for most kinds.

        Raises:
            ValueError: images cannot be decoded; the message names them.
        """

    def broken(self):
        """Yields text that names each image that cannot be decoded, one after another."""
        for position in _refused(self._raw(), self.decode):
            yield f"image {position} of {self.name}"

    def _raw(self):
        raise NotImplementedError


class Digits(Source):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey."""

    random_access = True

    def __init__(self, name):
        super().__init__(name, [str(digit) for digit in range(10)])
        digits = datasets.load_digits()
        self._images = (digits.images[..., np.newaxis] * (255 / 16)).astype(np.float32)
        self._labels = digits.target.astype(np.int64)

    def labels(self):
        return self._labels

    def fingerprint(self):
        return files.fingerprint(self._images.tobytes() + self._labels.tobytes())

    def records(self, indices=None):
        indices = np.arange(self.num_examples) if indices is None else indices
        return tf.data.Dataset.from_tensor_slices((indices, self._images[indices]))

    def decode(self, raw):
        return raw


class Tfds(Source):
    """A split of a TFDS dataset; it is downloaded and prepared where it is not yet."""

    def __init__(self, name, builder, split, config):
        label = builder.info.features.get(config.label_feature)
        names = getattr(label, "names", None)
        # Without names of its own a dataset numbers its classes: that says nothing.
        numbers = [str(number) for number in range(len(names or ()))]
        super().__init__(name, None if names == numbers else names)
        self._builder, self._split = builder, split
        self._image, self._label = config.image_feature, config.label_feature
        features = builder.info.features
        for role, wanted in (("image_feature", self._image), ("label_feature", self._label)):
            if wanted not in features:
                raise _no_feature(name, role, wanted, sorted(features))
        self._encoded = isinstance(features[self._image], tfds.features.Image)
        if not self._encoded and features[self._image].shape[-1:] not in ((1,), (3,)):
            raise ValueError(
                f"Expected images of 1 or 3 channels from {name}. Received: {features[self._image]}"
            )

    @property
    def num_examples(self):
        return self._builder.info.splits[self._split].num_examples

    def labels(self):
        batches = self._read({self._label: True}).batch(LABEL_BATCH)
        total = -(-self.num_examples // LABEL_BATCH)
        found = [
            batch[self._label]
            for batch in progress.track(
                batches.as_numpy_iterator(), f"labels of {self.name}", "batch", total
            )
        ]
        return np.concatenate(found).astype(np.int64)

    def fingerprint(self):
        info = self._builder.info.splits[self._split]
        content = [info.name, info.shard_lengths, info.num_bytes]
        return files.fingerprint([self._builder.info.full_name, content, self._image, self._label])

    def decode(self, raw):
        return images.decode(raw) if self._encoded else raw

    def _raw(self):
        # TFDS would decode JPEGs with its own settings; images.decode does it our way.
        skip = {self._image: tfds.decode.SkipDecoding()} if self._encoded else {}
        return self._read({self._image: True}, skip).map(lambda example: example[self._image])

    def _read(self, features, decoders=None):
        return self._builder.as_dataset(
            split=self._split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(features, decoders=decoders or {}),
            read_config=tfds.ReadConfig(
                interleave_cycle_length=PARALLEL_READS,
                interleave_block_length=1,
                try_autocache=False,
            ),
        )


class TFRecords(Source):
    """TFRecord files of `tf.train.Example`s: image bytes (JPEG, PNG, ...) and an int64 label.

    The files are read in the order of their names, `PARALLEL_READS` at once,
    one record of each in turn.
    """

    def __init__(self, name, pattern, config):
        super().__init__(name)
        self._image, self._label = config.image_feature, config.label_feature
        self._offset = config.label_offset
        self._files = sorted(tf.io.gfile.glob(os.path.expanduser(pattern)))
        if not self._files:
            raise FileNotFoundError(
                f"No file matches {pattern!r} (source {name!r}).{_neighbours(pattern)}"
            )
        self._check_first_record()

    def labels(self):
        serialized = self._serialized(self._files).batch(LABEL_BATCH)
        feature = {self._label: tf.io.FixedLenFeature([], tf.int64)}
        size = sum(tf.io.gfile.stat(path).length for path in self._files)
        found = [np.zeros(0, np.int64)]
        try:
            with progress.bar(f"labels of {self.name}", size // 10**6, "MB") as bar:
                for batch in serialized:
                    found.append(tf.io.parse_example(batch, feature)[self._label].numpy())
                    content = int(tf.reduce_sum(tf.strings.length(batch)))
                    bar.update(content / 10**6)
        except tf.errors.OpError as error:
            # Reading all files at once, TensorFlow does not say where it stopped.
            self._name_bad_record(feature, error)
            raise
        return np.concatenate(found) - self._offset

    def fingerprint(self):
        tails = []
        for path in self._files:
            with tf.io.gfile.GFile(path, "rb") as file:
                # The last 4 bytes are the checksum of the last record: they tell
                # files apart that differ only in their labels.
                file.seek(max(0, file.size() - 4))
                tails.append([os.path.basename(path), file.size(), file.read(4).hex()])
        return files.fingerprint([self.name, tails, self._image, self._label, self._offset])

    def decode(self, raw):
        feature = {self._image: tf.io.FixedLenFeature([], tf.string)}
        return images.decode(tf.io.parse_single_example(raw, feature)[self._image])

    def broken(self):
        for path in self._files:
            for position in _refused(self._serialized([path]), self.decode):
                yield f"record {position} (counted from 0) of {path}"

    def _raw(self):
        return self._serialized(self._files)

    def _serialized(self, paths):
        reads = PARALLEL_READS if len(paths) > 1 else None
        return tf.data.TFRecordDataset(paths, num_parallel_reads=reads)

    def _check_first_record(self):
        path = self._files[0]
        try:
            first = next(self._serialized([path]).take(1).as_numpy_iterator(), None)
            if first is None:
                raise ValueError(f"The TFRecord file {path} holds no record.")
            features = tf.train.Example.FromString(first).features.feature
        except (tf.errors.DataLossError, TypeError, ValueError, *_PROTO_ERRORS) as error:
            if isinstance(error, ValueError) and "holds no record" in str(error):
                raise
            raise ValueError(
                f"Expected a TFRecord file of tf.train.Example records, not compressed. "
                f"Received: {path} ({_first_line(error)})"
            ) from error
        wanted = (
            ("image_feature", self._image, "bytes_list"),
            ("label_feature", self._label, "int64_list"),
        )
        for role, feature, kind in wanted:
            if feature not in features:
                raise _no_feature(path, role, feature, sorted(features))
            found = features[feature].WhichOneof("kind")
            if found != kind:
                raise ValueError(
                    f"Expected the feature {feature!r} of {path} to be of kind {kind}. "
                    f"Received: {found}. Set {role} to another feature: {sorted(features)}"
                )

    def _name_bad_record(self, feature, error):
        for path in self._files:
            position = -1
            try:
                for position, raw in enumerate(self._serialized([path])):
                    tf.io.parse_single_example(raw, feature)
            except tf.errors.DataLossError:
                raise ValueError(
                    f"The file {path} is damaged after {position + 1} good records, or is no "
                    f"TFRecord file. Write it again. ({_first_line(error)})"
                ) from error
            except tf.errors.InvalidArgumentError:
                raise ValueError(
                    f"Record {position} (counted from 0) of {path} has not exactly one int64 "
                    f"in its feature {self._label!r}. ({_first_line(error)})"
                ) from error
