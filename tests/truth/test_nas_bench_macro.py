"""Networks of NAS-Bench-Macro as ours: which they are, and that their costs are the table's."""

import itertools

import numpy as np
import pytest

from dna_tf.common import rank_correlation
from dna_tf.space import cost_tables, spaces
from dna_tf.truth import nas_bench_macro
from tests.helpers import public_tables

ROWS = np.array(list(itertools.product(range(3), repeat=8)))


def test_1176_of_6561_are_ours_and_are_the_whole_space():
    rows = ROWS[nas_bench_macro.expressible(ROWS)]
    space = nas_bench_macro.space()
    assert len(rows) == space.num_architectures() == 1176
    chosen = {nas_bench_macro.choices(row) for row in rows}
    assert len(chosen) == 1176
    assert nas_bench_macro.choices((2, 0, 1, 2, 0, 2, 1, 2)) == ((0, 1, 2), (1, 1, 5))
    assert nas_bench_macro.architecture(rows[-1]).name == "nbm_22222222"
    described = nas_bench_macro.architecture((1, 0, 1, 2, 0, 2, 1, 2)).describe()
    assert described == "64: k3e3 | 128: k3e3 k5e6 | 256: k5e6 k3e3 k5e6"


def by_formula(row):
    """Parameters and MACs of a row of ours, from the definition of the network."""
    params, macs, size, read = 3 * 9 * 32 + 64, 3 * 9 * 32 * 32**2, 32, 32
    stages = zip(np.split(np.asarray(row), [2, 5]), (64, 128, 256), strict=True)
    for ops, width in stages:
        for place, op in enumerate(op for op in ops if op):
            expand, kernel = ((3, 3), (6, 5))[op - 1]
            wide, before, size = read * expand, size, size // 2 if place == 0 else size
            kernels = read * wide, kernel**2 * wide, wide * width
            params += sum(kernels) + 2 * (wide + wide + width)
            macs += kernels[0] * before**2 + (kernels[1] + kernels[2]) * size**2
            read = width
    head = 256 * 1280
    return params + head + 2 * 1280 + 12_810, macs + head * size**2 + 12_800


def test_costs_are_those_of_the_formula():
    assert by_formula((1,) * 8) == (1_588_874, 53_246_464)
    for row in ROWS[nas_bench_macro.expressible(ROWS)][::13]:
        costs = nas_bench_macro.architecture(row).costs()
        assert (costs["params"], costs["macs"]) == by_formula(row)


@public_tables.needed
def test_costs_of_all_1176_are_those_of_the_table():
    table, rows = public_tables.ours()
    space = nas_bench_macro.space()
    counted = cost_tables.cost_table(space, nas_bench_macro.TASK)
    for row in rows:
        cells, paths = nas_bench_macro.choices(row)
        chosen = zip(cells, paths, strict=True)
        total = {name: counted.stem[name] for name in ("params", "macs")}
        width = space.frame.stem_output_width
        for b, (c, p) in enumerate(chosen):
            for name in total:
                total[name] += counted.paths[b, c, width][name][p]
            width = space.blocks[b].cells[c].width
        for name in total:
            assert total[name] + counted.heads[width][name] == table.values(name, row)
    costs = nas_bench_macro.architecture(rows[0]).costs()
    assert costs["macs"] == table.values("macs", rows[0])


def test_the_256_without_identities_are_a_space_with_one_cell_a_block():
    space, whole = nas_bench_macro.space(), nas_bench_macro.whole_space()
    assert whole.num_architectures() == 256
    assert [len(block.cells) for block in whole.blocks] == [1, 1, 1]
    rows = ROWS[(ROWS > 0).all(axis=1)]
    counted = [cost_tables.cost_table(each, nas_bench_macro.TASK) for each in (space, whole)]
    for row in rows[::17]:
        cells, paths = nas_bench_macro.choices(row)
        assert cells == (1, 2, 2)
        for block, path in enumerate(paths):
            assert spaces.path(space, block, cells[block], path) == spaces.path(
                whole, block, 0, path
            )
    assert counted[0].stem == counted[1].stem


def test_a_sum_over_stages_is_fitted_to_itself():
    rows = ROWS[nas_bench_macro.expressible(ROWS)]
    sums = rows @ np.array([8, 4, 9, 2, 1, 7, 3, 1]) + 5 * (rows[:, 0] * rows[:, 1] == 2)
    np.testing.assert_allclose(nas_bench_macro.stage_fit(rows, sums), sums, atol=1e-9)
    product = rows[:, 0] * rows[:, 2]
    assert np.abs(nas_bench_macro.stage_fit(rows, product) - product).max() > 0.1


@public_tables.needed
def test_what_a_perfect_rating_by_blocks_can_reach():
    table, rows = public_tables.ours()
    truth = table.values("acc_mean", rows)
    fitted = nas_bench_macro.stage_fit(rows, truth)
    assert round(rank_correlation.kendall_tau(fitted, truth), 3) == 0.814
    assert 1 - np.var(truth - fitted) / np.var(truth) == pytest.approx(0.854, abs=5e-4)


@pytest.mark.parametrize(
    "row", [(0, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 0, 1, 1, 1, 1), (1, 1, 1, 1, 1, 0, 0, 0)]
)
def test_others_are_refused(row):
    assert not nas_bench_macro.expressible([row])[0]
    with pytest.raises(ValueError, match="identities .0. last. Received"):
        nas_bench_macro.architecture(row)


@pytest.mark.parametrize("rows", [[(1,) * 7], [(1,) * 7 + (3,)], [(1.0,) * 8], (1,) * 8])
def test_what_is_no_row(rows):
    with pytest.raises(ValueError, match="Rows of nas_bench_macro have 8 ops from 0 to 2"):
        nas_bench_macro.expressible(rows)
