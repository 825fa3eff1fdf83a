"""The paired difference of two arms: which blocks and budgets it is of, and when it is established."""

import numpy as np
import pytest
from scipy import stats

from pipeline.report.comparison import Evidence, compare
from pipeline.report.curves import Curve
from pipeline.study.spec import Arm


def curve(name, blocks, budgets):
    """A curve whose accuracies tell block and budget: tenths and hundredths; on test data a thousandth less."""
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
    """Within it both one-sided tests at 0.05 reject."""
    x = np.array([0.01, 0.03, -0.02, 0.05, 0.02, 0.04])
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.90)
    found = Evidence(tuple(x)).narrow
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
    """Either alone is not enough: one block of the other sign, or one far from the rest, is enough to disagree."""
    found = Evidence(tuple(differences))
    assert (found.excludes_zero, found.p < 0.05) == (excludes_zero, below_level)
    assert found.detected == (excludes_zero and below_level)
