"""Angle sums: files that come back or are refused, and the listing and drawing of networks."""

import itertools
import json

import numpy as np
import pytest

from dna_tf.space import angle_sums, presets
from tests.helpers.small_cells import SPACE


def cell_angle(seed=0):
    """Sums of block 2, cell 2 of the small space, as weights could have them."""
    rng = np.random.default_rng(seed)
    sums = {}
    for variant in angle_sums.VARIANTS:
        first, trained = rng.normal(size=(2, 2, 4, 9))
        triples = [(first * trained).sum(-1), (first**2).sum(-1), (trained**2).sum(-1)]
        sums[variant] = list(np.stack(triples, axis=-1))
    return angle_sums.CellAngle("rlnas", sums)


def test_path_sums_are_in_the_order_of_the_paths():
    angle = cell_angle()
    for variant in angle_sums.VARIANTS:
        units = angle.sums[variant]
        expected = [units[0][i] + units[1][j] for i, j in SPACE.paths(1, 1)]
        np.testing.assert_array_equal(angle.path_sums(variant).T, expected)


def test_a_file_comes_back_to_the_bit(tmp_path):
    path = tmp_path / "cell.json"
    angle_sums.save(path, SPACE, 1, 1, cell_angle(), "of this")
    again, made_from = angle_sums.read(path, SPACE, 1, 1)
    assert made_from == "of this" and again.parts == "rlnas"
    for variant in angle_sums.VARIANTS:
        expected = cell_angle().path_sums(variant)
        np.testing.assert_array_equal(again.path_sums(variant), expected)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cell": "block1_cell1"}, "Expected angles of block2_cell2"),
        ({"version": 2}, "version 1"),
        ({"parts": "some"}, "choice of weights 'some'"),
        ({"sums": {}}, "missing 'trained'"),
        ({"sums": {name: [[[1, 2]]] for name in angle_sums.VARIANTS}}, "list of 3 values"),
        ({"sums": {name: [[[1, 2, 3]]] for name in angle_sums.VARIANTS}}, r"shape \(3, 16\)"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_a_file_of_something_else_is_refused(change, text, tmp_path):
    path = tmp_path / "cell.json"
    angle_sums.save(path, SPACE, 1, 1, cell_angle(), "of this")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=rf"(?s)cell.json cannot be used.*{text}.*Delete it"):
        angle_sums.read(path, SPACE, 1, 1)


def test_all_networks_are_listed_in_order():
    cells, paths = angle_sums.all_networks(SPACE)
    choices = [
        [(c, p) for c in range(len(block.cells)) for p in range(SPACE.num_paths(b, c))]
        for b, block in enumerate(SPACE.blocks)
    ]
    expected = [list(zip(*chosen, strict=True)) for chosen in itertools.product(*choices)]
    assert len(cells) == SPACE.num_architectures() == 16 * (4 + 16)
    assert np.stack([cells, paths], axis=1).tolist() == np.array(expected).tolist()
    with pytest.raises(ValueError, match="too many to list"):
        angle_sums.all_networks(presets.get_space("dna"))


def test_drawn_networks_differ_and_are_as_likely_as_each_other():
    cells, paths = angle_sums.draw_networks(SPACE, 1000, 3)
    assert len(cells) == 320  # there are no more
    space = presets.get_space("dna")
    cells, paths = angle_sums.draw_networks(space, 2000, 3)
    again = angle_sums.draw_networks(space, 2000, 3)
    assert (again[0] == cells).all() and (again[1] == paths).all()
    assert len(np.unique(np.hstack([cells, paths]), axis=0)) == 2000
    sizes = np.array([space.num_paths(1, c) for c in range(len(space.blocks[1].cells))])
    counts = np.bincount(cells[:, 1], minlength=len(sizes))
    share = sizes / sizes.sum()
    assert (np.abs(counts - 2000 * share) <= 4 * np.sqrt(2000 * share * (1 - share)) + 1).all()


def test_cosines_of_chosen_networks_are_those_of_their_sums():
    angle = cell_angle()
    first = cell_angle(1)
    other = angle_sums.CellAngle("rlnas", {"trained": [u[:, :] for u in first.sums["trained"]]})
    short = angle_sums.CellAngle("rlnas", {"trained": angle.sums["trained"][:1]})
    sums = angle_sums.of_cells({(0, 0): other, (1, 0): short, (1, 1): angle})
    cells, paths = angle_sums.all_networks(SPACE)
    for row in (0, 5, 19, 20, 319):
        total = other.path_sums()[:, paths[row, 0]]
        total = total + (short, angle)[cells[row, 1]].path_sums()[:, paths[row, 1]]
        expected = total[0] / np.sqrt(total[1] * total[2])
        assert sums.cosines(cells, paths)[row] == pytest.approx(expected, rel=1e-14)
