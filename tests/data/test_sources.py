"""The kinds of sources: what they read, and how bad files are refused."""

import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn import datasets

from dna_tf.data import source_base, sources
from tests.helpers.data_files import (
    data_config,
    example,
    picture,
    png,
    write_folder,
    write_records,
    write_tfds,
)

SHARED_DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
CIFAR10 = SHARED_DATA / "cifar10"


def read(source):
    pairs = list(source.images().as_numpy_iterator())
    return [image for image, _ in pairs], np.array([label for _, label in pairs])


def test_digits_scale_to_255_in_their_own_order():
    source = sources.open_source(data_config())
    digits = datasets.load_digits()
    pixels, labels = read(source)
    np.testing.assert_allclose(np.array(pixels)[..., 0], digits.images * 255 / 16, rtol=1e-6)
    np.testing.assert_array_equal(labels, digits.target)
    np.testing.assert_array_equal(source.labels(), digits.target)
    assert source.num_examples == 1797
    assert source.class_names == list("0123456789")
    assert sources.open_test_source(data_config(), source) is None


@pytest.mark.parametrize("num_files", [1, 3])
def test_tfrecord_labels_and_images_agree_in_order(tmp_path, num_files):
    for number in range(num_files):
        # Files of unequal length: reading several at once must not mix images and labels.
        numbers = range(number * 10, number * 10 + 4 + number)
        write_records(
            tmp_path / f"a-{number}.tfrecord",
            [example(image=png(picture(i)), label=i + 1) for i in numbers],
        )
    config = data_config(source=f"tfrecord:{tmp_path}/a-*.tfrecord", label_offset=1)
    source = sources.open_source(config)
    pixels, labels = read(source)
    assert labels.dtype == np.int64
    expected = [number * 10 + i for number in range(num_files) for i in range(4 + number)]
    assert sorted(labels) == expected
    for image, label in zip(pixels, labels, strict=True):
        np.testing.assert_array_equal(image, picture(label))
    wanted = np.array([1, 3])
    assert [int(index) for index, _ in source.records(wanted)] == [1, 3]


def test_tfrecord_fingerprint_sees_other_labels_in_files_of_one_size(tmp_path):
    config = data_config(source=f"tfrecord:{tmp_path}/a")
    fingerprints = set()
    for label in (1, 2):
        write_records(tmp_path / "a", [example(image=png(picture(0)), label=label)])
        fingerprints.add(sources.open_source(config).fingerprint())
    assert len(fingerprints) == 2


def test_tfds_reads_a_prepared_dataset(tmp_path):
    write_tfds(tmp_path, {"train": 4, "validation": 2})
    for name in ("tiny", "tiny/1.0.0"):
        config = data_config(source=f"tfds:{name}", tfds_data_dir=str(tmp_path))
        source = sources.open_source(config)
        pixels, labels = read(source)
        assert source.num_examples == 12
        assert source.class_names == ["ant", "bee", "cat"]
        np.testing.assert_array_equal(labels, np.arange(12) % 3)
        np.testing.assert_array_equal(pixels, [picture(i) for i in range(12)])
        test = sources.open_test_source(config, source)
        assert test.num_examples == 6
        assert test.fingerprint() != source.fingerprint()


def test_a_tfds_test_split_without_labels_is_passed_over(tmp_path):
    # As ImageNet's since 5.1.0: images whose labels were never published.
    write_tfds(tmp_path, {"train": 4, "test": 5, "validation": 2}, withheld=("test",))
    config = data_config(source="tfds:tiny", tfds_data_dir=str(tmp_path))
    test = sources.open_test_source(config, sources.open_source(config))
    assert test.num_examples == 6
    np.testing.assert_array_equal(test.labels(), np.arange(6) % 3)


