"""The report's statistics where the truth is known: coverage of intervals, error rate and power."""

import pytest
from scipy import stats
from simulations import COVERAGES, GRID, LOW, NULLS, ON_GRID, SHIFTED, leaders, null_rates, power

pytestmark = pytest.mark.slow
BLOCKS = 10


@pytest.mark.parametrize("quantity", COVERAGES)
def test_intervals_hold_the_truth(quantity):
    """Of nominal 95 % intervals over ten blocks at least 92 % hold the true value."""
    assert COVERAGES[quantity](BLOCKS) >= 0.92


@pytest.mark.parametrize("arms", NULLS.values(), ids=NULLS)
def test_equal_arms_have_no_leader(arms):
    """Two equal arms have a leader in at most 5 % of reports, up to sampling error, and p is uniform."""
    runs = 500
    rate, p = null_rates(LOW, *arms, BLOCKS, runs)
    assert stats.binomtest(round(rate * runs), runs, 0.05, alternative="greater").pvalue > 0.001
    assert stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize("blocks", [6, 7, 8, BLOCKS])
def test_one_detectable_difference_is_found_four_times_out_of_five(blocks):
    """A difference as large as the report calls detectable is named by the verdict in 80 ± 4 % of experiments."""
    _, verdict = power(blocks, runs=2000)
    assert verdict == pytest.approx(0.8, abs=0.04)


def test_the_grid_wins_where_it_must():
    """With a steep optimum on a node the textbook grid leads over twenty blocks, and random search never does."""
    named = leaders(ON_GRID, GRID, blocks=20)
    assert named["grid"] > 0.9
    assert named["random"] == 0


def test_random_search_leads_where_one_hyperparameter_matters():
    """With the optimum off the nodes random search leads against the textbook grid, and no shifted grid leads."""
    assert leaders(LOW, GRID)["random"] > 0.9
    assert leaders(LOW, SHIFTED)["shifted_grid"] <= 0.05
