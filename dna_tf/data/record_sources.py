"""Sources that are read from front to back: TFRecord files and TFDS datasets."""

import os

import numpy as np
import tensorflow as tf
from google.protobuf import message

from dna_tf.common import checks, progress
from dna_tf.data import decoding, source_base

# Files that are read at once; the order of the records of a source depends on it.
PARALLEL_READS = 16
LABEL_BATCH = 1024


class TFRecords(source_base.Source):
    """TFRecord files of `tf.train.Example`s: image bytes (JPEG, PNG, ...) and an int64 label.

    The files are sorted by name and read `PARALLEL_READS` at once, one record
    of each in turn. Training shuffles within a buffer only, so the records should be
    written in random order.

    Args:
        name: the source as the user wrote it.
        pattern: glob of the files.
        settings: a `data_settings.DataSettings`.
    """

    counts_by_reading = True

    def __init__(self, name, pattern, settings):
        super().__init__(name)
        self._image, self._label = settings.image_feature, settings.label_feature
        self.label_offset = settings.label_offset
        self._labels = self._tails = None
        self._files = sorted(tf.io.gfile.glob(os.path.expanduser(pattern)))
        if not self._files:
            raise FileNotFoundError(f"No file matches {pattern!r}.{_neighbours(pattern)}")
        self._check_first_record()

    def labels(self):
        if self._labels is None:
            self._labels = self._read_labels()
        return self._labels

    def files(self):
        return frozenset(map(source_base.real_path, self._files))

    def copies_of(self, other):
        if not isinstance(other, TFRecords):
            return []
        trained = {(size, checksum) for _, size, checksum in other.tails()}
        pairs = zip(self._files, self.tails(), strict=True)
        return [path for path, (_, *content) in pairs if tuple(content) in trained]

    def tails(self):
        """Returns name, size and the last checksum of each file: what tells files apart."""
        if self._tails is None:
            self._tails = self._read_tails()
        return self._tails

    def _identity(self):
        return ["tfrecord", self.tails(), self._image, self._label, self.label_offset]

    def _former_identity(self):
        return [self.name, *self._identity()[1:]]

    def _read_tails(self):
        tails = []
        for path in self._files:
            with tf.io.gfile.GFile(path, "rb") as file:
                # The last 4 bytes are the checksum of the last record: they differ between
                # files that differ only in their labels.
                file.seek(max(0, file.size() - 4))
                tails.append([os.path.basename(path), file.size(), file.read(4).hex()])
        return tails

    def encoded(self, raw):
        feature = {self._image: tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_single_example(raw, feature)[self._image]

    def decode(self, raw):
        return decoding.decode(self.encoded(raw), self.as_before)

    def broken(self, label=""):
        for path in self._files:
            try:
                for position in source_base.refused(self._serialized([path]), self.decode, label):
                    yield f"record {position} (counted from 0) of {path}"
            except tf.errors.DataLossError as error:
                yield f"{path}, which is damaged or cut off ({source_base.first_line(error)})"

    def _raw(self):
        return self._serialized(self._files)

    def _serialized(self, paths):
        return tf.data.TFRecordDataset(
            paths, num_parallel_reads=PARALLEL_READS if len(paths) > 1 else None
        )

    def _check_first_record(self):
        path = self._files[0]
        try:
            first = next(self._serialized([path]).take(1).as_numpy_iterator(), None)
            features = tf.train.Example.FromString(first or b"").features.feature
        except (tf.errors.DataLossError, message.DecodeError) as error:
            raise ValueError(
                f"Expected a TFRecord file of tf.train.Example records, not compressed. "
                f"Received: {path} ({source_base.first_line(error)})"
            ) from error
        if first is None:
            raise ValueError(f"The TFRecord file {path} holds no record. Write or remove it.")
        for role, feature, kind in (
            ("image_feature", self._image, "bytes_list"),
            ("label_feature", self._label, "int64_list"),
        ):
            if feature not in features:
                raise _no_feature(path, role, feature, sorted(features))
            received = features[feature].WhichOneof("kind")
            if received != kind:
                raise ValueError(
                    f"Expected the feature {feature!r} of {path} to be of kind {kind}. "
                    f"Received: {received}. Set {role} to another feature: {sorted(features)}"
                )

    def _read_labels(self):
        feature = {self._label: tf.io.FixedLenFeature([], tf.int64)}
        size_mb = sum(tf.io.gfile.stat(path).length for path in self._files) / 1e6
        labels, read_bytes = [], 0
        try:
            with progress.bar(f"labels of {self.name}", int(size_mb), "MB") as bar:
                for batch in self._raw().batch(LABEL_BATCH):
                    labels.append(tf.io.parse_example(batch, feature)[self._label].numpy())
                    read_bytes += int(tf.reduce_sum(tf.strings.length(batch)))
                    bar.update(read_bytes // 10**6 - bar.n)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            # TensorFlow does not say in which of several files it stopped.
            self._name_bad_record(feature, error)
            raise
        return np.concatenate(labels) - self.label_offset

    def _name_bad_record(self, feature, error):
        reason = source_base.first_line(error)
        for path in self._files:
            good = 0
            try:
                for raw in self._serialized([path]):
                    tf.io.parse_single_example(raw, feature)
                    good += 1
            except tf.errors.DataLossError:
                raise ValueError(
                    f"The file {path} is no TFRecord file, or is damaged or cut off after "
                    f"{good} good records. Write it again. ({reason})"
                ) from error
            except tf.errors.InvalidArgumentError:
                raise ValueError(
                    f"Record {good} (counted from 0) of {path} has not exactly one int64 "
                    f"in its feature {self._label!r}. ({reason})"
                ) from error


class Tfds(source_base.Source):
    """A split of a prepared TFDS dataset with the features `image` and `label`.

    Args:
        name: the source as the user wrote it.
        builder: the dataset's `tfds.core.DatasetBuilder`.
        split: such as `"train"`.
    """

    def __init__(self, name, builder, split):
        import tensorflow_datasets as tfds  # needed for this source only

        features = builder.info.features
        self._builder, self._split = builder, split
        check_features(name, features)
        self._encoded = isinstance(features["image"], tfds.features.Image)
        names = getattr(features["label"], "names", None)
        super().__init__(name, list(names) if names else None)

    @property
    def num_examples(self):
        return self._builder.info.splits[self._split].num_examples

    def labels(self):
        batches = self._read({"label": True}).batch(LABEL_BATCH).as_numpy_iterator()
        total = -(-self.num_examples // LABEL_BATCH)
        batches = progress.track(batches, f"labels of {self.name}", "batch", total)
        return np.concatenate([batch["label"] for batch in batches]).astype(np.int64)

    def first_label(self):
        """Returns the label of the first image: below 0 if the labels are withheld."""
        return int(next(iter(self._read({"label": True})))["label"])

    def _identity(self):
        split = self._builder.info.splits[self._split]
        content = [split.name, list(split.shard_lengths), split.num_bytes]
        return ["tfds", self._builder.info.full_name, *content]

    def _former_identity(self):
        return self._identity()[1:]

    def encoded(self, raw):
        return raw if self._encoded else None

    def decode(self, raw):
        return decoding.decode(raw, self.as_before) if self._encoded else raw

    def _raw(self):
        import tensorflow_datasets as tfds

        # TFDS would decode JPEGs with its own settings; `decoding.decode` is used instead.
        decoders = {"image": tfds.decode.SkipDecoding()} if self._encoded else {}
        return self._read({"image": True}, decoders).map(lambda raw: raw["image"])

    def _read(self, features, decoders=None):
        import tensorflow_datasets as tfds

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


def check_features(name, features):
    """Checks the features of a TFDS dataset, which are known before it is downloaded.

    Args:
        name: the source as the user wrote it.
        features: the `tfds.features.FeaturesDict` of the dataset.

    Raises:
        ValueError: it has no image and label for each example, or images of another form.
    """
    import tensorflow_datasets as tfds  # needed for this source only

    names = sorted(features) if isinstance(features, tfds.features.FeaturesDict) else [features]
    if "image" not in names or "label" not in names:
        raise ValueError(
            f"Expected a TFDS dataset with the features 'image' and 'label'. "
            f"Received: {name} with {names}"
        )
    image, label = features["image"], features["label"]
    shape = image.shape if isinstance(image.shape, tuple) else ()
    is_encoded = isinstance(image, tfds.features.Image)
    if not is_encoded and (len(shape) != 3 or shape[-1] not in (1, 3)):
        raise ValueError(
            f"Expected images of 1 or 3 channels from {name}. "
            f"Received: images of shape {image.shape}"
        )
    if label.shape != () or np.dtype(label.np_dtype).kind not in "biu":
        raise ValueError(
            f"Expected one whole number as the label of each image from {name}. "
            f"Received: labels of shape {label.shape}, type {label.np_dtype}"
        )


def _no_feature(path, setting, name, features):
    return ValueError(
        f"{path} has no feature {name!r}.{checks.near_names(name, features)} "
        f"Set {setting} to one of its features: {features}"
    )


def _neighbours(pattern):
    """Returns text about the folder of a pattern that matches no file."""
    folder, name = os.path.split(os.path.expanduser(pattern))
    if not tf.io.gfile.isdir(folder or "."):
        return f" There is no folder {folder!r}."
    entries = sorted(tf.io.gfile.listdir(folder or "."))
    near = checks.near_names(name, entries)
    return f"{near} The folder holds {len(entries)} files: {entries[:5]}"
