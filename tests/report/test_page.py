"""How the page writes table cells, long tables and durations."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report.page import cell, duration, text_columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (np.float64(1234.6), "1,235"),
        (3.0, "3"),
        (float("nan"), ""),
        (float("inf"), "\u221e"),
        (3240, "3,240"),
        (True, "True"),
        ("tpe", "tpe"),
    ],
)
def test_a_cell_has_four_significant_digits(value, text):
    """Numbers have four significant digits or thousands separators; a missing number is empty; text is unchanged."""
    assert cell(value) == text


def test_a_duration_is_in_the_largest_unit_of_which_there_are_two():
    """Seconds become minutes from two minutes on, and hours from two hours on."""
    assert [duration(seconds) for seconds in (45, 119, 720, 12240)] == ["45 s", "119 s", "12.0 min", "3.4 h"]


def test_columns_of_text_are_told_from_columns_of_numbers():
    """Only columns of text are aligned to the left."""
    assert text_columns(pd.DataFrame({"arm": ["tpe"], "trials": [3], "share": [0.5]})) == {"arm"}
