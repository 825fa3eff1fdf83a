"""Numbers have as many digits as their interval supports; Markdown cells are escaped."""

import pytest

from pipeline.report.formatting import (
    count,
    decimals,
    ends,
    listed,
    markdown_table,
    number,
    p_value,
    percent,
    point,
    points,
    probability,
    whole_number,
)
from pipeline.report.intervals import Interval


@pytest.mark.parametrize(("width", "places"), [(12, 0), (3.3, 1), (0.33, 2), (0.033, 3), (0.0001, 3), (0, 2), (1e9, 0)])
def test_two_significant_digits_of_the_width(width, places):
    """The width of an interval decides the number of decimals."""
    assert decimals(width) == places


def test_an_interval_is_written_at_its_own_precision():
    """All three numbers have the same decimals, a true minus sign, and no minus zero."""
    assert points(Interval(0.0123, 0.0041, 0.0206)) == ("1.2", "0.4", "2.1")
    assert points(Interval(-0.00001, -0.12, 0.12)) == ("0.0", "\u221212.0", "12.0")
    assert probability(Interval(0.7251, 0.31, 0.99)) == "0.73 (95% CI 0.31 to 0.99)"


def test_a_small_difference_with_a_wide_interval_is_not_zero():
    """Points have at least one decimal, so that few blocks do not show 0.4 points as 0."""
    assert points(Interval(0.0042, -0.13, 0.14)) == ("0.4", "\u221213.0", "14.0")


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0000001, "p < 0.001"), (0.001, "p = 0.001"), (0.0196, "p = 0.02"), (0.3333, "p = 0.33"), (1.0, "p = 1")],
)
def test_a_p_value_has_no_star(p, text):
    """A p-value has two significant digits, or is given as below a thousandth."""
    assert p_value(p) == text


def test_an_interval_of_no_width_is_no_certainty():
    """One block, or blocks that do not differ, have no interval, and the text gives the reason."""
    assert ends("1.2", "2.3", 10) == "95% CI 1.2 to 2.3"
    assert ends("2.2", "2.2", 2) == "the same in both blocks: no interval"
    assert ends("nan", "nan", 1) == "one block: no interval"


def test_counts_lists_and_shares():
    """Counts, lists, shares and names are written as sentences use them."""
    assert (count(1, "block"), count(3240, "trial")) == ("1 block", "3,240 trials")
    assert [listed(list("abc")[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert (percent(0.9649), number(-0.04, 1), point(0.005), point(0.0123)) == ("96.5%", "0.0", "0.5", "1.2")
    assert (whole_number(1234.0), whole_number(float("inf"))) == ("1,234", "\u221e")


def test_a_bar_in_a_cell_of_a_markdown_table_is_escaped():
    """The header, the line below it and one line for each row; a bar does not start a new column."""
    assert markdown_table(["result", "note"], [("ok", "x|y"), ("FAILED", "")]).splitlines() == [
        "| result | note |",
        "| --- | --- |",
        "| ok | x\\|y |",
        "| FAILED |  |",
    ]
