"""Lists of images: CSV files with paths and labels."""

import shutil

import numpy as np
import pytest

from dna_tf.data import list_source, loading, sources
from tests.helpers.data_files import data_config, picture, png


def written(folder, lines, first="path,label", images=6):
    """Writes images `0.png`, ... and a list of lines; returns the settings that open it."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        (folder / "photos" / f"{number}.png").write_bytes(png(picture(number, 9, 9)))
    (folder / "list.csv").write_text("\n".join([first, *lines]) + "\n")
    return data_config(source=f"list:{folder}/list.csv", image_size=9)


def test_images_come_in_the_order_of_the_list_with_its_labels(tmp_path):
    places = [5, 0, 3, 1]
    lines = [f"photos/{place}.png,{place % 2}" for place in places]
    for case in ([*lines], [f'"photos/{p}.png", {p % 2} ' for p in places]):
        source = sources.open_source(written(tmp_path, case, "\ufeffpath,label"))
        assert source.labels().tolist() == [1, 0, 1, 1] and source.class_names is None
        for (_, raw), place in zip(source.records(), places, strict=True):
            np.testing.assert_array_equal(source.decode(raw), picture(place, 9, 9))


def test_names_of_classes_are_numbered_in_their_order(tmp_path):
    lines = ["photos/0.png,wasp", "photos/1.png,ant", "photos/2.png,bee 2", "photos/3.png,ant"]
    source = sources.open_source(written(tmp_path, lines))
    assert source.class_names == ["ant", "bee 2", "wasp"]
    assert source.labels().tolist() == [2, 0, 1, 0]


def test_whole_paths_lead_to_other_folders(tmp_path):
    settings = written(tmp_path / "a", ["photos/0.png,0", f"{tmp_path}/b/1.png,1"])
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a/photos/4.png", tmp_path / "b/1.png")
    source = sources.open_source(settings)
    raws = [raw for _, raw in source.records()]
    for raw, number in zip(raws, (0, 4), strict=True):
        np.testing.assert_array_equal(source.decode(raw), picture(number, 9, 9))


def test_a_moved_list_has_its_fingerprint_and_other_labels_another(tmp_path):
    lines = [f"photos/{n}.png,{n % 2}" for n in range(6)]
    first = sources.open_source(written(tmp_path / "a", lines)).fingerprint()
    assert sources.open_source(written(tmp_path / "b", lines)).fingerprint() == first
    lines[3] = "photos/3.png,0"
    assert sources.open_source(written(tmp_path / "b", lines)).fingerprint() != first


def test_a_model_with_more_classes_than_there_are_answers(tmp_path):
    names = [f"{tmp_path}/photos/{n}.png" for n in range(12)]
    settings = written(tmp_path, [], images=12)
    list_source.write(tmp_path / "list.csv", names, np.array([0, 4] * 6))
    assert list_source.is_of_answers(settings.source)
    settings.update(num_classes=7, rating_fraction=0.25, test_fraction=0.25)
    images = loading.load(settings, 0)
    assert images.num_classes == 7 and images.counts == {"train": 7, "rating": 2, "test": 3}
    written(tmp_path, ["photos/0.png,0"])
    assert not list_source.is_of_answers(settings.source)
    assert not list_source.is_of_answers("digits")


@pytest.mark.parametrize(
    ("first", "lines", "message"),
    [
        ("path,label", [], r"has no images below its first line"),
        ("file,class", ["photos/0.png,1"], r"first line 'path,label'\. Received: .*'file,class'"),
        ("path,label", ["photos/0.png,1", "photos/1.png"], r"Line 3 of .*'photos/1\.png'"),
        ("path,label", ["photos/0.png,1", ",1"], r"Line 3 of .*',1'"),
        ("path,label", ["photos/0.png,ant", "photos/1.png,-1"], r"names in some .* as '-1'"),
        ("path,label", ["photos/0.png,0", "photos/0.png,1"], r"images twice: .*photos/0\.png"),
        ("path,label", ["photos/0.png,0", "photos/9.png,1"], r"1 of the 2 images .*photos/9\.png"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, first, lines, message):
    settings = written(tmp_path, lines, first)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        sources.open_source(settings)


def test_what_is_no_list_and_images_without_labels_are_named(tmp_path):
    for source in (f"list:{tmp_path}/none.csv", f"list:{tmp_path}"):
        with pytest.raises(FileNotFoundError, match="There is no list of images"):
            sources.open_source(data_config(source=source))
    with pytest.raises(ValueError, match=r"'images:photos' have no labels.*tools\.compress"):
        sources.open_source(data_config(source="images:photos"))
