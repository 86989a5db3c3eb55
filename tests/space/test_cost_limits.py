"""Budgets as users write them."""

import pytest

from dna_tf.common import formatting
from dna_tf.space import cost_limits


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("350M", 350_000_000),
        ("5.2k", 5_200),
        ("1000", 1_000),
        ("0", 0),
        (" 1G ", 1_000_000_000),
        ("1.96G", 1_960_000_000),
        ("4.3M", 4_300_000),
        ("0.0004k", 0),
        (1234, 1234),
    ],
)
def test_parse_count(text, count):
    assert formatting.parse_count(text) == count
    assert type(formatting.parse_count(text)) is int


@pytest.mark.parametrize("text", ["", "M", "-3M", "3m", "3 M", "3MM", "1e6", "1,5M", ".5M", "inf"])
def test_parse_count_refuses(text):
    with pytest.raises(ValueError, match="such as 350M. Received: "):
        formatting.parse_count(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (335_141_728, "335.1M"),
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (2_500_000_000, "2.5G"),
        (48_000, "48k"),
    ],
)
def test_format_count(count, text):
    assert formatting.format_count(count) == text


def test_format_count_is_read_back_to_four_digits():
    for count in range(1, 10**9, 7_654_321):
        assert abs(formatting.parse_count(formatting.format_count(count)) - count) <= count * 5e-4


def test_parse_limits():
    assert cost_limits.parse_limits("max_macs=350M") == {"max_macs": 350_000_000}
    found = cost_limits.parse_limits(" max_params = 5M , min_macs=0.35G,max_authors_flops=1k")
    assert found == {"max_params": 5_000_000, "min_macs": 350_000_000, "max_authors_flops": 1_000}
    assert all(type(value) is int for value in found.values())


def test_parse_limits_of_costs_from_files():
    found = cost_limits.parse_limits("max_latency_ms=20.5,min_latency_ms=3,max_energy_mj=1.5k")
    assert found == {"max_latency_ms": 20.5, "min_latency_ms": 3.0, "max_energy_mj": 1500.0}
    assert cost_limits.parse_limits("max_latency_ms=20", ["latency_ms"]) == {"max_latency_ms": 20.0}
    with pytest.raises(ValueError, match="Did you mean 'max_latency_ms'"):
        cost_limits.parse_limits("max_latency_s=20", ["latency_ms"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "A budget is written such as"),
        ("350M", "A budget is written such as"),
        ("macs=350M", r"Did you mean 'max_macs'.*Received: 'macs=350M'"),
        ("max_mac=350M", "Did you mean 'max_macs'"),
        ("min_mac=350M", "Did you mean 'min_macs'"),
        (
            "max_latency=3",
            r"Known limits: \['max_params', 'max_macs', 'max_authors_flops', 'min_params'",
        ),
        ("most_macs=3", "A budget is written such as"),
        ("max_latency_ms=20ms", "The limit max_latency_ms is written as a number"),
        ("max_latency_ms=-1", "The limit max_latency_ms is written as a number"),
        ("max_Latency_ms=1", "A budget is written such as"),
        ("max_macs=1M,min_macs=2M", "contradict each other: min_macs=2M lies above max_macs=1M"),
        ("max_macs=35OM", "such as 350M. Received: '35OM'"),
        ("max_macs=350MB", "such as 350M. Received: '350MB'"),
        ("max_macs=350M,", "A budget is written such as"),
        ("max_macs:350M", "A budget is written such as"),
        ("max_macs=", "A count is written"),
        ("max_macs=many", r"A count is written .* Received: 'many'"),
        ("max_macs=1=2", r"A count is written .* Received: '1=2'"),
        ("max_macs=1M,max_macs=2M", r"gives max_macs twice\. Give each limit once"),
    ],
)
def test_parse_limits_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        cost_limits.parse_limits(text)


def test_budget_names_are_good_file_names():
    assert cost_limits.budget_name("max_macs=350M") == "max_macs_350M"
    assert (
        cost_limits.budget_name(" max_macs=4.5k, max_params=5M ") == "max_macs_4.5k_max_params_5M"
    )
    with pytest.raises(ValueError, match="A budget is written"):
        cost_limits.budget_name("../max_macs")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"macs": 3}, "named max_ or min_ and a cost, such as 'max_macs'. Received: 'macs'"),
        ({"max_": 3}, "named max_ or min_"),
        ({3: 3}, "named max_ or min_"),
        ({"max_macs": "3M"}, "The limit max_macs must be a number. Received: '3M'"),
        ({"max_macs": True}, "must be a number"),
        ({"max_macs": float("nan")}, "must be a number"),
        ({"max_macs": float("inf")}, "must be finite: leave it out"),
    ],
)
def test_limits_in_code_that_cannot_be(asked, message):
    with pytest.raises(ValueError, match=message):
        cost_limits.sides(asked)


def test_sides_and_text():
    asked = {"max_macs": 350_000_000, "min_latency_ms": 2.5}
    assert cost_limits.sides(asked) == ({"latency_ms": 2.5}, {"macs": 350e6})
    assert cost_limits.limits_text(asked) == "macs <= 350M, latency_ms >= 2.5"
    assert cost_limits.limits_text({}) == "no limit"
    assert (
        formatting.format_count(19.53125) == "19.53" and formatting.parse_amount("1.5k") == 1500.0
    )
    cost_limits.check_order({"macs": 3.0}, {"macs": 3.0, "params": 1.0})


def test_large_counts_for_people():
    for count, text in (
        (999_999_999, "999,999,999"),
        (10**9, "1.00 × 10⁹"),
        (195_898_498_887_057_408, "1.96 × 10¹⁷"),
        (999_900_000_000_000_000, "1.00 × 10¹⁸"),
    ):
        assert formatting.large_count(count) == text
