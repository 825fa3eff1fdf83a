"""The paired difference of two arms, and the comparison of all arms with each other."""

import numpy as np
import pytest
from scipy import stats
from synthetic import ARMS, make_frame, make_study

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Comparison, compare
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
    expected = {"a": {0: 0.9, 1: 0.8, 2: 0.7}, "b": {2: 0.5, 0: 0.6}}
    found = compare(first, second, expected)
    assert (found.first.name, found.second.name, found.blocks, found.trials) == ("a", "b", (0, 2), 3)
    assert found.budgets.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.test, np.full((2, 3), 0.05))
    np.testing.assert_allclose(found.validation, np.zeros((2, 3)), atol=1e-12)
    np.testing.assert_allclose(found.expected, [0.3, 0.2])
    assert compare(first, curve("b", (5,), 3), {"a": {}, "b": {}}) is None


def test_the_three_differences_are_of_the_last_number_of_trials():
    """The very models that were chosen, their validation accuracy, and the expected accuracy of the choice."""
    x = np.array([0.01, 0.03, -0.02, 0.05, 0.02, 0.04])
    budgets = np.array([1, 2])
    grown = np.stack([0 * x, x], axis=1)
    found = Comparison(Arm("a"), Arm("b"), tuple(range(6)), budgets, grown, 2 * grown, 3 * x)
    parts = (found.difference, found.validation_difference, found.expected_difference)
    for factor, difference in enumerate(parts, start=1):
        expected = stats.ttest_1samp(factor * x, 0).confidence_interval(0.95)
        assert difference.by_block == pytest.approx(tuple(factor * x))
        assert (difference.interval.low, difference.interval.high) == pytest.approx((expected.low, expected.high))


BLOCKS = 8


def pairs(grid_blocks=BLOCKS):
    """The pairs of three arms with unequal test accuracies; the textbook grid has only its first ``grid_blocks`` blocks."""
    study = make_study(arms=ARMS, blocks=BLOCKS)
    frame = make_frame(study, test_noise=0.004)
    lower = frame["arm"].map({"random": 0.0, "shifted_grid": 0.003, "grid": 0.005})
    frame = frame.assign(**{"test/accuracy": frame["test/accuracy"] - lower})
    return Analysis(TrialsTable(frame[(frame["arm"] != "grid") | (frame["block"] < grid_blocks)], study)).pairs


def test_p_is_corrected_by_the_method_of_benjamini_and_yekutieli():
    """The i-th smallest of m is multiplied by m (1 + 1/2 + ... + 1/m) / i, and is at most the next one and at most 1."""
    found = pairs()
    p = np.array([pair.comparison.expected_difference.p for pair in found])
    assert len(set(p)) == 3
    raised = np.sort(p) * 3 * (1 + 1 / 2 + 1 / 3) / np.array([1, 2, 3])
    expected = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    assert expected[0] < 1
    assert [pair.corrected_p for pair in found] == pytest.approx(expected[np.argsort(np.argsort(p))])


def test_a_pair_of_too_few_blocks_has_no_p_and_is_not_counted():
    """With five blocks of the grid only the pair without it has a p, which is then not raised."""
    first, *with_grid = pairs(grid_blocks=5)
    assert first.corrected_p == first.comparison.expected_difference.p
    assert [len(pair.comparison.blocks) for pair in with_grid] == [5, 5]
    assert np.isnan([pair.corrected_p for pair in with_grid]).all()
    assert np.isfinite([pair.corrected_p for pair in pairs(grid_blocks=6)]).all()


def test_the_probability_of_improvement_is_that_of_the_first_arm():
    """Random search scores higher than the grid in every block, so it is more likely to win."""
    _, random_grid, _ = pairs()
    assert (random_grid.comparison.first.name, random_grid.comparison.second.name) == ("random", "grid")
    assert random_grid.comparison.expected_difference.interval.estimate > 0
    assert random_grid.improvement.interval.estimate > 0.5