@pytest.mark.skipif(not CIFAR10.exists(), reason="needs ../shared/data/cifar10")
def test_cifar10_test_files():
    source = sources.open_source(data_config(source=f"tfrecord:{CIFAR10}/cifar10-test*"))
    np.testing.assert_array_equal(np.bincount(source.labels()), [1000] * 10)
    image, label = next(source.images().as_numpy_iterator())
    assert image.shape == (32, 32, 3) and label == source.labels()[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "Did you mean 'digits'.*Received: 'digit'"),
        ("digits:8", "A source is one of"),
        ("folder:", "A source is one of"),
        ("tfrecords:a", "Did you mean 'tfrecord'"),
    ],
)
def test_bad_kind(spec, message):
    with pytest.raises(ValueError, match=message):
        sources.open_source(data_config(source=spec))


def test_test_source_must_have_the_same_classes(tmp_path):
    write_folder(tmp_path / "a", ["ant", "bee"], 2)
    write_folder(tmp_path / "b", ["ant", "cat"], 2)
    config = data_config(source=f"folder:{tmp_path}/a", test_source=f"folder:{tmp_path}/b")
    train = sources.open_source(config)
    with pytest.raises(ValueError, match=r"missing: \['bee'\]; unknown: \['cat'\]"):
        sources.open_test_source(config, train)
    config.test_source = config.source
    with pytest.raises(ValueError, match="hold images of the source"):
        sources.open_test_source(config, train)


def test_test_images_that_are_trained_on_are_refused_however_they_are_written(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "a", ["ant", "bee"], 2)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for name, number in (("train-0", 0), ("train-1", 1), ("test-0", 2)):
        records = [example(image=png(picture(number)), label=number)]
        write_records(tmp_path / name, records)
    folder = f"folder:{tmp_path}/a"
    for source, test_source, shared in (
        (folder, f"{folder}/", "/a"),
        (folder, f"folder:{tmp_path}/link", "/a"),
        ("folder:~/a", folder, "/a"),
        (f"tfrecord:{tmp_path}/t*", f"tfrecord:{tmp_path}/test*", "/test-0"),
        (f"tfrecord:{tmp_path}/train*", f"tfrecord:{tmp_path}/a/../train-1", "/train-1"),
    ):
        config = data_config(source=source, test_source=test_source)
        with pytest.raises(ValueError, match=f"that are trained on: {tmp_path}{shared}. Leave"):
            sources.open_test_source(config, sources.open_source(config))
    config.test_source = f"tfrecord:{tmp_path}/test*"
    assert sources.open_test_source(config, sources.open_source(config)).num_examples == 1


def copy_of(path, copy):
    """Copies a file or a folder and returns the source that reads the copy."""
    if path.is_dir():
        shutil.copytree(path, copy)
        return f"folder:{copy}"
    shutil.copy(path, copy)
    return f"tfrecord:{copy}"


def test_copies_of_the_training_images_are_no_test_images(tmp_path):
    write_folder(tmp_path / "a", ["ant", "bee"], 6)
    for number in (0, 1):
        records = [example(image=png(picture(i)), label=i) for i in range(number, 4)]
        write_records(tmp_path / f"train-{number}", records)
    copied = copy_of(tmp_path / "a", tmp_path / "b")
    # Half of the images are other images of the same size, under the same names.
    half = copy_of(tmp_path / "a", tmp_path / "half")
    for path in sorted((tmp_path / "half").glob("*/*"))[::2]:
        path.write_bytes(path.read_bytes()[:-9] + b"another a")
    tf_copy = copy_of(tmp_path / "train-1", tmp_path / "held-out")
    for source, test_source, place in (
        (f"folder:{tmp_path}/a", copied, "/b/ant/000.png"),
        (f"folder:{tmp_path}/a", half, "/half/ant/001.png"),
        (f"tfrecord:{tmp_path}/train-*", tf_copy, "/held-out"),
    ):
        config = data_config(source=source, test_source=test_source)
        with pytest.raises(ValueError, match=f"that are trained on: {tmp_path}{place}"):
            sources.open_test_source(config, sources.open_source(config))
    for path in (tmp_path / "half").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-9] + b"another a")
    config = data_config(source=f"folder:{tmp_path}/a", test_source=half)
    assert sources.open_test_source(config, sources.open_source(config)).num_examples == 12


