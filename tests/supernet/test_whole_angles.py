"""Angles of whole networks from sums against vectors that are put together."""

import itertools

import numpy as np
import pytest

from dna_tf.space import angle_sums, presets
from dna_tf.supernet import cell_angles, whole_angles, whole_files, whole_network
from tests.helpers.small_whole import SPACE, TASK

SEED = 3


def _trained(change=0.3, seed=SEED):
    rng = np.random.default_rng(0)
    first = whole_network.first_rows(SPACE, TASK, seed)
    moved = [rows + change * rng.normal(size=rows.shape).astype(np.float32) for rows in first]
    return whole_files.TrainedWhole(SPACE, TASK, seed, tuple(moved), {})


def _vector(rows, path, parts):
    """All weights of a network that count, put together by name."""
    units, classifier = whole_network.network_units(SPACE, TASK)
    ops = [0, 0, *path, 0, 0]
    pieces = []
    for specs, op, array in zip([*units, [classifier]], ops, rows, strict=True):
        start = 0
        for name, shape in specs[op].weights().items():
            stop = start + int(np.prod(shape))
            kernel = name.endswith("kernel") and not name.startswith("se_")
            norm = name.endswith(("gamma", "beta")) and not name.startswith("project")
            if parts == "all" or kernel or (parts == "rlnas" and norm):
                pieces.append(array[op, start:stop].astype(np.float64))
            start = stop
    return np.concatenate(pieces)


@pytest.mark.parametrize("parts", angle_sums.PARTS)
def test_sums_give_the_angles_of_the_vectors_of_whole_networks(parts):
    trained = _trained()
    first = whole_network.first_rows(SPACE, TASK, SEED)
    fresh = whole_network.first_rows(SPACE, TASK, SEED + 1)
    computed = whole_angles.whole_angles(trained, parts)
    networks = angle_sums.all_networks(SPACE)
    paths = list(itertools.product(range(3), repeat=3))
    for variant, weights in ((angle_sums.TRAINED, trained.weights), (angle_sums.FRESH, fresh)):
        cosines = angle_sums.of_cells(computed, variant).cosines(*networks)
        expected = []
        for path in paths:
            old, new = _vector(first, path, parts), _vector(weights, path, parts)
            expected.append(old @ new / np.linalg.norm(old) / np.linalg.norm(new))
        np.testing.assert_allclose(cosines, expected, rtol=1e-12)
    # The shapes alone: ops turned by 90 degrees, the rest not at all.
    shapes = angle_sums.of_cells(computed, angle_sums.STRUCTURE)
    dot, norm, _ = shapes.totals(*networks)
    assert (dot < norm).all() and len(set(dot.tolist())) == 1
    distances = [np.linalg.norm(_vector(first, p, parts)) ** 2 for p in paths]
    np.testing.assert_allclose(norm, distances, rtol=0.2)  # in expectation
    moved = angle_sums.of_cells(computed, angle_sums.NOISE).cosines(*networks)
    assert not np.array_equal(moved, angle_sums.of_cells(computed).cosines(*networks))


def test_what_was_not_trained_has_no_angle():
    with pytest.raises(cell_angles.NotTrained, match="first weights of seed 3: nothing has been"):
        whole_angles.whole_angles(_trained(change=0.0))
    other = whole_files.TrainedWhole(SPACE, TASK, 9, _trained(0.01).weights, {})
    with pytest.raises(ValueError, match="nothing in common with the first weights of seed 9"):
        whole_angles.whole_angles(other)


def test_a_folder_keeps_the_network_and_refuses_what_does_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="Train it first"):
        whole_files.load(tmp_path, SPACE)
    trained = _trained()
    whole_files.save(trained, tmp_path)
    again = whole_files.load(tmp_path, SPACE)
    assert again.fingerprint == trained.fingerprint and (again.seed, again.task) == (SEED, TASK)
    for rows, array in zip(again.build().rows, trained.weights, strict=True):
        assert rows.numpy().tobytes() == array.tobytes()
    with pytest.raises(ValueError, match="belongs to the space 'tiny_whole'"):
        whole_files.load(tmp_path, presets.get_space("digits_single"))
    other = whole_files.TrainedWhole(SPACE, TASK, SEED, _trained(0.5).weights, {})
    whole_files.save(other, tmp_path / "other")
    (tmp_path / "other" / "weights.npz").replace(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match="are not those that result.json beside it describes"):
        whole_files.load(tmp_path, SPACE)
