"""Numbers as text: counts with units, read and written."""

import pytest

from dna_tf.common import formatting


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


@pytest.mark.parametrize("number", [0, 1, 999, 1_000, 350e6, 19_531, 1_234_567, 20.5, 1e-3, 2e11])
def test_exact_numbers_are_read_back_equal(number):
    text = formatting.exact_number(number)
    assert formatting.parse_amount(text) == number and len(text) <= len(str(number))


def test_large_counts_for_people():
    for count, text in (
        (999_999_999, "999,999,999"),
        (10**9, "1.00 × 10⁹"),
        (195_898_498_887_057_408, "1.96 × 10¹⁷"),
        (999_900_000_000_000_000, "1.00 × 10¹⁸"),
    ):
        assert formatting.large_count(count) == text
