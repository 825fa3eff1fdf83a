"""How the page writes its title, the facts below the verdict, table cells, long tables and durations."""

import numpy as np
import pandas as pd
import pytest
from synthetic import ARMS, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.page import cell, duration, facts, pages, text_columns
from pipeline.report.sections import make_sections


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


def test_the_title_says_the_study_and_its_question(table):
    """A browser's tab names the study and the question."""
    page = pages(Analysis(table), make_sections(Analysis(table)))["report.html"]
    assert "<title>toy: Is random search better than grid search?</title>" in page


def test_the_report_counts_the_pruned_trials():
    """The line below the verdict and the diagnosis say how many trials a pruner stopped; without any they say nothing."""
    for counts, fact, sentence in (
        ({}, "360 trials in all", ""),
        (
            {"pruned": 36},
            "360 trials in all, 36 of them pruned",
            "The pruner stopped 36 of 360 trials before the last epoch.",
        ),
    ):
        diagnosis = {"health": {"good": 360}, "sentences": [], **counts}
        analysis = Analysis(make_table(arms=ARMS[:1], provenance={"diagnosis": diagnosis}))
        assert fact in facts(analysis)
        (section,) = (section for section in make_sections(analysis) if section.key == "diagnosis")
        assert section.prose == ((sentence,) if sentence else ())
