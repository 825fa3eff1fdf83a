"""The boundaries of several looks, which spend one error rate between them."""

import numpy as np
import pytest
from scipy import stats

from pipeline.report.boundaries import boundary_levels

LOOKS = [(10,), (10, 20, 30), (6, 12), (10, 15, 40), tuple(range(6, 18))]


@pytest.mark.parametrize("level", [0.05, 0.025, 0.0125])
def test_one_look_has_the_whole_level(level):
    """A comparison that is looked at once spends all of its error there."""
    assert boundary_levels((10,), level) == (level,)


def test_the_boundaries_of_three_looks_are_those_of_the_linear_spending_function():
    """At 10, 20 and 30 blocks and a one-sided level of 0.0125 the statistic must exceed 2.638, 2.559 and 2.482."""
    levels = boundary_levels((10, 20, 30), 0.0125)
    np.testing.assert_allclose(stats.norm.isf(levels), [2.638, 2.559, 2.482], atol=1e-3)
    assert levels[0] == pytest.approx(0.0125 / 3)


def test_two_looks_share_the_level_as_the_bivariate_normal_says():
    """The second boundary solves P(first below, second above) = half of the level, by SciPy's bivariate normal."""
    first, second = stats.norm.isf(boundary_levels((6, 12), 0.025))
    both_below = stats.multivariate_normal([0, 0], [[1, np.sqrt(0.5)], [np.sqrt(0.5), 1]]).cdf([first, second])
    assert 1 - both_below == pytest.approx(0.025, abs=1e-4)


def crossings(looks, level, runs=100_000):
    """The number of simulated means without any difference that first cross at each look."""
    rng, boundaries = np.random.default_rng(0), stats.norm.isf(boundary_levels(looks, level))
    steps = rng.normal(size=(runs, len(looks))) * np.sqrt(np.diff(looks, prepend=0))
    crossed = np.cumsum(steps, axis=1) / np.sqrt(looks) > boundaries
    first = np.argmax(crossed, axis=1)[crossed.any(axis=1)]
    return np.bincount(first, minlength=len(looks))


@pytest.mark.parametrize("level", [0.05, 0.0125])
@pytest.mark.parametrize("looks", LOOKS, ids=str)
def test_equal_arms_cross_with_the_level(looks, level):
    """Of 100,000 Brownian motions that many cross at any look as the level says, up to 3.5 binomial standard errors."""
    runs = 100_000
    crossed = crossings(looks, level, runs).sum()
    assert abs(crossed - level * runs) < 3.5 * np.sqrt(runs * level * (1 - level))


def test_each_look_spends_in_proportion_to_its_blocks():
    """By 10, 15 and 40 blocks a quarter, three eighths and all of the level is spent."""
    level, runs = 0.05, 100_000
    spent = np.cumsum(crossings((10, 15, 40), level, runs))
    expected = level * np.array([10, 15, 40]) / 40
    assert np.all(np.abs(spent - expected * runs) < 3.5 * np.sqrt(runs * expected * (1 - expected)))


def test_more_looks_have_smaller_levels():
    """A further look lowers the level of each one, since all spend from the same error."""
    one, two, three = (boundary_levels(looks, 0.025) for looks in ((30,), (10, 30), (10, 20, 30)))
    assert one[-1] > two[-1] > three[-1]
    assert max(boundary_levels(tuple(range(6, 18)), 0.025)) < three[-1]
    assert all(0 < level < 0.025 for level in (*two, *three))
