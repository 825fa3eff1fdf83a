"""Trials needed: numbers that can be computed by hand, and the method for each sampler."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import EMPTY, GRID, RANDOM

from pipeline.report.curves import Pool
from pipeline.report.targets import Target, draws, estimate_trials_needed, ladder, share_reached, visits
from pipeline.study.spec import Arm


def pool(arm, hits, size, block=0, order=None):
    """A pool in which ``hits`` trials score 1 and the rest 0."""
    scores = np.zeros(size)
    scores[order if order is not None else range(hits)] = 1.0
    return Pool(arm, block, scores, scores, EMPTY, ())


def needed(arm, *pools):
    """The trials that an arm needs to score 1."""
    return estimate_trials_needed(
        [pool(arm, *p, block=b) for b, p in enumerate(pools)], Target("hit", dict.fromkeys(range(len(pools)), 1.0))
    )


@pytest.mark.parametrize(("hits", "median", "low", "high"), [(10, 9, 5, 18), (3, 30, 11, 143), (0, np.inf, 25, np.inf)])
def test_random_search_needs_trials_by_its_hit_rate(hits, median, low, high):
    """Hits among independent trials give ln ½ / ln(1 - p), with the ends of Clopper and Pearson's interval of p."""
    found = needed(RANDOM, (hits, 128))
    assert (found.median, found.low, found.high) == (median, low, high)


def test_draws_are_those_of_a_geometric_distribution():
    """After N draws the probability of a hit is at least q, and after N - 1 it is not."""
    for p in (0.001, 0.02, 0.3, 0.9):
        for q in (0.5, 0.95):
            n = draws(p, q)
            assert 1 - (1 - p) ** n >= q
            assert 1 - (1 - p) ** (n - 1) < q


def test_a_grid_needs_trials_by_its_census():
    """4 of 108 points in random order: an even chance after 17 trials, by counting."""
    found = needed(GRID, (4, 108))
    missed = np.cumprod([(104 - i) / (108 - i) for i in range(17)])  # after 1, 2, ... trials
    assert found.median == 17
    assert 1 - missed[16] >= 0.5 > 1 - missed[15]
    assert visits(np.zeros(108, bool), 0.5) == np.inf


def test_unequal_blocks_are_not_pooled():
    """Hit rates that differ are summarised by the median over blocks."""
    assert needed(RANDOM, (5, 100), (6, 100)).method == "binomial, blocks pooled"
    apart = needed(RANDOM, (50, 100), (5, 100), (6, 100), (50, 100), (7, 100), (40, 100))
    assert apart.method == "binomial in each block"
    assert 1 < apart.median < 14


def test_single_paths_are_censored():
    """An adaptive arm's median is over the first hits of its blocks; a block without a hit counts as later than all."""
    pools = [pool(Arm("tpe"), 1, 50, block, [first]) for block, first in enumerate((4, 9, 19))]
    pools += [pool(Arm("tpe"), 0, 50, 3)]
    found = estimate_trials_needed(pools, Target("hit", dict.fromkeys(range(4), 1.0)))
    assert (found.median, found.n95) == (10, np.inf)


def test_the_ladder_is_between_chance_and_the_best():
    """Targets are 90 to 99 percent of the way from chance to the best, and the grid's best in each block."""
    pools = [pool(RANDOM, 1, 20, block) for block in (0, 1)] + [pool(GRID, 1, 20, block) for block in (0, 1)]
    targets = ladder(pools, 0.1)
    assert [round(t.value, 3) for t in targets] == [0.91, 0.955, 0.982, 0.991, 1.0]
    assert targets[-1].name == "what the full grid found"


def test_the_share_reached_is_the_probability_of_a_hit():
    """For one pool and one target it is 1 - C(M - k, n) / C(M, n), and for a path a step at the first hit."""
    budgets, target = np.arange(1, 6), [Target("hit", {0: 1.0})]
    missed = np.cumprod([(5 - 2 - i) / (5 - i) for i in range(5)]).clip(0)
    np.testing.assert_allclose(share_reached([pool(RANDOM, 2, 5)], target, budgets), 1 - missed)
    path = share_reached([pool(Arm("tpe"), 1, 5, 0, [2])], target, budgets)
    np.testing.assert_array_equal(path, [0, 0, 1, 1, 1])


def test_a_sure_hit_takes_one_trial():
    """If every trial reaches the target, one trial is enough, and all numbers are finite."""
    found = needed(RANDOM, (30, 30))
    assert (found.median, found.n95) == (1, 1)
    assert pd.notna([found.low, found.high]).all()


def test_part_of_a_grid_is_no_census():
    """A grid that was visited in part is not said to never reach a target, and sets no target."""
    part = [replace(pool(GRID, 0, 12, block), whole=False) for block in (0, 1)]
    found = estimate_trials_needed(part, Target("hit", {0: 1.0, 1: 1.0}))
    assert (found.median, found.method) == (np.inf, "part of each grid, as draws")
    assert [target.name for target in ladder(part, 0.1)][-1] == "99% of the best"
    assert needed(GRID, (0, 12)).method == "census of each grid"


def test_a_target_is_that_of_the_pools_own_block():
    """An arm without trials in the first block is compared with the grid's best in its own blocks."""
    grid = [pool(GRID, 0, 3, block) for block in range(3)]
    for own, best in zip(grid, (0.9, 0.5, 0.7), strict=True):
        own.validation[0] = best
    target = ladder(grid, 0.1)[-1]
    late = [pool(RANDOM, 0, 2, block) for block in (1, 2)]
    for own in late:
        own.validation[:] = (0.6, 0.2)
    assert target.by_block == {0: 0.9, 1: 0.5, 2: 0.7}
    assert estimate_trials_needed(late, target).hits == 1


def test_blocks_that_differ_by_chance_are_pooled_and_the_later_of_two_medians_counts():
    """A chi-square test at 0.01 decides on pooling; of an even number of blocks the later of the middle two counts."""
    assert needed(RANDOM, (20, 100), (9, 100)).method == "binomial, blocks pooled"
    assert needed(GRID, (10, 10), (1, 10)).median == 5
