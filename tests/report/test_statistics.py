"""The report's statistics where the truth is known: coverage of intervals and error rates of verdicts."""

import pytest
from scipy import stats
from simulations import COVERAGES, LOW, NULLS, ON_GRID, VERDICTS, equal_arms, leaders, verdict_rates
from synthetic import GRID, SHIFTED

pytestmark = pytest.mark.slow
BLOCKS = 10
RARE = [name for name in VERDICTS if name.startswith("a miss")]
"""Cases in which no interval over few blocks holds its promise, as the page's limits say."""


def at_most(rate, promise, runs):
    """True if a rate is not above its promise by more than chance explains."""
    return stats.binomtest(round(rate * runs), runs, promise, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("quantity", COVERAGES)
def test_intervals_hold_the_truth(quantity):
    """Of nominal 95 % intervals over ten blocks at least 92 % hold the true value."""
    assert COVERAGES[quantity](BLOCKS) >= 0.92


@pytest.mark.parametrize("case", [name for name in VERDICTS if name not in RARE])
def test_error_rates_hold_over_contrasts_and_looks(case):
    """At most 5 % of studies have a false leader, a false equal or a false size; intervals of all looks cover in 93 %."""
    runs = 1000
    rates = verdict_rates(VERDICTS[case], runs)
    assert at_most(rates.false_leader, 0.05, runs)
    assert at_most(rates.false_equal, 0.05, runs)
    assert at_most(rates.false_size, 0.05, runs)
    assert at_most(1 - rates.covered, 0.07, runs)


def test_the_default_study_is_decided():
    """With the differences and spreads of the default study both contrasts are decided, after 15 blocks on average."""
    rates = verdict_rates(VERDICTS["1.5 and 0.15 points (the default study)"], 500)
    assert rates.undecided <= 0.01
    assert rates.blocks <= 16
    assert rates.ahead[0] == 1


@pytest.mark.parametrize("case", RARE)
def test_rare_misses_are_the_limit_that_the_page_names(case):
    """Where an arm fails badly in few blocks, the intervals hold the truth less often than promised."""
    assert verdict_rates(VERDICTS[case], 500).covered < 0.94


@pytest.mark.parametrize("arms", NULLS.values(), ids=NULLS)
def test_equal_arms_have_no_leader(arms):
    """Two equal arms have a leader in at most 5 % of reports, up to sampling error, and p is uniform."""
    runs = 500
    rate, p = equal_arms(LOW, *arms, BLOCKS, runs)
    assert at_most(rate, 0.05, runs)
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_the_grid_wins_where_it_must():
    """With a steep optimum on a node the textbook grid leads over twenty blocks, and random search never does."""
    named = leaders(ON_GRID, GRID, blocks=20)
    assert named["grid"] > 0.9
    assert named["random"] == 0


def test_random_search_leads_where_one_hyperparameter_matters():
    """With the optimum off the nodes random search leads against the textbook grid, and no shifted grid leads."""
    assert leaders(LOW, GRID)["random"] > 0.9
    assert leaders(LOW, SHIFTED)["shifted_grid"] <= 0.05
