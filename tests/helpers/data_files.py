"""Small data sets that tests write: folders, TFRecord files, TFDS datasets."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from dna_tf.config import run_config


def data_config(**changes):
    """The data section of the default config, with `changes`."""
    config = run_config.default_config().data
    config.update(changes)
    return config


def picture(number, height=6, width=5, channels=3):
    """A uint8 image that no other number has."""
    return np.random.RandomState(number).randint(0, 256, (height, width, channels), np.uint8)


def png(image):
    """The bytes of a PNG file."""
    return tf.io.encode_png(image).numpy()


def write_folder(root, classes, count, first=0):
    """Writes `count` PNG images of each class; returns the images in the order of the source."""
    written = []
    for name in sorted(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            written.append(picture(first + len(written)))
            (root / name / f"{index:03}.png").write_bytes(png(written[-1]))
    return np.array(written)


def example(**features):
    """A serialized `tf.train.Example` of bytes and int features."""
    kinds = {bytes: ("bytes_list", tf.train.BytesList), int: ("int64_list", tf.train.Int64List)}
    encoded = {}
    for name, value in features.items():
        kind, make = kinds[type(value)]
        encoded[name] = tf.train.Feature(**{kind: make(value=[value])})
    return tf.train.Example(features=tf.train.Features(feature=encoded)).SerializeToString()


def write_records(path, records):
    """Writes serialized records to a TFRecord file."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def write_tfds(data_dir, splits, names=("ant", "bee", "cat"), image_key="image", withheld=()):
    """Writes a real TFDS dataset `tiny/1.0.0`; `splits` maps names to images per class.

    The splits in `withheld` have -1 for all labels.
    """
    folder = data_dir / "tiny" / "1.0.0"
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            image_key: tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=list(names)),
        }
    )

    def label(split, number):
        return -1 if split in withheld else number % len(names)

    infos = []
    for split, count in splits.items():
        total = count * len(names)
        records = [
            features.serialize_example(
                features.encode_example({image_key: picture(i), "label": label(split, i)})
            )
            for i in range(total)
        ]
        write_records(folder / f"tiny-{split}.tfrecord-00000-of-00001", records)
        infos.append(tfds.core.SplitInfo(name=split, shard_lengths=[total], num_bytes=total))
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=features,
        split_infos=infos,
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    )


def write_small(tmp_path, kind, per_class=12):
    """Writes 3 classes of pictures; returns the config of a source of that kind."""
    changes = {"rating_per_class": 2, "image_size": 8, "test_fraction": 0.25, "flip": True}
    if kind == "folder":
        write_folder(tmp_path / "images", ["ant", "bee", "cat"], per_class)
        return data_config(source=f"folder:{tmp_path}/images", **changes)
    for part in range(2):
        numbers = range(part, per_class * 3, 2)
        records = [example(image=png(picture(i)), label=i % 3 + 1) for i in numbers]
        write_records(tmp_path / f"part-{part}", records)
    return data_config(source=f"tfrecord:{tmp_path}/part-*", label_offset=1, **changes)


def batches(dataset):
    return [(image, label) for image, label in dataset.as_numpy_iterator()]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def broken_data(kind, folder, per_class=12, broken=(), **changes):
    """Writes images of three classes, cut off at the numbers in `broken`; returns the config."""
    folder.mkdir(exist_ok=True)
    usual = {"rating_per_class": 2, "image_size": 8, "test_fraction": 0.25}
    if kind == "folder":
        write_folder(folder / "images", ("ant", "bee", "cat"), per_class)
        for number in broken:
            path = sorted((folder / "images").glob("*/*.png"))[number]
            path.write_bytes(path.read_bytes()[:40])
        return data_config(source=f"folder:{folder}/images", **{**usual, **changes})
    contents = [png(picture(i)) for i in range(3 * per_class)]
    for number in broken:
        contents[number] = contents[number][:40]
    for part in range(2):
        numbers = range(part, 3 * per_class, 2)
        records = [example(image=contents[i], label=i % 3) for i in numbers]
        write_records(folder / f"part-{part}", records)
    return data_config(source=f"tfrecord:{folder}/part-*", **{**usual, **changes})
