"""The paired difference of two arms, when it is detected, and the comparison of all arms with each other."""

import numpy as np
import pytest
from scipy import stats
from synthetic import ARMS, make_frame, make_study

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Difference, compare
from pipeline.report.curves import Curve
from pipeline.report.trials_table import TrialsTable
from pipeline.study.spec import Arm


def curve(name, blocks, budgets):
    """A curve whose accuracy is block/10 + budget/100; on test data a thousandth less."""
    validation = np.add.outer(np.array(blocks) / 10, np.arange(budgets) / 100)
    return Curve(Arm(name), blocks, np.arange(1, budgets + 1), validation, validation - 0.001)


def test_only_what_both_arms_have_is_compared():
    """Blocks are paired by their number, in the order of the first arm, up to the smaller budget: first minus second."""
    first, second = curve("a", (0, 1, 2), 4), curve("b", (2, 0), 3)
    second.test[:] -= 0.05
    found = compare(first, second)
    assert (found.first.name, found.second.name, found.blocks, found.trials) == ("a", "b", (0, 2), 3)
    assert found.budgets.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.test, np.full((2, 3), 0.05))
    np.testing.assert_allclose(found.validation, np.zeros((2, 3)), atol=1e-12)
    assert compare(first, curve("b", (5,), 3)) is None


def test_the_narrow_interval_is_of_90_percent():
    """It is the interval of two one-sided tests at 0.05."""
    x = np.array([0.01, 0.03, -0.02, 0.05, 0.02, 0.04])
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.90)
    found = Difference(tuple(x)).narrow
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("differences", "excludes_zero", "below_level"),
    [
        ([0.01] * 5 + [-0.0001], True, False),
        ([0.01] * 5 + [0.2], False, True),
        ([0.01, 0.011, 0.012, 0.013, 0.014, 0.015], True, True),
        ([0.01, -0.011, 0.012, -0.013, 0.014, -0.015], False, False),
    ],
)
def test_a_difference_is_detected_where_interval_and_sign_flips_agree(differences, excludes_zero, below_level):
    """Neither alone is enough: a single block of the other sign, or far from the rest, makes them disagree."""
    found = Difference(tuple(differences))
    assert (found.excludes_zero, found.p < 0.05) == (excludes_zero, below_level)
    assert found.detected == (excludes_zero and below_level)


BLOCKS = 8


def pairs(grid_blocks=BLOCKS):
    """The pairs of three arms with unequal test accuracies; the textbook grid has only its first ``grid_blocks`` blocks."""
    study = make_study(arms=ARMS, blocks=BLOCKS)
    frame = make_frame(study, test_noise=0.004)
    lower = frame["arm"].map({"random": 0.0, "shifted_grid": 0.003, "grid": 0.01})
    frame = frame.assign(**{"test/accuracy": frame["test/accuracy"] - lower})
    return Analysis(TrialsTable(frame[(frame["arm"] != "grid") | (frame["block"] < grid_blocks)], study)).pairs


def test_p_is_corrected_by_the_method_of_benjamini_and_yekutieli():
    """The i-th smallest of m is multiplied by m (1 + 1/2 + ... + 1/m) / i, and is at most the next one and at most 1."""
    found = pairs()
    p = np.array([pair.comparison.difference.p for pair in found])
    assert len(set(p)) == 3
    raised = np.sort(p) * 3 * (1 + 1 / 2 + 1 / 3) / np.array([1, 2, 3])
    expected = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    assert expected[0] < 1
    assert [pair.corrected_p for pair in found] == pytest.approx(expected[np.argsort(np.argsort(p))])


def test_a_pair_of_too_few_blocks_has_no_p_and_is_not_counted():
    """With five blocks of the grid only the pair without it has a p, which is then not raised."""
    first, *with_grid = pairs(grid_blocks=5)
    assert first.corrected_p == first.comparison.difference.p
    assert [len(pair.comparison.blocks) for pair in with_grid] == [5, 5]
    assert np.isnan([pair.corrected_p for pair in with_grid]).all()
    assert np.isfinite([pair.corrected_p for pair in pairs(grid_blocks=6)]).all()


def test_the_probability_of_improvement_is_that_of_the_first_arm():
    """Random search scores higher than the grid in every block, so it is more likely to win."""
    _, random_grid, _ = pairs()
    assert (random_grid.comparison.first.name, random_grid.comparison.second.name) == ("random", "grid")
    assert random_grid.comparison.difference.interval.estimate > 0
    assert random_grid.improvement.interval.estimate > 0.5
