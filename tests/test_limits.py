"""Budgets as users write them."""

import pytest

from dna_tf import limits


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
    assert limits.parse_count(text) == count
    assert type(limits.parse_count(text)) is int


@pytest.mark.parametrize("text", ["", "M", "-3M", "3m", "3 M", "3MM", "1e6", "1,5M", ".5M", "inf"])
def test_parse_count_refuses(text):
    with pytest.raises(ValueError, match="such as 350M. Received: "):
        limits.parse_count(text)


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
    assert limits.format_count(count) == text


def test_format_count_is_read_back_to_four_digits():
    for count in range(1, 10**9, 7_654_321):
        assert abs(limits.parse_count(limits.format_count(count)) - count) <= count * 5e-4


def test_parse_limits():
    assert limits.parse_limits("max_macs=350M") == {"macs": 350_000_000}
    assert limits.parse_limits(" max_params = 5M , max_macs=0.35G,max_authors_flops=1k") == {
        "params": 5_000_000,
        "macs": 350_000_000,
        "authors_flops": 1_000,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "A budget is written such as"),
        ("350M", "A budget is written such as"),
        ("macs=350M", r"Did you mean 'max_macs'.*Received: 'macs=350M'"),
        ("max_mac=350M", "Did you mean 'max_macs'"),
        ("max_latency_ms=3", r"Known limits: \['max_params', 'max_macs', 'max_authors_flops'\]"),
        ("max_macs=350M,", "A budget is written such as"),
        ("max_macs:350M", "A budget is written such as"),
        ("max_macs=", "A count is written"),
        ("max_macs=many", r"A count is written .* Received: 'many'"),
        ("max_macs=1=2", r"A count is written .* Received: '1=2'"),
        ("max_macs=1M,max_macs=2M", r"limits macs twice\. Give each limit once"),
    ],
)
def test_parse_limits_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        limits.parse_limits(text)


def test_budget_names_are_good_file_names():
    assert limits.budget_name("max_macs=350M") == "max_macs_350M"
    assert limits.budget_name(" max_macs=4.5k, max_params=5M ") == "max_macs_4.5k_max_params_5M"
    with pytest.raises(ValueError, match="A budget is written"):
        limits.budget_name("../max_macs")
