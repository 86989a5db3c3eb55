"""Limits and counts as users write them."""

import copy
import json

import pytest

from dna_tf.common import formatting
from dna_tf.space import cost_limits
from dna_tf.space.cost_limits import Limits


def test_limits_are_read_from_text():
    assert Limits("max_macs=350M") == {"max_macs": 350_000_000}
    limits = Limits(" max_params = 5M , min_macs=0.35G,max_authors_flops=1k")
    assert limits == {"max_params": 5_000_000, "min_macs": 350_000_000, "max_authors_flops": 1_000}
    assert all(type(value) is int for value in limits.values())


def test_limits_of_costs_from_files():
    limits = Limits("max_latency_ms=20.5,min_latency_ms=3,max_energy_mj=1.5k")
    assert limits == {"max_latency_ms": 20.5, "min_latency_ms": 3.0, "max_energy_mj": 1500.0}
    lower, upper = limits.sides()
    cost_limits.check_costs([*lower, *upper], ["energy_mj", "latency_ms"])
    with pytest.raises(cost_limits.UnknownCost, match="Did you mean 'latency_ms'"):
        cost_limits.check_costs(["latency_s"], ["energy_mj", "latency_ms"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Limits are written such as"),
        ("350M", "Limits are written such as"),
        ("macs=350M", r"Did you mean 'max_macs'.*Received: 'macs=350M'"),
        ("max_mac=350M", "Did you mean 'max_macs'"),
        ("min_mac=350M", "Did you mean 'min_macs'"),
        (
            "max_latency=3",
            r"Known limits: \['max_params', 'max_macs', 'max_authors_flops', 'min_params'",
        ),
        ("most_macs=3", "Limits are written such as"),
        ("max_latency_ms=20ms", "The limit max_latency_ms is written as a number"),
        ("max_latency_ms=-1", "The limit max_latency_ms is written as a number"),
        ("max_Latency_ms=1", "Limits are written such as"),
        ("max_macs=1M,min_macs=2M", "contradict each other: min_macs=2M lies above max_macs=1M"),
        ("max_macs=35OM", "such as 350M. Received: '35OM'"),
        ("max_macs=350MB", "such as 350M. Received: '350MB'"),
        ("max_macs=350M,", "Limits are written such as"),
        ("max_macs:350M", "Limits are written such as"),
        ("max_macs=", "A count is written"),
        ("max_macs=many", r"A count is written .* Received: 'many'"),
        ("max_macs=1=2", r"A count is written .* Received: '1=2'"),
        ("max_macs=1M,max_macs=2M", r"give max_macs twice\. Give each limit once"),
    ],
)
def test_texts_that_are_no_limits(text, message):
    with pytest.raises(ValueError, match=message):
        Limits(text)


def test_names_are_good_file_names():
    assert Limits("max_macs=350M").name() == "max_macs_350M"
    assert Limits(" max_macs=4.5k, max_params=5M ").name() == "max_macs_4.5k_max_params_5M"
    assert Limits("max_my__cost_ms = 350000k").name() == "max_my_cost_ms_350000k"
    assert Limits(max_macs="350M", min_params=4e6).name() == "max_macs_350M_min_params_4M"
    assert Limits(max_macs=1_234_567, max_latency_ms=0.25).name() == (
        "max_macs_1234567_max_latency_ms_0.25"
    )
    assert Limits().name() == ""
    with pytest.raises(ValueError, match="Limits are written"):
        Limits("../max_macs")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"macs": 3}, "named max_ or min_ and a cost, such as 'max_macs'. Received: 'macs'"),
        ({"max_": 3}, "named max_ or min_"),
        ({3: 3}, "named max_ or min_"),
        ({"max_macs": "3X"}, "such as 350M. Received: '3X'"),
        ({"max_macs": [3]}, r"The limit max_macs must be a number. Received: \[3\]"),
        ({"max_macs": True}, "must be a number"),
        ({"max_macs": float("nan")}, "must be a number"),
        ({"max_macs": float("inf")}, "must be finite: leave it out"),
    ],
)
def test_mappings_that_are_no_limits(mapping, message):
    with pytest.raises(ValueError, match=message):
        Limits(mapping)


def test_limits_are_values():
    one, other = Limits("max_macs=350M"), Limits(max_macs=350e6)
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert Limits(one, min_params=4) == {"max_macs": 350_000_000, "min_params": 4}
    assert Limits(one) == one and Limits(one).name() == one.name() and not Limits()
    assert repr(other) == "Limits(max_macs='350M')"
    assert copy.deepcopy(one) == one and json.dumps(dict(one)) == '{"max_macs": 350000000}'
    with pytest.raises(ValueError, match="give max_macs twice"):
        Limits(one, max_macs=3)
    with pytest.raises(TypeError):
        one["max_macs"] = 3


def test_sides_and_text():
    limits = Limits({"max_macs": 350_000_000, "min_latency_ms": 2.5})
    assert limits.sides() == ({"latency_ms": 2.5}, {"macs": 350e6})
    assert limits.text() == "macs <= 350M, latency_ms >= 2.5"
    assert limits.text({"macs": "MACs"}, ("≤", "≥")) == "MACs ≤ 350M, latency_ms ≥ 2.5"
    assert Limits().text() == Limits(None).text() == "no limit"
    assert (
        formatting.format_count(19.53125) == "19.53" and formatting.parse_amount("1.5k") == 1500.0
    )
    assert Limits(min_macs=3.0, max_macs=3.0, max_params=1.0).sides()[0] == {"macs": 3.0}
