"""The images of each split, drawn by hashing."""

import hashlib
import pathlib

import numpy as np
import pytest

from dna_tf.data import (
    held_out,
    labelled_images,
    loading,
    sources,
)
from tests.helpers.data_files import (
    data_config,
    write_folder,
)

SHARED_DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
IMAGENET = SHARED_DATA / "imagenet_sample"


def split_indices(loaded):
    return {name: loaded.indices(name) for name in labelled_images.SPLITS}


def test_draw_takes_the_first_by_hash():
    labels = np.array([0, 1, 0, 0, 1, 0])
    drawn, rest = held_out.draw(labels, np.array([0, 1, 2, 4, 5]), [2, 1], seed=7)

    def first(label, members, count):
        order = sorted(members, key=lambda i: hashlib.sha256(f"7,{label},{i}".encode()).digest())
        return order[:count]

    assert drawn.tolist() == sorted(first(0, [0, 2, 5], 2) + first(1, [1, 4], 1))
    assert sorted([*drawn, *rest]) == [0, 1, 2, 4, 5]


def test_a_fraction_is_drawn_whatever_the_class(tmp_path):
    write_folder(tmp_path / "one", [f"class{number:02}" for number in range(40)], 1)
    config = data_config(source=f"folder:{tmp_path}/one", image_size=8, test_fraction=0.26)
    with pytest.raises(ValueError, match="at least 21 training images .* or set rating_fraction"):
        loading.load(config, seed=7)
    config.rating_fraction = 0.1
    loaded = loading.load(config, seed=7)
    assert loaded.counts == {"train": 27, "rating": 3, "test": 10}
    indices = split_indices(loaded)
    order = sorted(range(40), key=lambda i: hashlib.sha256(f"7,{i}".encode()).digest())
    assert indices["test"].tolist() == sorted(order[:10])
    assert indices["rating"].tolist() == sorted(order[10:13])
    assert indices["train"].tolist() == sorted(order[13:])
    assert loaded.num_classes == 40
    np.testing.assert_array_equal(loaded.arrays("rating")[1], sorted(order[10:13]))
    other = split_indices(loading.load(config, seed=8))
    assert not np.array_equal(other["rating"], indices["rating"])
    config.rating_per_class = 3  # is not used then
    assert loading.load(config, seed=7).fingerprint == loaded.fingerprint
    config.rating_fraction = 0.2
    assert loading.load(config, seed=7).fingerprint != loaded.fingerprint


def test_a_fraction_beside_test_images_of_their_own(tmp_path):
    write_folder(tmp_path / "train", ["ant", "bee"], 4)
    write_folder(tmp_path / "test", ["ant", "bee"], 1, first=90)
    config = data_config(source=f"folder:{tmp_path}", image_size=5, rating_fraction=0.01)
    loaded = loading.load(config, seed=0)
    assert loaded.counts == {"train": 7, "rating": 1, "test": 2}


@pytest.mark.parametrize(
    ("fraction", "test_fraction", "message"),
    [
        (0.99, 0.2, r"of 4 images none is left for train at rating_fraction=0.99 and test_frac"),
        (0.5, 0.9, r"none is left for train and rating at rating_fraction=0.5 and .*=0.9\. Add"),
        (1.0, 0.2, r"rating_fraction must be above 0 and below 1, .* Received: 1.0"),
        (-0.1, 0.2, r"Received: -0.1"),
    ],
)
def test_bad_fractions(tmp_path, fraction, test_fraction, message):
    write_folder(tmp_path, ["ant", "bee"], 2)
    config = data_config(source=f"folder:{tmp_path}", rating_fraction=fraction)
    config.test_fraction = test_fraction
    with pytest.raises(ValueError, match=message):
        loading.load(config, seed=0)


@pytest.mark.skipif(not IMAGENET.exists(), reason="needs ../shared/data/imagenet_sample")
def test_a_sample_of_one_image_a_class():
    config = data_config(source=f"folder:{IMAGENET}", rating_fraction=0.1, test_fraction=0.2)
    source = sources.open_source(config)
    labels = source.labels()
    drawn = held_out.draw_all(labels, None, source.class_names, config, seed=0)
    assert {name: len(indices) for name, indices in drawn.items()} == {
        "train": 720,
        "rating": 80,
        "test": 200,
    }
