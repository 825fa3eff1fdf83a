"""The number of trials with which one arm does as well as all trials of the other."""

from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import GRID, RANDOM, SHIFTED

from pipeline.report.curves import Curve
from pipeline.report.key_numbers import _matching
from pipeline.report.matching import Matching, matching
from pipeline.report.sentences import _matchings
from pipeline.study.spec import Arm

BLOCKS = 8


def curve(arm, test, blocks=None):
    """The curve of an arm by its test accuracies, (blocks, budgets) or (budgets,) for the same in all blocks."""
    test = np.asarray(test, float)
    test = test if test.ndim == 2 else np.tile(test, (BLOCKS, 1))
    return Curve(arm, blocks or tuple(range(len(test))), np.arange(1, test.shape[1] + 1), test, test)


RISING = curve(RANDOM, [0.90, 0.92, 0.94, 0.96, 0.97])


@pytest.mark.parametrize(("last", "trials"), [(0.90, 1), (0.93, 3), (0.96, 4), (0.98, np.inf)])
def test_an_arm_matches_from_the_first_trial_that_reaches_the_end_of_the_other(last, trials):
    """The mean curve must reach what the other scored after all of its trials; an arm that never does has infinity."""
    found = matching(RISING, curve(GRID, [0.5, 0.6, last]))
    assert (found.arm, found.budget, found.trials) == (RANDOM, 5, trials)
    assert (found.other, found.other_budget) == (GRID, 3)


def test_the_interval_holds_the_numbers_whose_difference_may_be_zero():
    """It starts where the upper end of the t-interval reaches 0, and ends where the lower end passes it."""
    spread = 0.02 * np.resize([1, -1], BLOCKS)[:, None]
    rising = RISING.test + spread
    found = matching(curve(RANDOM, rising), curve(GRID, [0.95]))
    # the half-width is 2.36 standard errors of 0.02 * sqrt(8 / 7) / sqrt(8): 0.0179
    assert (found.trials, found.low, found.high) == (4, 3, 5)


def test_swapped_arms_match_alike():
    """The arm that is no grid is the one whose trials are counted, whichever is declared first."""
    grid = curve(SHIFTED, [0.5, 0.93])
    assert matching(RISING, grid) == matching(grid, RISING)
    assert matching(grid, RISING).arm == RANDOM
    tpe = curve(Arm("tpe"), [0.5, 0.93])
    assert (matching(tpe, RISING).arm, matching(RISING, tpe).arm) == (Arm("tpe"), RANDOM)


def test_only_common_blocks_count():
    """Blocks are paired by their number; without a common one there is nothing to match, and one has no interval."""
    other = curve(GRID, [[0.94], [0.2]], blocks=(3, 99))
    found = matching(RISING, other)
    assert found.trials == 3
    assert np.isnan([found.low, found.high]).all()
    assert matching(RISING, curve(GRID, [[0.94]], blocks=(99,))) is None


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            Matching(RANDOM, GRID, 128, 108, 1, 1, 4),
            "1 trial of random search does as well as all 108 of the textbook grid (95% CI 1 to 4).",
        ),
        (
            Matching(RANDOM, GRID, 128, 108, 8, 6, np.inf),
            "8 trials of random search do as well as all 108 of the textbook grid (95% CI 6 to more than 128).",
        ),
        (
            Matching(RANDOM, GRID, 128, 108, np.inf, 30, np.inf),
            (
                "Random search needs more than 128 trials to do as well as all 108 of the textbook grid "
                "(95% CI 30 to more than 128)."
            ),
        ),
        (
            Matching(RANDOM, GRID, 1200, 1150, 1100, np.nan, np.nan),
            "1,100 trials of random search do as well as all 1,150 of the textbook grid.",
        ),
    ],
)
def test_a_number_that_matches_has_its_sentence_and_its_interval(found, sentence):
    """A number beyond the arm's budget is more than that budget; a single block has no interval."""
    assert list(_matchings(SimpleNamespace(matchings=[found]))) == [sentence]


def test_the_key_number_counts_the_trials_of_one_arm():
    """Its caption names both arms, and a number beyond the budget has a sign."""
    shown = _matching(Matching(RANDOM, GRID, 128, 108, 8, 6, 20))
    assert (shown.value, shown.detail) == ("8", "95% CI 6 to 20")
    assert shown.caption == "trials of random search match all 108 of the textbook grid"
    assert _matching(Matching(RANDOM, GRID, 128, 108, np.inf, np.nan, np.nan)).value == ">128"
    assert _matching(Matching(RANDOM, GRID, 128, 108, np.inf, np.nan, np.nan)).detail == "one block: no interval"
