"""A small teacher and digits, and what their cache of features has on disk."""

import struct

from dna_tf.data import loading
from dna_tf.features import cache_writer, feature_cache
from dna_tf.teachers import cutting, residual_cnn
from tests.helpers import data_files

SHAPE = (8, 8, 3)
CUTS = ("stage1_out", "stage2_out")
COUNT, PER_SHARD = 129, 16
# Source: arithmetic on the shapes of EfficientNet-B7's cuts at 224 x 224.
B7_SHAPES = ((224, 224, 3), (56, 56, 48), (28, 28, 80), (14, 14, 160))
B7_SHAPES += ((14, 14, 224), (7, 7, 384), (7, 7, 640))
B7_FLOAT16_BYTES = 150_528 + 2 * (150_528 + 62_720 + 31_360 + 43_904 + 18_816 + 31_360)


def teacher_of(seed=1, cuts=CUTS, model=None):
    model = model or residual_cnn.build(SHAPE, 3, dropout=0.5, seed=seed)
    return cutting.cut_model(model, cuts, SHAPE)


def data_of(seed=0, **changes):
    fields = {"image_size": 8, "test_fraction": 0.9, "rating_per_class": 5, **changes}
    return loading.load(data_files.data_config(**fields), seed)


def open_cache(folder, cut, images, dtype="float16"):
    return feature_cache.FeatureCache(folder, cache_writer.made_from(cut, images, dtype))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def shard(folder, number):
    return sorted(folder.glob("*.tfrecord"))[number]


def batches_of(dataset):
    return list(dataset.as_numpy_iterator())


def keys_of(batches):
    return [row.tobytes() for image, *_ in batches for row in image]


def records_of(content):
    """The records of a TFRecord file: length, its checksum, record, its checksum."""
    records = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        records.append(content[12 : 12 + length])
        content = content[16 + length :]
    return records


def in_order_of_shards(folder):
    return [
        record
        for path in sorted(folder.glob("*.tfrecord"))
        for record in records_of(path.read_bytes())
    ]
