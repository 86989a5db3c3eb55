"""The networks of largest angle against brute force, and two examples worked out by hand."""

import collections

import numpy as np
import pytest

from dna_tf.search import angle_search, exact, finding
from dna_tf.space import angle_sums, tasks
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace
from tests.helpers import search_cases

TWO = SearchSpace(
    "two", (Op(3, 1), Op(5, 1)), (Block(1, (Cell(1, 4),)), Block(1, (Cell(1, 4),))), Frame(4, 2, 3)
)


def _triples(rng, count, kind):
    """Random D, N0 and N of paths, `(3, count)`, as real weights could have them."""
    size = int(rng.integers(2, 6))
    first = rng.normal(size=(count, size)) * rng.uniform(0.1, 2, (count, 1))
    turned = rng.normal(size=(count, size))
    if kind == "trained":  # moved by less than their length
        turned = first + 0.7 * turned * np.abs(first)
    elif kind == "against":  # most angles are above 90 degrees
        turned = 0.5 * turned - first
    elif kind == "barely":
        turned = first + 1e-4 * turned
    return np.array([(first * turned).sum(1), (first**2).sum(1), (turned**2).sum(1)])


def _sums(rng, problem, kind):
    paths = {
        key: _triples(rng, problem.space.num_paths(*key), kind)
        for key in ((b, c) for b, c, _ in problem.space.cells())
    }
    return angle_sums.AngleSums(paths, _triples(rng, 1, kind)[:, 0])


def _brute_force(problem, sums, limits):
    """Cosine, costs, cells and paths of all networks within limits, in order."""
    listed = search_cases.allowed(search_cases.all_architectures(problem), limits)
    rows = []
    for one in listed:
        total = np.array(sums.fixed)
        for b, (c, p) in enumerate(zip(one.cells, one.paths, strict=True)):
            total = total + sums.paths[b, c][:, p]
        cosine = min(1.0, max(-1.0, total[0] / np.sqrt(total[1] * total[2])))
        order = [number for pair in zip(one.cells, one.paths, strict=True) for number in pair]
        costs = [one.costs[name] for name in problem.names]
        rows.append((float(cosine), costs, order, one))
    return sorted(rows, key=lambda row: row[:3])


def test_300_random_problems_equal_brute_force():
    seen = collections.Counter()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        problem = search_cases.problem(rng, ties=False)
        kind = ("trained", "trained", "random", "against", "barely")[seed % 5]
        sums = _sums(rng, problem, kind)
        listed = search_cases.all_architectures(problem)
        names = [str(n) for n in rng.permutation(search_cases.NAMES)[: rng.integers(0, 3)]]
        limits = search_cases.limits(rng, listed, names[:1], names[1:])
        if search_cases.contradicts(limits):
            continue
        expected, k = _brute_force(problem, sums, limits), int(rng.choice([1, 1, 2, 5, 500]))
        if not expected:
            seen["infeasible"] += 1
            with pytest.raises(exact.Infeasible, match="No architecture of the space"):
                angle_search.best(problem, sums, limits, k)
            continue
        largest = angle_search.best(problem, sums, limits, k)
        assert largest.certified and largest.bound == largest.cosines[0]
        assert [(c.cells, c.path_indices) for c in largest.choices] == [
            (row[3].cells, row[3].paths) for row in expected[:k]
        ], seed
        assert largest.cosines == [row[0] for row in expected[:k]]  # to the bit
        assert [c.costs for c in largest.choices] == [row[3].costs for row in expected[:k]]
        seen["limited"] += len(expected) < len(listed)
        seen["negative"] += largest.cosines[0] < 0
        if seed % 4:
            continue
        bound = angle_search.lower_bound(problem, sums, limits)
        assert bound <= largest.cosines[0] + 1e-12
        seen["attained"] += bound >= largest.cosines[0] - 1e-12
        seen["gap"] += bound < largest.cosines[0] - 1e-9
    assert min(seen[k] for k in ("infeasible", "attained", "gap", "negative", "limited")) > 2, seen


def _two_layers(fixed, first, second):
    zeros = {(b, c): np.zeros(2) for b, c, _ in TWO.cells()}
    problem = finding.search_problem(TWO, zeros, tasks.Task(8, 3, 4))
    paths = {(0, 0): np.array(first, float).T, (1, 0): np.array(second, float).T}
    return problem, angle_sums.AngleSums(paths, np.array(fixed, float))


