"""A problem, its best architectures and its front, as functions of values."""

import types

import numpy as np
import pytest

from dna_tf.search import exact, finding, fronts, problem_building
from dna_tf.space import cost_limits, cost_tables, op_costs, presets, ratings, tasks
from tests.helpers import op_cost_tables

SPACE = presets.get_space("digits")
TASK = tasks.Task(32, 3, 10)
RNG = np.random.default_rng(4)
ARRAYS = {(b, c): RNG.random(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}
PROBLEM = finding.search_problem(SPACE, ARRAYS, TASK)
LATENCY = op_cost_tables.from_function("latency_ms", lambda _: 1.5, SPACE, TASK)


def _rated(metric):
    """Ratings as a run has them: with other numbers in the other metrics."""
    return {
        key: ratings.RatedCell(
            {name: np.stack([values if name == metric else -values, 0 * values])
             for name in ratings.METRICS}, 3
        )
        for key, values in ARRAYS.items()
    }  # fmt: skip


@pytest.mark.parametrize("metric", ratings.METRICS)
def test_a_problem_is_that_of_the_ratings_and_the_counted_costs(metric):
    table = cost_tables.cost_table(SPACE, TASK)
    expected = problem_building.build_problem(SPACE, ARRAYS, table, weights=[1, 2, 3])
    problem = finding.search_problem(SPACE, _rated(metric), TASK, weights=(1, 2, 3), metric=metric)
    assert problem.task == TASK and problem.weights == (1.0, 2.0, 3.0)
    choice = ((1, 2, 0), (27, 63, 4))
    assert problem.evaluate(*choice) == expected.evaluate(*choice)


def test_images_say_what_the_task_is():
    images = types.SimpleNamespace(image_shape=(24, 24, 1), num_classes=4)
    assert finding.search_problem(SPACE, ARRAYS, images).task == tasks.Task(24, 1, 4)


@pytest.mark.parametrize("as_file", [False, True])
def test_costs_of_files_can_be_limited(tmp_path, as_file):
    costs = LATENCY
    if as_file:
        costs = tmp_path / "latency.json"
        op_costs.save(LATENCY, costs)
    problem = finding.search_problem(SPACE, ARRAYS, TASK, op_costs=[costs])
    (best,) = finding.find_best(problem, max_latency_ms=15)
    assert best.origin["costs"]["latency_ms"] <= 15
    assert best.name == "max_latency_ms_15"
    (fastest,) = finding.find_best(problem, limits=f"max_latency_ms={problem.lowest('latency_ms')}")
    assert fastest.rating >= best.rating


def test_the_best_are_those_of_the_exact_search():
    architectures = finding.find_best(PROBLEM, count=3, max_macs="1.4M", min_params=40_000)
    choices = exact.best(PROBLEM, {"max_macs": 1_400_000, "min_params": 40_000}, 3)
    name = "max_macs_1.4M_min_params_40k"
    assert [one.name for one in architectures] == [name, f"{name}_2", f"{name}_3"]
    for number, (architecture, choice) in enumerate(zip(architectures, choices, strict=True), 1):
        assert architecture.rating == choice.rating
        assert architecture.costs() == choice.costs and architecture.task == TASK
        assert architecture.describe() == PROBLEM.describe(choice)
        assert architecture.origin == {
            "by": "search",
            "limits": {"max_macs": 1_400_000, "min_params": 40_000},
            "rank": number,
            "space": "digits",
            "weights": [1.0, 1.0, 1.0],
        }


def test_limits_in_any_form_mean_the_same():
    limits = cost_limits.Limits(max_macs="1.4M")
    forms = [
        finding.find_best(PROBLEM, limits=limits),
        finding.find_best(PROBLEM, limits="max_macs=1.4M"),
        finding.find_best(PROBLEM, limits={"max_macs": 1_400_000}),
        finding.find_best(PROBLEM, max_macs=1_400_000),
    ]
    assert all(form == forms[0] for form in forms)
    assert finding.find_best(PROBLEM, name="mine")[0].name == "mine"
    assert finding.find_best(PROBLEM)[0].name == "best"


def test_penalties_and_differing_architectures():
    heavy = finding.find_best(PROBLEM)[0]
    (light,) = finding.find_best(PROBLEM, penalties={"macs": 1e-5})
    assert light.costs()["macs"] < heavy.costs()["macs"]
    assert light.origin["penalties"] == {"macs": [1e-5, 0.0]}
    assert light.origin["penalty"] == 1e-5 * light.costs()["macs"]
    first, second = finding.find_best(PROBLEM, count=2, max_shared=2)
    same = [
        one.cell == other.cell and a == b
        for one, other in zip(first.blocks, second.blocks, strict=True)
        for a, b in zip(one.path, other.path, strict=False)
    ]
    assert sum(same) <= 2 and second.origin["max_shared"] == 2


def test_the_front_is_that_of_the_search():
    front = finding.find_front(PROBLEM, ("macs", "params"), max_macs="1.4M")
    choices = fronts.front(PROBLEM, ("macs", "params"), {"max_macs": 1_400_000})
    assert [one.costs() for one in front] == [one.costs for one in choices] and len(front) > 5
    assert [one.rating for one in front] == [one.rating for one in choices]
    assert front[0].name == "front_1" and front[-1].name == f"front_{len(front)}"
    assert front[0].origin["front_costs"] == ["macs", "params"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_macs": "1k"}, r"meets macs <= 1k\. Possible: macs [\d,]+ at least\. The nearest"),
        ({"max_mac": "1M"}, "There is no cost 'mac'. Did you mean 'macs'"),
        ({"macs": "1M"}, "named max_ or min_ and a cost"),
        ({"max_macs": "1M", "min_macs": "2M"}, "contradict each other"),
        ({"limits": "max_macs=1M", "max_macs": "2M"}, "give max_macs twice"),
        ({"count": 0}, "must be a whole number from 1"),
        ({"max_shared": -1}, "max_shared must be a whole number of at least 0"),
        ({"penalties": {"mac": 1}}, "There is no cost 'mac'"),
    ],
)
def test_questions_without_an_answer_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        finding.find_best(PROBLEM, **arguments)


def test_a_front_that_nothing_meets_is_refused():
    with pytest.raises(exact.Infeasible, match="Loosen the limits"):
        finding.find_front(PROBLEM, max_macs=10)
    with pytest.raises(ValueError, match="no cost 'mac'"):
        finding.find_front(PROBLEM, ("mac",))


def test_ratings_that_do_not_fit_are_refused():
    rated = _rated("mse")
    with pytest.raises(ValueError, match="There is no metric 'ms'. Did you mean 'mse'"):
        finding.search_problem(SPACE, rated, TASK, metric="ms")
    with pytest.raises(ValueError, match=r"block 2, cell 1 \(no ratings\)"):
        finding.search_problem(SPACE, {k: v for k, v in rated.items() if k != (1, 0)}, TASK)
    with pytest.raises(ValueError, match="there is no block 4"):
        finding.search_problem(SPACE, rated, TASK, weights=(1, 1, 1, 1))
    with pytest.raises(ValueError, match="whole number above 0"):
        finding.search_problem(
            SPACE, rated, types.SimpleNamespace(image_shape=(8, 8, 3), num_classes=0)
        )
