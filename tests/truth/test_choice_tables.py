"""Tables of choices: values, limits, the best, and the noise of trainings; and what is refused."""

import itertools

import numpy as np
import pytest

from dna_tf.space import cost_limits
from dna_tf.truth import choice_tables

RNG = np.random.default_rng(0)
OPTIONS = (2, 3, 4)
TRUTH = RNG.uniform(50, 90, OPTIONS)
COSTS = {"macs": RNG.integers(10, 99, OPTIONS), "latency_pixel_ms": RNG.random(OPTIONS)}


def table(**changes):
    fields = {"name": "mine", "options": OPTIONS, "truth": {"test": TRUTH}, "costs": COSTS}
    return choice_tables.ChoiceTable(**{**fields, **changes})


def test_rows_and_values():
    mine, rows = table(), list(itertools.product(*map(range, OPTIONS)))
    assert mine.num_networks == 24 and mine.rows().tolist() == list(map(list, rows))
    np.testing.assert_array_equal(mine.values("test", mine.rows()), TRUTH.ravel())
    assert mine.values("macs", (1, 2, 3)) == COSTS["macs"][1, 2, 3]
    assert mine.objective("test")((0, 0, 0), (1, 0, 2)) == -TRUTH[1, 0, 2]
    with pytest.raises(ValueError, match="read-only"):
        mine.truth["test"][0, 0, 0] = 1.0


@pytest.mark.parametrize(
    "limits", [None, {"max_macs": 50}, "max_macs=60,min_macs=30", {"max_latency_pixel_ms": 0.3}]
)
def test_the_best_is_that_of_a_loop(limits):
    mine, (lower, upper) = table(), cost_limits.Limits(limits).sides()
    meets = [
        row
        for row in itertools.product(*map(range, OPTIONS))
        if all(COSTS[name][row] <= limit for name, limit in upper.items())
        and all(COSTS[name][row] >= limit for name, limit in lower.items())
    ]
    best = max(meets, key=lambda row: TRUTH[row])
    assert mine.best("test", limits) == (best, TRUTH[best])
    assert int(mine.within(limits).sum()) == len(meets)


def test_the_noise_is_the_spread_within_functions():
    values = np.array([[1.0, 3.0, 10.0], [10.5, 9.0, 8.0]])
    functions = np.array([[1, 1, 7], [7, 7, 4]])
    mine = choice_tables.ChoiceTable("two", (2, 3), {"test": values}, {}, functions)
    squares = [(1 - 2) ** 2, (3 - 2) ** 2, *((v - 29.5 / 3) ** 2 for v in (10, 10.5, 9))]
    assert mine.noise("test") == (pytest.approx(np.sqrt(sum(squares) / 3)), 2)
    assert mine.noise("test", least=5) == (pytest.approx(np.std([10, 10.5, 9], ddof=1)), 1)
    assert mine.noise("test", least=50) == table().noise("test") == (None, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": (2, 0)}, "options of position 2 must be a whole number of at least 1"),
        ({"options": ()}, "from one position up"),
        ({"options": (100,) * 5}, "at most 10,000,000 networks"),
        ({"truth": {}}, "has no truth"),
        ({"truth": {"test": TRUTH[0]}}, r"shape \(2, 3, 4\).*Received: the shape \(3, 4\)"),
        ({"truth": {"test": np.where(TRUTH > 60, TRUTH, np.nan)}}, r"finite.*nan at \("),
        ({"truth": {"test": np.full(OPTIONS, "high")}}, "must be of numbers. Received: the type"),
        ({"costs": {"macs": -COSTS["macs"]}}, "at least 0"),
        ({"costs": {"Watts": COSTS["macs"]}}, "in lower case by quantity and unit"),
        ({"functions": TRUTH}, "whole numbers"),
    ],
)
def test_what_is_no_table(changes, message):
    with pytest.raises(ValueError, match=message):
        table(**changes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mine: mine.column("tset"), "Did you mean 'test'"),
        (lambda mine: mine.best("test", {"max_params": 5}), "no cost 'params'"),
        (lambda mine: mine.best("test", {"max_macs": 1}), r"meets macs <= 1. It has macs \d+ to"),
        (lambda mine: mine.values("test", [0, 3, 0]), "counted from 0. Received a row outside"),
        (lambda mine: mine.values("test", [0, 1]), "is a row of 3 ints"),
        (lambda mine: mine.values("test", [0.0, 1.0, 1.0]), "is a row of 3 ints"),
    ],
)
def test_questions_without_an_answer(call, message):
    with pytest.raises(ValueError, match=message):
        call(table())