def test_bad_tfrecord_files(tmp_path):
    good = example(image=png(picture(0)), label=0)
    write_records(tmp_path / "good", [good])
    write_records(tmp_path / "none", [])
    (tmp_path / "text").write_text("this is no TFRecord file, but a text that is long enough")
    write_records(tmp_path / "junk", [b"this is no example"])

    def opens(name, **changes):
        return sources.open_source(data_config(source=f"tfrecord:{tmp_path}/{name}", **changes))

    with pytest.raises(FileNotFoundError, match="No file matches.*Did you mean 'good'"):
        opens("goood")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        opens("elsewhere/a*")
    with pytest.raises(ValueError, match="none holds no record"):
        opens("none")
    for name in ("text", "junk"):
        with pytest.raises(ValueError, match=f"Expected a TFRecord file .*{name}"):
            opens(name)
    with pytest.raises(ValueError, match=r"no feature 'pixels'. Set image_feature .*\['image', 'l"):
        opens("good", image_feature="pixels")
    with pytest.raises(ValueError, match="no feature 'labels'. Did you mean 'label'. Set label_fe"):
        opens("good", label_feature="labels")
    with pytest.raises(ValueError, match="to be of kind bytes_list. Received: int64_list"):
        opens("good", image_feature="label")


def test_bad_records_are_named_by_file_and_number(tmp_path):
    good = [example(image=png(picture(i)), label=i) for i in range(4)]
    write_records(tmp_path / "a", good)
    source = sources.open_source(data_config(source=f"tfrecord:{tmp_path}/*"))

    write_records(tmp_path / "b", [*good[:2], example(image=b"no image", label=1)])
    broken = sources.open_source(data_config(source=f"tfrecord:{tmp_path}/*"))
    with pytest.raises(ValueError, match="record 2 .counted from 0. of .*/b. Expected"):
        with source_base.naming_broken_images(broken):
            list(broken.images())

    write_records(tmp_path / "b", [*good[:3], example(image=png(picture(0)))])
    with pytest.raises(ValueError, match="Record 3 .counted from 0. of .*/b has not exactly one"):
        sources.open_source(data_config(source=f"tfrecord:{tmp_path}/*")).labels()

    os.remove(tmp_path / "b")
    assert source.num_examples == 4
    contents = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(contents[:-20])
    with pytest.raises(ValueError, match="/a, which is damaged or cut off"):
        with source_base.naming_broken_images(source):
            list(source.images())
    with pytest.raises(ValueError, match="/a is no TFRecord file, or .* after 3 good records"):
        sources.open_source(data_config(source=f"tfrecord:{tmp_path}/a")).labels()


def test_bad_tfds(tmp_path, monkeypatch):
    write_tfds(tmp_path, {"train": 2}, image_key="picture")
    config = data_config(source="tfds:tiny", tfds_data_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"features 'image' and 'label'. .*\['label', 'picture'\]"):
        sources.open_source(config)
    # Nothing is downloaded to look at the features.
    prepared = []

    def prepare(self):
        prepared.append(self.name)

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", prepare)
    config.source = "tfds:coco/2017"
    with pytest.raises(ValueError, match=r"'label'. Received: tfds:coco/2017 with .*'objects'"):
        sources.open_source(config)
    assert prepared == []
    config.source = "tfds:tinny"
    with pytest.raises(ValueError, match="TFDS has no dataset 'tinny'.*Did you mean 'tiny'"):
        sources.open_source(config)


def test_a_tfds_dataset_that_cannot_be_prepared_says_what_to_do(tmp_path, monkeypatch):
    # The paper's own data: its tar files must be fetched by hand, which TFDS only asserts.
    def prepare(self):
        raise AssertionError("Manual directory /x does not exist or is empty. Create it\nfor ...")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", prepare)
    config = data_config(source="tfds:imagenet2012", tfds_data_dir=str(tmp_path))
    expected = r"cannot prepare 'imagenet2012': Manual dir.* Create it Provide .*tfds_data_dir to"
    with pytest.raises(ValueError, match=expected):
        sources.open_source(config)
