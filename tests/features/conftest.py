"""Fixtures of the cache of features: a teacher, images, and their cache on disk."""

import shutil

import pytest

from dna_tf.features import cache_writer
from dna_tf.training import determinism
from tests.helpers.cached_features import COUNT, PER_SHARD, data_of, teacher_of


@pytest.fixture(scope="module")
def deterministic():
    """As all training runs: it changes what TensorFlow makes of a dataset."""
    determinism.enable(0)


@pytest.fixture(scope="module")
def cut():
    return teacher_of()


@pytest.fixture(scope="module")
def images():
    loaded = data_of()
    assert loaded.counts["train"] == COUNT
    return loaded


@pytest.fixture(scope="module")
def written(tmp_path_factory, cut, images):
    folder = tmp_path_factory.mktemp("written")
    cache_writer.write(folder, cut, images, images_per_shard=PER_SHARD, batch_size=8)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    """A copy of the cache, to be damaged."""
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"