def test_the_op_that_turns_most_in_each_layer_is_not_the_network_that_turns_most():
    problem, sums = _two_layers((4, 4, 4), [(0, 1, 1), (1, 9, 9)], [(0, 1, 4), (6, 9, 16)])
    cosines = sums.cosines(*angle_sums.all_networks(TWO))
    np.testing.assert_allclose(cosines, [0.544331, 0.583212, 0.324102, 0.435494], atol=5e-7)
    largest = angle_search.best(problem, sums)
    assert largest.choices[0].path_indices == (1, 0) and largest.certified
    assert largest.cosines == [pytest.approx(0.324102, abs=5e-7)]


def test_an_optimum_that_no_bound_attains_is_listed():
    problem, sums = _two_layers((2, 3, 4), [(0, 5, 1), (2, 3, 4)], [(2, 5, 2), (8, 6, 37)])
    cosines = sums.cosines(*angle_sums.all_networks(TWO))
    np.testing.assert_allclose(cosines, [0.419314, 0.412393, 0.572078, 0.516398], atol=5e-7)
    # By hand: q_t / D of the first two networks is equal at t^2 = (4.2 - 1.75) / (3.25 - 1.4).
    t = np.sqrt(2.45 / 1.85)
    assert 2 / (3.25 * t + 1.75 / t) == pytest.approx(0.3801727, abs=5e-8)
    assert angle_search.lower_bound(problem, sums) == pytest.approx(0.3801727, abs=5e-8)
    largest = angle_search.best(problem, sums)
    assert largest.choices[0].path_indices == (0, 1) and largest.certified
    gap = angle_search.best(problem, sums, max_pairs=0)
    assert not gap.certified and gap.bound == pytest.approx(0.3801727, abs=5e-8)
    assert gap.cosines[0] >= largest.cosines[0] > gap.bound


def test_4096_networks_of_six_layers_equal_brute_force():
    space = SearchSpace(
        "six", tuple(Op(k, e) for k in (3, 5) for e in (1, 2)), (Block(1, (Cell(3, 4),)),) * 2
    )
    zeros = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    problem = finding.search_problem(space, zeros, tasks.Task(8, 3, 4))
    rng = np.random.default_rng(3)
    units = {key: [_triples(rng, 4, "trained").T for _ in range(3)] for key in ((0, 0), (1, 0))}
    cells = {key: angle_sums.CellAngle("rlnas", {"trained": u}) for key, u in units.items()}
    sums = angle_sums.of_cells(cells)
    networks = angle_sums.all_networks(space)
    cosines = sums.cosines(*networks)
    assert len(cosines) == 4096
    for row in (0, 77, 4095):  # each network, op by op
        total = sum(
            units[b, 0][layer][space.paths(b, 0)[networks[1][row, b]][layer]]
            for b in range(2)
            for layer in range(3)
        )
        assert cosines[row] == pytest.approx(total[0] / np.sqrt(total[1] * total[2]), rel=1e-12)
    median = float(np.median(problem.evaluate_many(*networks)[1][1]))
    within = problem.evaluate_many(*networks)[1][1] <= median
    largest = angle_search.best(problem, sums, {"max_macs": median}, 3)
    assert largest.cosines == np.sort(cosines[within])[:3].tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda paths: paths.pop((1, 0)), "no angle sums of block2_cell1"),
        (lambda paths: paths.update({(1, 0): np.ones((3, 5))}), r"\(3, 2\)"),
        (lambda paths: paths[1, 0].__setitem__((0, 1), np.nan), "finite"),
        (lambda paths: paths[1, 0].__setitem__((1, 0), 0.0), "above 0"),
        (lambda paths: paths[1, 0].__setitem__((0, 0), 99.0), "of no weights"),
    ],
)
def test_sums_that_do_not_fit_are_refused(change, text):
    problem, sums = _two_layers((2, 3, 4), [(0, 5, 1), (2, 3, 4)], [(2, 5, 2), (8, 6, 37)])
    change(sums.paths)
    with pytest.raises(ValueError, match=text):
        angle_search.best(problem, sums)


def test_limits_and_numbers_that_cannot_be_used_are_refused():
    problem, sums = _two_layers((2, 3, 4), [(0, 5, 1), (2, 3, 4)], [(2, 5, 2), (8, 6, 37)])
    with pytest.raises(ValueError, match="whole number"):
        angle_search.best(problem, sums, k=0)
    with pytest.raises(ValueError, match="latency"):
        angle_search.best(problem, sums, {"max_latency": 3})
    with pytest.raises(exact.Infeasible, match="nearest miss"):
        angle_search.best(problem, sums, {"max_macs": 1})
