"""Best after n: the formula equals the mean over every subset, and the order of trials does not change it."""

import itertools

import numpy as np
import pytest
from synthetic import ARMS, make_table

from pipeline.report.curves import budget_ladder, choice_weights, path_weights, pools_by_arm, tuning_curves

POOLS = {
    "distinct": [0.3, 0.1, 0.5, 0.2, 0.4, 0.6],
    "ties": [0.5, 0.5, 0.2, 0.2, 0.2, 0.9, 0.9],
    "tied best": [0.9, 0.9, 0.9, 0.1, 0.2, 0.2, 0.3, 0.3],
    "all equal": [0.7] * 6,
}


def enumerated(validation, outcome, n):
    """Mean outcome of the best over all subsets of n trials; ties share it."""
    results = []
    for subset in itertools.combinations(range(len(validation)), n):
        best = max(validation[i] for i in subset)
        results.append(np.mean([outcome[i] for i in range(len(validation)) if validation[i] == best]))
    return np.mean(results)


@pytest.mark.parametrize("validation", POOLS.values(), ids=POOLS)
def test_the_formula_equals_every_subset(validation):
    """Best after n is the mean over all subsets of n trials, to 1e-12, with ties shared."""
    validation = np.array(validation)
    outcome = np.random.default_rng(3).uniform(size=len(validation))
    budgets = np.arange(1, len(validation) + 1)
    expected = [enumerated(validation, outcome, n) for n in budgets]
    np.testing.assert_allclose(outcome @ choice_weights(validation, budgets), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("validation", POOLS.values(), ids=POOLS)
def test_one_trial_is_the_mean_and_all_are_the_maximum(validation):
    """The curve starts at the pool's mean, ends at its best, never falls, and its weights sum to 1."""
    validation = np.array(validation)
    budgets = np.arange(1, len(validation) + 1)
    curve = validation @ choice_weights(validation, budgets)
    np.testing.assert_allclose(choice_weights(validation, budgets).sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(curve[[0, -1]], [validation.mean(), validation.max()], atol=1e-12)
    assert np.all(np.diff(curve) >= -1e-12)


def test_the_order_of_trials_does_not_matter_to_an_exchangeable_arm():
    """Reordering a pool does not change the curve."""
    rng = np.random.default_rng(0)
    validation, outcome, order = rng.integers(0, 9, 40) / 9, rng.uniform(size=40), rng.permutation(40)
    budgets = np.arange(1, 41)
    np.testing.assert_allclose(
        outcome @ choice_weights(validation, budgets),
        outcome[order] @ choice_weights(validation[order], budgets),
        atol=1e-12,
    )


def test_an_adaptive_arm_keeps_its_order():
    """A single path: the outcome of the best trial so far; a later tie does not replace it."""
    validation, outcome = np.array([0.2, 0.5, 0.5, 0.4, 0.8]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(outcome @ path_weights(validation, np.arange(1, 6)), [1, 2, 2, 2, 5])


def test_the_formula_is_the_mean_of_the_paths():
    """The mean path over many random orders is within four standard errors of the formula."""
    rng = np.random.default_rng(1)
    validation, outcome, budgets = rng.uniform(size=20), rng.uniform(size=20), np.arange(1, 21)
    orders = (rng.permutation(20) for _ in range(4000))
    paths = np.array([outcome[o] @ path_weights(validation[o], budgets) for o in orders])
    error = np.abs(paths.mean(0) - outcome @ choice_weights(validation, budgets))
    assert np.all(error <= 4 * paths.std(0) / np.sqrt(4000) + 1e-12)


def test_a_long_budget_is_thinned_and_keeps_its_ends():
    """A curve has every n up to 256; beyond, about 200 of them and each arm's last."""
    assert budget_ladder([100]).tolist() == list(range(1, 101))
    long = budget_ladder([700, 5000])
    assert len(long) <= 202
    assert {1, 700, 5000} <= set(long.tolist())


def test_a_curve_has_a_row_for_each_block():
    """Each arm has a curve with a row for each of its blocks, up to its smallest pool."""
    table = make_table(blocks=3)
    pools = pools_by_arm(table)
    curves = tuning_curves(pools)
    assert [*curves] == [arm.name for arm in ARMS]
    assert curves["random"].test.shape == (3, 36)
    assert tuning_curves({"grid": pools["grid"][1:2]})["grid"].blocks == (1,)
