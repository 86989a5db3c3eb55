"""Networks drawn uniformly: each equally likely, in a band, with fixed blocks; bad input."""

import collections

import numpy as np
import pytest

from dna_tf.search import drawing
from dna_tf.space import cost_limits, presets, tasks

TINY = {
    "name": "tiny",
    "ops": ["k3e1", "k3e2"],
    "blocks": [{"stride": 2, "cells": [[1, 6], [2, 4]]}, {"stride": 2, "cells": [[2, 8]]}],
}


def problem_of(space, fixed=None, size=32):
    return drawing.unrated_problem(presets.get_space(space), tasks.Task(size, 3, 10), fixed)


def pairs(choices):
    return [(choice.cells, choice.path_indices) for choice in choices]


def test_a_draw_has_different_networks_and_costs_and_no_ratings():
    problem = problem_of("digits")
    choices = drawing.draw(problem, 16, seed=3)
    assert len(set(pairs(choices))) == 16
    for number, choice in enumerate(choices):
        architecture = problem.architecture(choice, f"n{number}", {})
        assert architecture.rating is None
        assert architecture.costs() == choice.costs


def test_the_first_networks_are_the_same_for_every_number_and_seed_by_seed_others():
    problem = problem_of("digits")
    few, many = drawing.draw(problem, 5, seed=3), drawing.draw(problem, 30, seed=3)
    assert few == many[:5]
    assert pairs(drawing.draw(problem, 5, seed=4)) != pairs(few)


def test_every_network_is_as_likely_as_any_other():
    problem, counts = problem_of(TINY), collections.Counter()
    for seed in range(600):
        counts.update(pairs(drawing.draw(problem, 4, seed)))
    assert len(counts) == problem.num_architectures() == 24
    assert 70 <= min(counts.values()) and max(counts.values()) <= 132  # 100, by three sigma


def test_the_macs_of_a_band_differ_by_at_most_its_width():
    problem = problem_of("digits")
    for width in (0.03, 0.005):
        macs = [
            choice.costs["macs"]
            for choice in drawing.draw(problem, 16, 0, drawing.Band(1_400_000, width))
        ]
        assert max(macs) <= (1 + width) * min(macs)
        assert min(macs) < 1_400_000 < max(macs)


def test_a_fixed_block_has_one_op_and_the_others_vary():
    problem = problem_of("dna_18", {6: "k3e6"}, 64)
    assert problem.num_architectures() == 4**18
    drawn = [problem.architecture(c, "x", {}) for c in drawing.draw(problem, 8, 0)]
    assert {block.ops[0].name for block in (a.blocks[5] for a in drawn)} == {"k3e6"}
    assert len({a.blocks[0].ops for a in drawn}) > 2


def test_all_networks_of_a_small_space_can_be_drawn():
    problem = problem_of(TINY)
    assert len(set(pairs(drawing.draw(problem, 24, 0)))) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((25, 0), "'tiny' has 24 networks to draw from. Received: 25. Draw fewer"),
        ((0, 0), "number of networks to draw must be a whole number of at least 1. Received: 0"),
        ((4, -1), "seed must be a whole number of at least 0"),
        (
            (4, 0, drawing.Band(10, 0.1)),
            "0 different networks with .* came out of 262,144 draws, and 4 are needed. The space "
            "'tiny' has .* MACs, half of its networks less than .* or a wider band",
        ),
    ],
)
def test_draws_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        drawing.draw(problem_of(TINY), *arguments)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({3: "k3e1"}, "one of 1 to 2 with one of the ops .* Received: block 3, op 'k3e1'"),
        ({1: "k5e1"}, "Received: block 1, op 'k5e1'.*k3e1"),
    ],
)
def test_blocks_and_ops_that_the_space_does_not_have(fixed, message):
    with pytest.raises(ValueError, match=message):
        problem_of(TINY, fixed)


@pytest.mark.parametrize(
    ("macs", "width", "message"),
    [
        (0, 0.03, "macs must be a whole number of at least 1"),
        (100, 0.0, "share above 0 and at most 1, such as 0.03. Received: 0.0"),
        (100, float("nan"), "Received: nan"),
        (100, 3.0, "Received: 3.0"),
    ],
)
def test_bands_that_cannot_be(macs, width, message):
    with pytest.raises(ValueError, match=message):
        drawing.Band(macs, width)


def test_limits_that_no_network_meets_are_refused():
    problem = problem_of("digits")
    for possible in ("max_macs=1M", "min_macs=99M", "max_latency_ms=0.1", None):
        drawing.check_possible(problem, cost_limits.Limits(possible))
    message = "No network of the space 'digits' has .*the smallest has 877.2k macs. Raise"
    with pytest.raises(ValueError, match=message):
        drawing.check_possible(problem, cost_limits.Limits("max_params=1M,max_macs=800k"))


def test_fixed_blocks_as_text():
    assert drawing.parse_fixed(["6:k3e6", "1: k5e3"]) == {6: "k3e6", 1: "k5e3"}
    for texts, message in (
        (["k3e6"], "such as 6:k3e6. Received: 'k3e6'"),
        (["6:k3"], "An op is written as"),
        (["6:k3e6", "6:k5e6"], "Block 6 is fixed twice"),
    ):
        with pytest.raises(ValueError, match=message):
            drawing.parse_fixed(texts)


def test_the_median_cost_of_a_draw_is_near_that_of_the_whole_space():
    problem = problem_of("digits")
    macs = np.array([choice.costs["macs"] for choice in drawing.draw(problem, 2000, 1)])
    middle = (problem.lowest("macs") + problem.highest("macs")) / 2
    assert abs(np.median(macs) / middle - 1) < 0.1
