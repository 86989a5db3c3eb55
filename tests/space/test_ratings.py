"""Rating files: round trips to the bit, partly rated cells, stale files; and their summaries."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from dna_tf.space import ratings, spaces
from dna_tf.space.spaces import Block, Cell, Op, SearchSpace
from tests.helpers import rated_runs

SPACE = SearchSpace(
    "small",
    (Op(3, 6), Op(5, 3)),
    (Block(2, (Cell(1, 8), Cell(3, 4))), Block(1, (Cell(2, 8),))),
)
THREE_OPS = SearchSpace("two", (Op(3, 2), Op(5, 1), Op(3, 1)), (Block(1, (Cell(2, 4),)),))


def _save_all(folder):
    rng = np.random.default_rng(0)
    by_cell = {}
    for b, c, _ in SPACE.cells():
        by_cell[b, c] = rng.random(SPACE.num_paths(b, c)) / 3
        ratings.save(
            folder / f"{spaces.cell_name(b, c)}.json",
            SPACE,
            b,
            c,
            rated_runs.rated_cell(by_cell[b, c]),
            "abc",
        )
    return by_cell


def test_load_all_gives_back_every_bit(tmp_path):
    by_cell = _save_all(tmp_path)
    loaded = ratings.load_all(tmp_path, SPACE)
    assert list(loaded) == [(0, 0), (0, 1), (1, 0)]
    for key, values in by_cell.items():
        assert loaded[key].dtype == np.float64
        np.testing.assert_array_equal(loaded[key], values)
    assert list(ratings.load_all(str(tmp_path), SPACE)) == list(loaded)


def test_cell_names_count_from_one():
    assert spaces.cell_name(0, 0) == "block1_cell1"
    assert spaces.cell_name(5, 2) == "block6_cell3"


def test_a_part_is_loaded_alone_and_refused_in_all(tmp_path):
    by_cell = _save_all(tmp_path)
    path = tmp_path / "block1_cell2.json"
    ratings.save(path, SPACE, 0, 1, rated_runs.rated_cell(by_cell[0, 1][:3]), "abc")
    np.testing.assert_array_equal(ratings.load(path, SPACE, 0, 1, "abc"), by_cell[0, 1][:3])
    with pytest.raises(ValueError, match=r"block1_cell2 has 3 of 8 paths rated.*Rate again"):
        ratings.load_all(tmp_path, SPACE)
    ratings.save(path, SPACE, 0, 1, rated_runs.rated_cell([]), "abc")
    assert ratings.load(path, SPACE, 0, 1).shape == (0,)


def test_load_all_of_a_folder_that_lacks_a_cell(tmp_path):
    _save_all(tmp_path)
    (tmp_path / "block2_cell1.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"block2_cell1\.json.*Rate the cells"):
        ratings.load_all(tmp_path, SPACE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_diverged_supernet_is_named_and_nothing_is_written(tmp_path, bad):
    path = tmp_path / "block1_cell1.json"
    with pytest.raises(ValueError, match=r"block1_cell1 has ratings .* diverged\. Train it with"):
        ratings.save(path, SPACE, 0, 0, rated_runs.rated_cell([0.5, bad]), "abc")
    assert not path.exists()


def test_stale_and_foreign_ratings_are_refused(tmp_path):
    _save_all(tmp_path)
    path = tmp_path / "block1_cell2.json"
    with pytest.raises(ValueError, match=r"are stale: .*Delete the folder of ratings and rate"):
        ratings.load(path, SPACE, 0, 1, "abd")
    with pytest.raises(ValueError, match="ratings of block2_cell1, version 2.*'block1_cell2'"):
        ratings.load(path, SPACE, 1, 0)
    for other in (
        dataclasses.replace(SPACE, ops=SPACE.ops[::-1]),
        dataclasses.replace(SPACE, frame=dataclasses.replace(SPACE.frame, se_ratio=0)),
    ):
        with pytest.raises(ValueError, match="belong to another search space"):
            ratings.load(path, other, 0, 1)


def _columns(means, spreads=None):
    columns = {"mean": means, "spread": means if spreads is None else spreads}
    return {"metrics": {"relative_l1": columns}}


def test_all_metrics_and_spreads_come_back(tmp_path):
    path, rng = tmp_path / "block1_cell2.json", np.random.default_rng(3)
    metrics = {name: rng.random((2, 8)) / 3 for name in ratings.METRICS}
    ratings.save(path, SPACE, 0, 1, ratings.RatedCell(metrics, 7), "abc")
    rated = ratings.load_cell(path, SPACE, 0, 1, "abc")
    assert rated.batches == 7 and len(rated) == 8
    for name, values in metrics.items():
        np.testing.assert_array_equal(rated.metrics[name], values)
        np.testing.assert_array_equal(ratings.load(path, SPACE, 0, 1, metric=name), values[0])
    with pytest.raises(ValueError, match="no metric 'nsr'.*They have .*'noise_to_signal'"):
        ratings.load(path, SPACE, 0, 1, metric="nsr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "version=1"),
        ({"cell": None}, "cell=None"),
        ({"kind": "dna_tf.architecture"}, "of kind"),
        ({"space": {}}, "another search space"),
        ({"metrics": None}, r"ratings in .* are not lists of one length"),
        ({"metrics": {}}, "are not lists of one length"),
        (_columns({"0": 1}), "are not lists of numbers"),
        (_columns([0.1, None]), "are not lists of numbers"),
        (_columns([0.1, "a"]), "are not lists of numbers"),
        (_columns([0.1, True]), "are not lists of numbers"),
        (_columns([[0.1], [0.2]]), "are not lists of numbers"),
        (_columns([0.1] * 9), r"has 9 ratings, and block1_cell2 of the space has 8 paths"),
        (_columns([0.1], [0.1, 0.2]), "are not lists of one length"),
        ({"metrics": {"relative_l1": {"mean": [0.1]}}}, "are not lists of numbers"),
        ({"metrics": {"mse": _columns([0.1])["metrics"]["relative_l1"]}}, "'relative_l1'.*'mse'"),
    ],
)
def test_changed_files_are_refused(tmp_path, change, message):
    _save_all(tmp_path)
    path = tmp_path / "block1_cell2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        ratings.load(path, SPACE, 0, 1)


def test_a_truncated_file_is_refused(tmp_path):
    _save_all(tmp_path)
    path = tmp_path / "block1_cell2.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="not complete JSON"):
        ratings.load(path, SPACE, 0, 1)


def test_effects_are_means_over_the_paths_with_the_op():
    means = np.random.default_rng(0).random(9)
    summary = ratings.summarize(means, means / 10, 4, 3, {"macs": np.arange(9)})
    paths = list(itertools.product(range(3), repeat=2))
    for layer, op in itertools.product(range(2), range(3)):
        of_op = [mean for mean, path in zip(means, paths, strict=True) if path[layer] == op]
        assert summary.effects[layer, op] == pytest.approx(np.mean(of_op) - means.mean())
    assert (summary.best, summary.worst) == (int(np.argmin(means)), int(np.argmax(means)))
    assert summary.noise == pytest.approx(np.median(means) / 10 / 2)
    assert np.isnan(ratings.summarize(means, means, 0, 3, {}).noise)


def test_an_additive_rating_has_its_parts_as_effects():
    parts = np.array([[0.3, -0.1, -0.2], [0.05, 0.0, -0.05]])
    means = (2.0 + parts[0][:, None] + parts[1][None, :]).ravel()
    np.testing.assert_allclose(ratings.summarize(means, means, 2, 3, {}).effects, parts, atol=1e-12)


def test_lines_name_paths_and_ops():
    means = np.arange(9.0)
    summary = ratings.summarize(means, means, 2, 3, {"macs": -means})
    text = "\n".join(ratings.lines("block1_cell1", summary, THREE_OPS, 0, 0))
    assert "block1_cell1: 9 paths, mean 4.0000" in text
    assert "macs -1.00" in text
    assert "best:  k3e2 k3e2" in text and "worst: k3e1 k3e1" in text
    assert "layer 1, effect of each op: k3e2 -3.0000  k5e1 +0.0000  k3e1 +3.0000" in text
