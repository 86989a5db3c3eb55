"""Folders of classes: which files they read, how splits are found, and what is said of the rest."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from dna_tf.data import image_files, source_base, sources
from tests.helpers.data_files import data_config, picture, png, write_folder


def read(source):
    pairs = list(source.images().as_numpy_iterator())
    return [image for image, _ in pairs], np.array([label for _, label in pairs])


def test_folder_reads_sorted_classes_and_its_own_test_split(tmp_path):
    train = write_folder(tmp_path / "train", ["cat", "ant"], 3)
    test = write_folder(tmp_path / "val", ["cat", "ant"], 2, first=50)
    (tmp_path / "train" / "ant" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "ant" / "._000.png").write_text("no image either")
    config = data_config(source=f"folder:{tmp_path}")
    source = sources.open_source(config)
    source.check()
    assert source.class_names == ["ant", "cat"]
    pixels, labels = read(source)
    np.testing.assert_array_equal(pixels, train)
    np.testing.assert_array_equal(labels, [0, 0, 0, 1, 1, 1])
    pixels, labels = read(sources.open_test_source(config, source))
    np.testing.assert_array_equal(pixels, test)
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])


def test_folder_random_access_gives_the_requested_order(tmp_path):
    written = write_folder(tmp_path, ["ant", "cat"], 3)
    source = sources.open_source(data_config(source=f"folder:{tmp_path}"))
    got = [
        (int(index), source.decode(raw).numpy())
        for index, raw in source.records(np.array([5, 0, 3]))
    ]
    assert [index for index, _ in got] == [5, 0, 3]
    np.testing.assert_array_equal([image for _, image in got], written[[5, 0, 3]])


def test_a_class_may_be_called_train(tmp_path):
    write_folder(tmp_path, ["plane", "train"], 2)
    config = data_config(source=f"folder:{tmp_path}")
    source = sources.open_source(config)
    assert source.class_names == ["plane", "train"]
    assert sources.open_test_source(config, source) is None


def test_folder_fingerprint_follows_the_content(tmp_path):
    write_folder(tmp_path, ["ant", "cat"], 3)
    config = data_config(source=f"folder:{tmp_path}")
    before = sources.open_source(config).fingerprint()
    assert sources.open_source(config).fingerprint() == before
    (tmp_path / "cat" / "000.png").write_bytes(png(picture(99, 9, 9)))
    assert sources.open_source(config).fingerprint() != before


def test_unreadable_images_of_a_folder_are_named(tmp_path, monkeypatch):
    write_folder(tmp_path, ["ant", "cat"], 4)
    whole = tf.io.encode_jpeg(picture(0, 40, 40)).numpy()
    (tmp_path / "ant" / "001.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cat" / "z.png").write_bytes(b"not an image")
    source = sources.open_source(data_config(source=f"folder:{tmp_path}"))
    with pytest.raises(ValueError, match="Cannot decode .*ant/001.jpg, .*cat/z.png. Expected"):
        source.check()
    monkeypatch.setattr(image_files, "MOST_CHECKED", 3)
    source.check()
    with pytest.raises(ValueError, match="Cannot decode [^,]*ant/001.jpg. Expected"):
        with source_base.naming_broken_images(source):
            list(source.images())


def test_bad_folders(tmp_path):
    write_folder(tmp_path / "flowers", ["ant"], 1)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "a.png").write_bytes(png(picture(0)))

    def opens(name):
        return sources.open_source(data_config(source=f"folder:{tmp_path / name}"))

    with pytest.raises(FileNotFoundError, match="There is no folder.*Did you mean 'flowers'"):
        opens("flower")
    with pytest.raises(ValueError, match="empty/cat holds no images"):
        opens("empty")
    with pytest.raises(ValueError, match="no class folders.*a.png"):
        opens("flat")


def test_all_formats_and_folders_below_a_class_are_read_and_the_rest_is_counted(tmp_path, capsys):
    write_folder(tmp_path, ["ant", "bee"], 1)
    for name in ("ant", "bee"):
        (tmp_path / name / "camera2" / "day1").mkdir(parents=True)
        picture_of = PIL.Image.fromarray(picture(7, 9, 9))
        for ending in ("JPG", "jfif", "webp", "gif", "bmp"):
            picture_of.save(tmp_path / name / f"a.{ending}", "JPEG" if ending == "jfif" else None)
        picture_of.save(tmp_path / name / "camera2" / "day1" / "000.png")
        picture_of.save(tmp_path / name / "b.tif")
        (tmp_path / name / "camera2" / "c.avif").write_bytes(b"x")
        (tmp_path / name / "README").write_text("x")
        (tmp_path / name / "camera2" / "up").symlink_to(tmp_path / name)
    (tmp_path / "loose.png").write_bytes(png(picture(0)))
    config = data_config(source=f"folder:{tmp_path}")
    source = sources.open_source(config)
    source.check()
    names = [source.place(i).removeprefix(f"{tmp_path}/") for i in range(source.num_examples)]
    endings = ["000.png", "a.JPG", "a.bmp", "a.gif", "a.jfif", "a.webp", "camera2/day1/000.png"]
    assert names == [f"{name}/{ending}" for name in ("ant", "bee") for ending in endings]
    _, labels = read(source)
    assert labels.tolist() == [0] * 7 + [1] * 7
    sources.open_source(config)
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(said) == 1
    assert "6 files do not end in one of" in said[0]
    assert "Not read: 2 .avif, 2 .tif, 2 without an ending" in said[0]
    assert "1 images beside the folders" in said[0]


@pytest.mark.parametrize("names", [("Train", "Test"), ("TRAINING", "Val"), ("train", "Validation")])
def test_splits_are_found_whatever_the_case_of_their_names(tmp_path, names):
    write_folder(tmp_path / names[0], ["ant", "bee"], 3)
    write_folder(tmp_path / names[1], ["ant", "bee"], 2, first=40)
    config = data_config(source=f"folder:{tmp_path}")
    train = sources.open_source(config)
    assert (train.num_examples, train.class_names) == (6, ["ant", "bee"])
    assert sources.open_test_source(config, train).num_examples == 4


def test_what_looks_like_a_split_is_no_class(tmp_path):
    write_folder(tmp_path / "trainset", ["ant", "bee"], 1)
    write_folder(tmp_path / "test_images", ["ant", "bee"], 1)
    with pytest.raises(ValueError, match="test_images looks like a split and not like a class"):
        sources.open_source(data_config(source=f"folder:{tmp_path}"))
    for name in ("Train", "TRAIN"):
        write_folder(tmp_path / "two" / name, ["ant", "bee"], 1)
    with pytest.raises(ValueError, match=r"several folders for the split 'train': \['TRAIN', 'Tr"):
        sources.open_source(data_config(source=f"folder:{tmp_path}/two"))
    # A class with such a name has images of its own.
    write_folder(tmp_path / "toys", ["plane", "test"], 2)
    source = sources.open_source(data_config(source=f"folder:{tmp_path}/toys"))
    assert source.class_names == ["plane", "test"]


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path, monkeypatch):
    for name in ("one", "two", "other"):
        write_folder(tmp_path / name, ["ant", "bee"], 3)
    path = tmp_path / "other" / "bee" / "000.png"
    path.write_bytes(path.read_bytes()[:-9] + b"different")  # of the same size
    for most in (image_files.MOST_CHECKED, 2):
        monkeypatch.setattr(image_files, "MOST_CHECKED", most)
        one, two, other = (
            sources.open_source(data_config(source=f"folder:{tmp_path}/{name}"))
            for name in ("one", "two", "other")
        )
        assert one.fingerprint() == two.fingerprint() != other.fingerprint()
        assert one.former_fingerprint() != two.former_fingerprint()


def test_the_reason_of_a_broken_image_is_given(tmp_path):
    write_folder(tmp_path, ["ant", "bee"], 2)
    values = np.arange(36, dtype=np.uint16).reshape(6, 6) * 16
    PIL.Image.fromarray(values).save(tmp_path / "bee" / "001.png")
    source = sources.open_source(data_config(source=f"folder:{tmp_path}"))
    with pytest.raises(ValueError, match="decode .*bee/001.png. .*16-bit PNG .*nearly black"):
        source.check()
