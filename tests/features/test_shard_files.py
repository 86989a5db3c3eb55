"""Shards on disk: damage is noticed and named, whatever it is."""

import json
import shutil

import keras
import pytest
import tensorflow as tf

from dna_tf.common import files
from dna_tf.features import cache_writer, shard_files
from dna_tf.teachers import residual_cnn
from tests.helpers.cached_features import (
    COUNT,
    SHAPE,
    batches_of,
    contents,
    data_of,
    open_cache,
    shard,
    teacher_of,
)

pytestmark = pytest.mark.usefixtures("deterministic")


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def _rescaled():
    """The teacher with other rescaling: the same weights."""
    model = residual_cnn.build(SHAPE, 3, dropout=0.5, seed=1)
    config = model.get_config()
    rescale = [layer for layer in config["layers"] if layer["name"] == "rescale"][0]
    rescale["config"]["scale"] = 1.0 / 255.0
    changed = keras.Model.from_config(config)
    changed.set_weights(model.get_weights())
    return changed


# Of the second record of a shard: its length, the length's checksum, pixels, maps, checksum.
@pytest.mark.parametrize(
    ("number", "place"),
    [(0, 3), (7, 9), (0, 12), (7, 12 + 192 + 5), (0, 12 + 192 + 384 - 1), (5, 590)],
)
def test_a_flipped_bit_is_noticed_when_read_and_names_the_shard(
    number, place, written, copied, cut, images
):
    path = shard(copied, number)
    _flip(path, 592 + place)
    cache = open_cache(copied, cut, images)  # of the same size: not noticed yet
    expected = rf"are damaged: \S*{path.name}\. Delete this file and run again: only it"
    with pytest.raises(ValueError, match=expected):
        with cache.reading():
            batches_of(cache.batches(16, 0, seed=0))
    with pytest.raises(ValueError, match=expected):
        shard_files.verify(*shard_files.read_plan(files.as_path(copied)))
    path.unlink()
    cache_writer.write(copied, cut, images, batch_size=8)
    assert contents(copied) == contents(written)


@pytest.mark.parametrize("length", [0, 3, 592, 592 + 4, -1])
def test_a_truncated_shard_is_refused_at_once(length, copied, cut, images):
    path = shard(copied, 4)
    path.write_bytes(path.read_bytes()[:length])
    expected = rf"cut off: .*{path.name} has .* bytes instead of 9,472\. Delete this file"
    for attempt in (
        lambda: open_cache(copied, cut, images),
        lambda: cache_writer.write(copied, cut, images, batch_size=8),
    ):
        with pytest.raises(ValueError, match=expected):
            attempt()


def test_shards_that_change_while_they_are_read_are_named(copied, cut, images):
    cache = open_cache(copied, cut, images)
    shard(copied, 5).write_bytes(shard(copied, 5).read_bytes()[:-7])
    with pytest.raises(ValueError, match="features-00005-of-00009.tfrecord has 9,465 bytes"):
        with cache.reading():
            batches_of(cache.batches(16, 0, seed=0))
    shard(copied, 5).unlink()
    with pytest.raises(FileNotFoundError, match="missing: features-00005-of-00009.tfrecord"):
        with cache.reading():
            batches_of(cache.batches(16, 0, seed=0))
    with pytest.raises(tf.errors.DataLossError, match="of a checkpoint"), cache.reading():
        shutil.copy(shard(copied, 0), copied / "features-00005-of-00009.tfrecord")
        raise tf.errors.DataLossError(None, None, "of a checkpoint")


def test_damage_is_found_by_its_place_or_else_by_checksums(copied, cut, images, monkeypatch):
    cache = open_cache(copied, cut, images)
    verified = []
    monkeypatch.setattr(shard_files, "verify", lambda *of: verified.append(of))
    _flip(shard(copied, 6), 3 * 592 + 20)
    with pytest.raises(ValueError, match=r"damaged: \S*00006-of-00009.tfrecord\. "):
        with cache.reading():
            batches_of(cache.batches(16, 0, seed=0))
    assert not verified  # reading all of a large cache would take long
    # A disk that reads wrong only now and then: the record is sound when it is looked at.
    with pytest.raises(tf.errors.DataLossError), cache.reading():
        raise tf.errors.DataLossError(None, None, "corrupted record at 1196")
    assert len(verified) == 1


def test_verify_finds_exchanged_shards(copied):
    shard_files.verify(*shard_files.read_plan(files.as_path(copied)))
    one, other = shard(copied, 2), shard(copied, 6)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    with pytest.raises(ValueError, match="damaged: .*00002.*, .*00006.* Delete these files"):
        shard_files.verify(*shard_files.read_plan(files.as_path(copied)))


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("teacher", lambda cut, images: (teacher_of(seed=2), images, "float16")),
        (r"cuts \['stage1_out', 'stage2_out'\] there", lambda cut, images: (
            teacher_of(cuts=("stage1_out", "stage3_out")), images, "float16")),
        ("data", lambda cut, images: (cut, data_of(seed=1), "float16")),
        ("data", lambda cut, images: (cut, data_of(crop_fraction=0.5), "float16")),
        ("dtype 'float16' there, 'float32' now", lambda cut, images: (cut, images, "float32")),
        ("preprocessing", lambda cut, images: (teacher_of(model=_rescaled()), images, "float16")),
    ],
)  # fmt: skip
def test_a_cache_of_something_else_is_refused(what, changes, written, cut, images):
    changed = changes(cut, images)
    before = contents(written)
    expected = f"something else: (cuts .*; )?{what}.* Delete"
    with pytest.raises(ValueError, match=expected) as error:
        open_cache(written, *changed)
    with pytest.raises(ValueError, match=expected):
        cache_writer.write(written, *changed, batch_size=8)
    name = what.split(" ")[0]
    names = ("cuts", "data", "dtype", "preprocessing", "teacher")
    differing = {other for other in names if f" {other} " in str(error.value)}
    # A deeper cut has more weights and layers.
    assert differing == ({name, "teacher", "preprocessing"} if name == "cuts" else {name})
    assert contents(written) == before


def test_the_same_teacher_built_again_is_known(written, cut, images):
    again = open_cache(written, teacher_of(), images).batches(8, epoch=0, seed=1)
    first = open_cache(written, cut, images).batches(8, epoch=0, seed=1)
    pairs = list(zip(again.as_numpy_iterator(), first.as_numpy_iterator(), strict=True))
    assert len(pairs) == COUNT // 8
    for maps, others in pairs:
        assert [one.tobytes() for one in maps] == [one.tobytes() for one in others]


def test_damaged_json_is_refused(copied, cut, images):
    manifest = copied / "manifest.json"
    content = manifest.read_text()
    for text, expected in (
        (content[:100], "not complete JSON"),
        (content.replace("feature_manifest", "ratings"), 'of kind "dna_tf.feature_manifest"'),
        (content.replace('"shapes"', '"sizes"'), "does not describe .*has no .*shapes"),
        (content.replace("float16", "float15"), "does not describe .*float15"),
    ):
        manifest.write_text(text)
        with pytest.raises(ValueError, match=f"{expected}.* Delete the folder"):
            open_cache(copied, cut, images)
    manifest.write_text(content)
    sidecar = json.loads(content) | {"kind": shard_files.SHARD_KIND, "images_per_shard": 8}
    (copied / "features-00000-of-00017.json").write_text(json.dumps(sidecar))
    with pytest.raises(ValueError, match="to another cache than the other files"):
        open_cache(copied, cut, images)
