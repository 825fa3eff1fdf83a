"""The sentences after the verdict, by what is known of each arm."""

import numpy as np
import pytest
from synthetic import GRID, RANDOM, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.sentences import _ratio, counted_differently, needed_clause, sentences
from pipeline.report.targets import CENSUS, POOLED, TrialsNeeded
from pipeline.study.spec import Arm


@pytest.mark.parametrize(
    ("needed", "clause"),
    [
        (TrialsNeeded(RANDOM, 9, 5, 18, 37, 10, 128, 4, 4, "binomial"), "random search needs 9 (95% CI 5\u201318)"),
        (
            TrialsNeeded(RANDOM, np.inf, 25, np.inf, np.inf, 0, 128, 0, 4, "binomial"),
            "random search did not reach it in 128 trials: more than 25 are needed (95%)",
        ),
        (
            TrialsNeeded(GRID, np.inf, np.nan, np.nan, np.inf, 0, 108, 0, 1, CENSUS),
            "the textbook grid never reaches it",
        ),
        (
            TrialsNeeded(GRID, np.inf, np.nan, np.nan, np.inf, 0, 24, 0, 1, "part of each grid, as draws"),
            "the textbook grid did not reach it in 24 trials",
        ),
        (
            TrialsNeeded(Arm("tpe"), np.inf, np.nan, np.nan, np.inf, 0, 50, 0, 1, "paths"),
            "TPE did not reach it in 50 trials",
        ),
        (
            TrialsNeeded(RANDOM, np.inf, 25, np.inf, np.inf, 2, 128, 1, 2, "in each"),
            "random search reached it in 1 of 2 blocks, too few for an even chance in most",
        ),
    ],
)
def test_a_number_of_trials_has_its_interval_and_a_missing_number_its_reason(needed, clause):
    """A number has its interval; a target that was not reached has the reason why there is no number."""
    assert needed_clause(needed) == clause


def test_only_an_explained_number_says_what_it_means():
    """The first finite number of a sentence says that it gives an even chance; the others do not repeat it."""
    needed = TrialsNeeded(RANDOM, 1, 1, 2, 3, 10, 128, 4, 4, "binomial")
    assert needed_clause(needed, explain=True) == "random search needs 1 trial for an even chance (95% CI 1\u20132)"


def test_two_numbers_of_trials_have_their_ratio():
    """The second arm needs 2.25 times as many; a missing number, or a third arm, leaves the ratio out."""
    four, nine = (TrialsNeeded(RANDOM, median, 1, 2, 3, 10, 128, 4, 4, "binomial") for median in (4, 9))
    never = TrialsNeeded(GRID, np.inf, np.nan, np.nan, np.inf, 0, 108, 0, 1, CENSUS)
    assert _ratio([four, nine]) == ", 2.2 times as many"
    assert [_ratio(needed) for needed in ([four], [four, never], [four, nine, four])] == ["", "", ""]


def test_equal_hits_that_are_counted_differently_say_so():
    """Three hits in one of two blocks are a number for random search and none for a grid; the sentence says why."""
    random = TrialsNeeded(RANDOM, 3, 1, 22, 11, 3, 8, 1, 2, POOLED)
    grid = TrialsNeeded(GRID, np.inf, np.nan, np.nan, np.inf, 3, 8, 1, 2, CENSUS)
    assert counted_differently([random, grid]) == (
        " The trials of random search are counted over all blocks together, those of the textbook grid block by block."
    )
    assert counted_differently([random, random]) == counted_differently([grid, grid]) == ""


@pytest.mark.parametrize(("shift", "told"), [(0.0, False), (-0.1, True)])
def test_curves_that_end_elsewhere_than_the_verdict_are_explained(shift, told):
    """One sentence names both differences if those of the chosen models have the opposite sign, and only then."""
    analysis = Analysis(make_table(arms=(RANDOM, GRID), blocks=7))
    analysis.comparison.test[:, -1] += shift
    found = [text for text in sentences(analysis) if text.startswith("The curves end with the very models")]
    assert len(found) == told
    assert all("is \u2212" in text and "The verdict has 1.8" in text for text in found)
