"""Tables as the page shows them: words, units, and intervals in one cell."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.report.display import SHOWN_ROWS, cell, display

ARMS = {"random": "random search", "my_arm": "my_arm"}


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("number", 0.123456, "0.123"),
        ("number", np.float64(1234.6), "1,235"),
        ("number", 3.0, "3"),
        ("number", float("nan"), ""),
        ("count", float("inf"), "\u221e"),
        ("count", 3240, "3,240"),
        ("text", True, "True"),
        ("text", "tpe", "tpe"),
        ("%", 0.97, "97.0"),
        ("points", -0.0042, "\u22120.42"),
        ("probability", 0.5, "0.50"),
        ("p", 0.00391, "0.0039"),
        ("p", 1e-5, "< 0.001"),
    ],
)
def test_a_value_is_written_by_its_kind(kind, value, text):
    """Accuracies are in percent, differences in points, other numbers have three digits; a missing one is empty."""
    assert cell(kind, value) == text


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        ("%", (0.97, 0.96, 0.98), "97.0 (96.0 to 98.0)"),
        ("points", (0.0136, 0.0096, 0.0175), "1.36 (0.96 to 1.75)"),
        ("count", (6.0, 2.0, math.inf), "6 (2 to \u221e)"),
        ("probability", (0.96, 0.55, 1.0), "0.96 (0.55 to 1.00)"),
        ("points", (None, -0.001, 0.0036), "\u22120.10 to 0.36"),
        ("%", (0.97, math.nan, math.nan), "97.0"),
    ],
)
def test_an_interval_shares_a_cell_with_its_estimate(kind, values, text):
    """It follows in brackets at its own precision, and alone where it has no estimate."""
    assert cell(kind, *values).replace("\u00a0", " ") == text


def test_headings_are_words_with_units():
    """Columns are paired to intervals, arms called by their labels, and no heading is an identifier."""
    frame = pd.DataFrame(
        {"arm": ["random"], "trials": [3], "test_again": [0.97], "test_again_low": [0.96], "test_again_high": [0.98]}
    )
    frame = frame.assign(below_median_incumbent=0.1, learning_rate=0.5, equality_low=-0.01, equality_high=0.01)
    table = display("confirmation", frame, ARMS)
    assert [heading.replace("\u00a0", " ") for heading in table.headings] == [
        "arm",
        "trials",
        "test accuracy, trained again (%, 95% CI)",
        "blocks whose winner tests below its median forerunner (%)",
        "learning rate",
        "for equality (points, 90% CI)",
    ]
    assert table.rows[0][:2] == ("random search", "3")
    assert table.kinds[:2] == ["arm", "count"]


def test_ends_without_a_name_belong_to_the_column_before():
    """The columns ``low`` and ``high`` are the interval of what stands before them."""
    frame = pd.DataFrame({"trials": [1], "p": [0.5], "low": [0.4], "high": [0.6], "p_validation": [0.7]})
    table = display("win_probability", frame, ARMS)
    assert len(table.headings) == 3
    assert table.rows[0][1].replace("\u00a0", " ") == "0.50 (0.40 to 0.60)"


def test_many_columns_become_few():
    """The blocks of a difference are one range, and hyperparameters are rows, so that no table is as wide as its study."""
    blocks = {f"block_{i}": [i / 1000] for i in range(30)}
    frame = pd.DataFrame({"trials": [1], "difference": [0.01], "low": [0.0], "high": [0.02], **blocks})
    table = display("difference", frame, ARMS)
    assert [len(table.headings), table.rows[0][-1].replace("\u00a0", " ")] == [3, "0.0 to 2.9"]
    tried = display("values_tried", pd.DataFrame({"arm": ["random"], "l2": [108.0], "init": [3.0]}), ARMS)
    assert tried.headings == ["hyperparameter", "random search"]
    assert tried.rows == [("l2", "108"), ("init", "3")]
    assert tried.total == 2


@pytest.mark.parametrize("rows", [SHOWN_ROWS, SHOWN_ROWS + 1])
def test_a_long_table_is_thinned(rows):
    """It shows its first, its last and evenly spaced rows, and knows how many there are."""
    table = display("scores", pd.DataFrame({"share": np.linspace(0, 1, rows)}), ARMS)
    assert len(table.rows) == SHOWN_ROWS
    assert table.total == rows
    assert (table.rows[0], table.rows[-1]) == (("0.0",), ("100.0",))
