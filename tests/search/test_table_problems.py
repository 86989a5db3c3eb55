"""Tables as problems: the fit with the exact search, the table with searches by trial."""

import itertools

import numpy as np
import pytest

from dna_tf.common import rank_correlation
from dna_tf.search import diverse, evolution, exact, fronts, table_problems, trial_search
from dna_tf.space import cost_limits
from dna_tf.truth import choice_tables, expected_best
from tests.helpers import public_tables

OPTIONS = (3, 2, 4)


def table(seed=0):
    """Truth without structure; MACs that add up over positions, and a latency that does not."""
    rng = np.random.default_rng(seed)
    parts = [rng.integers(0, 50, count) for count in OPTIONS]
    macs = 7 + sum(np.ix_(*parts))
    costs = {"macs": macs, "latency_ms": rng.random(OPTIONS)}
    return choice_tables.ChoiceTable("mine", OPTIONS, {"test": rng.random(OPTIONS)}, costs)


def rows():
    return list(itertools.product(*map(range, OPTIONS)))


@pytest.mark.parametrize("seed", range(8))
def test_the_exact_search_on_the_fit_is_brute_force(seed):
    mine = table(seed)
    problem = table_problems.as_search_problem(mine, "test")
    assert problem.names == ("macs",) and problem.num_architectures() == 24
    values = mine.column("test")
    means = [values.mean(axis=tuple(a for a in range(3) if a != b)) for b in range(3)]
    fitted = {
        row: sum(means[b][option] for b, option in enumerate(row)) - 2 * values.mean()
        for row in rows()
    }
    for limits in (None, {"max_macs": 90}, {"max_macs": 100, "min_macs": 70}):
        lower, upper = cost_limits.Limits(limits).sides()
        macs = mine.cost("macs")
        meets = [
            row for row in rows() if lower.get("macs", 0) <= macs[row] <= upper.get("macs", np.inf)
        ]
        if not meets:
            with pytest.raises(exact.Infeasible):
                exact.best(problem, limits)
            continue
        best = exact.best(problem, limits)[0]
        expected = max(meets, key=fitted.get)
        assert best.path_indices == expected
        assert best.rating == pytest.approx(-fitted[expected])
        assert best.costs == {"macs": macs[expected]}
    assert (problem.lowest("macs"), problem.highest("macs")) == (macs.min(), macs.max())


def test_the_fit_is_least_squares():
    mine = table(3)
    problem = table_problems.as_search_problem(mine, "test")
    design = np.array(
        [np.concatenate([np.eye(n)[o] for n, o in zip(OPTIONS, r, strict=True)]) for r in rows()]
    )
    truth = mine.column("test").ravel()
    fitted = design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    ratings = [problem.evaluate((0, 0, 0), row)[0] for row in rows()]
    np.testing.assert_allclose(ratings, -fitted, atol=1e-12)


def test_an_additive_table_is_its_fit():
    rng = np.random.default_rng(0)
    truth = sum(np.ix_(*(rng.random(count) for count in OPTIONS)))
    mine = choice_tables.ChoiceTable("sum", OPTIONS, {"test": truth}, {})
    best = exact.best(table_problems.as_search_problem(mine, "test"))[0]
    row, value = mine.best("test")
    assert best.path_indices == row and best.rating == pytest.approx(-value)


@pytest.mark.parametrize("search", [trial_search.random_search, evolution.evolve])
def test_searches_by_trial_look_truth_and_costs_up(search):
    mine = table(1)
    problem = table_problems.table_problem(mine, "test")
    for limits in (None, {"max_latency_ms": 0.4}, {"max_macs": 90, "max_latency_ms": 0.8}):
        outcome = search(problem, limits, budget=24)
        row, value = mine.best("test", limits)
        assert outcome.best.path_indices == row and outcome.value == -value
        assert outcome.exhausted
        costs = {name: mine.values(name, row) for name in mine.costs}
        assert outcome.best.costs == costs and type(outcome.best.costs["macs"]) is int
    rating, costs = problem.evaluate((0, 0, 0), (2, 1, 3))
    assert (rating, costs["macs"]) == (-mine.column("test")[2, 1, 3], mine.cost("macs")[2, 1, 3])
    assert problem.highest("latency_ms") == mine.cost("latency_ms").max()
    assert problem.lowest("macs") == mine.cost("macs").min()
    assert problem.describe(outcome.best) == " ".join(map(str, outcome.best.path_indices))
    few = search(problem, None, budget=5, seed=4)
    assert few.evaluations == 5 and few == search(problem, None, budget=5, seed=4)
    other = search(problem, None, budget=24, objective=mine.objective("test"))
    assert other.value == -mine.best("test")[1]


def test_what_a_table_cannot_answer():
    problem = table_problems.table_problem(table(), "test")
    for search in (exact.best, fronts.front, lambda p: diverse.best_differing(p, 1, 2)):
        with pytest.raises(ValueError, match="need ratings that are sums over blocks.*additive f"):
            search(problem)
    with pytest.raises(ValueError, match="no cost 'params'"):
        trial_search.random_search(problem, {"max_params": 5}, budget=3)
    with pytest.raises(ValueError, match="no column of the table 'mine' 'tset'"):
        table_problems.as_search_problem(table(), "tset")
    with pytest.raises(ValueError, match="has no path 7"):
        problem.evaluate((0, 0, 0), (0, 0, 7))
    with pytest.raises(TypeError, match="not architectures"):
        problem.architecture(None, "name", {})


@public_tables.needed
def test_random_search_on_nas_bench_201_has_its_closed_form():
    mine = public_tables.load("nb201")
    problem = table_problems.table_problem(mine, "test200_cifar10")
    values = mine.column("test200_cifar10")
    for budget, seeds in ((1, 100), (100, 60)):
        bests = [
            -trial_search.random_search(problem, budget=budget, seed=seed).value
            for seed in range(seeds)
        ]
        expected = expected_best.expected_best(values, budget)
        error = np.std(bests, ddof=1) / np.sqrt(seeds)
        assert abs(np.mean(bests) - expected) < 3 * error


@public_tables.needed
def test_additive_fits_of_the_public_tables():
    """Kendall's tau of the fit with the truth, as methods.md has it."""
    for name, column, expected in (
        ("nb201", "test200_cifar10", 0.514),
        ("nb201", "test200_cifar100", 0.609),
        ("nb201", "test200_imagenet16_120", 0.626),
        ("nas_bench_macro", "acc_mean", 0.865),
    ):
        mine = public_tables.load(name)
        problem = table_problems.as_search_problem(mine, column)
        ratings, costs = problem.evaluate_many(np.zeros_like(mine.rows()), mine.rows())
        tau = rank_correlation.kendall_tau(-ratings, mine.column(column).ravel())
        assert round(tau, 3) == expected
        for cost in ("macs", "params"):
            added = costs[problem.names.index(cost)]
            np.testing.assert_array_equal(added, mine.cost(cost).ravel())
