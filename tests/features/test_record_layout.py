"""Records: exact, rounded to the cache's dtype, and of the expected size."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.features import cache_writer, feature_batches, record_layout
from tests.helpers.cached_features import (
    B7_FLOAT16_BYTES,
    B7_SHAPES,
    COUNT,
    PER_SHARD,
    SHAPE,
    batches_of,
    in_order_of_shards,
    open_cache,
)

pytestmark = pytest.mark.usefixtures("deterministic")


@pytest.mark.parametrize(
    ("dtype", "numpy_dtype"),
    [("float16", np.float16), ("bfloat16", tf.bfloat16.as_numpy_dtype), ("float32", np.float32)],
)
def test_records_hold_what_the_teacher_says_exactly_rounded(
    dtype, numpy_dtype, cut, images, tmp_path
):
    cache_writer.write(tmp_path, cut, images, dtype, images_per_shard=PER_SHARD, batch_size=8)
    predict = feature_batches.feature_function(cut)
    expected, by_image = [], {}
    for pixels, _ in images.images("train", 8, mixed=True):
        for row in zip(pixels.numpy(), *(maps.numpy() for maps in predict(pixels)), strict=True):
            rounded = [maps.astype(numpy_dtype) for maps in row[1:]]
            stored = [row[0].astype(np.uint8), *rounded]
            expected.append(b"".join(part.tobytes() for part in stored))
            by_image[row[0].tobytes()] = [maps.astype(np.float32) for maps in rounded]
    assert in_order_of_shards(tmp_path) == expected
    assert set(by_image) == {pixels.tobytes() for pixels in images.arrays("train")[0]}
    batches = batches_of(open_cache(tmp_path, cut, images, dtype).batches(16, 0, seed=3))
    assert len(batches) == COUNT // 16
    for pixels, *maps in batches:
        assert [part.dtype for part in maps] == [np.float32] * 2
        for row in range(16):
            for part, want in zip(maps, by_image[pixels[row].tobytes()], strict=True):
                np.testing.assert_array_equal(part[row], want)


def test_the_size_of_the_records_is_what_the_files_take(written):
    def frame_bytes(shapes, dtype):
        return record_layout.Layout(shapes, dtype).frame_bytes

    shapes = (SHAPE, (2, 2, 32), (1, 1, 64))
    size = sum(path.stat().st_size for path in written.glob("*.tfrecord"))
    assert COUNT * frame_bytes(shapes, "float16") == size
    assert frame_bytes(B7_SHAPES, "float16") == B7_FLOAT16_BYTES + 16
    assert frame_bytes(B7_SHAPES, "float32") == 2 * B7_FLOAT16_BYTES - 150_528 + 16
