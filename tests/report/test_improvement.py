"""The probability of improvement: the mean over every pair of orders, and its intervals near 0 and 1."""

import itertools

import numpy as np
import pytest
from synthetic import EMPTY, RANDOM

from pipeline.report.curves import Pool
from pipeline.report.improvement import Improvement, improvement, improvement_interval
from pipeline.study.spec import Arm


def pool(validation, test, arm=RANDOM):
    """A pool of one block."""
    return Pool(arm, 0, np.array(validation, float), np.array(test, float), EMPTY, ())


def chosen(validation, test, n):
    """The test scores of the choice over all orders, (orders,)."""
    for order in itertools.permutations(range(len(validation)), n):
        best = max(validation[i] for i in order)
        tied = [i for i in order if validation[i] == best]
        yield from [test[tied[j % len(tied)]] for j in range(12)]  # equals share; 12 is a multiple of their number


def test_the_formula_equals_every_pair_of_orders():
    """P(win) + P(draw)/2 over all pairs of orders of two small pools, ties included, to 1e-12."""
    a, b = ([0.5, 0.5, 0.7, 0.1], [0.6, 0.2, 0.5, 0.9]), ([0.4, 0.7, 0.7], [0.5, 0.6, 0.3])
    budgets = np.arange(1, 4)
    found = improvement([pool(*a)], [pool(*b)], budgets).test[0]
    for n in budgets.tolist():
        pairs = itertools.product(chosen(*a, n), chosen(*b, n))
        expected = np.mean([(x > y) + (x == y) / 2 for x, y in pairs])
        assert found[n - 1] == pytest.approx(expected, abs=1e-12)


def test_equal_arms_win_half_of_the_time():
    """A pool against itself has one half at every n, and the probabilities of both sides sum to 1."""
    rng = np.random.default_rng(0)
    x, y = (pool(rng.integers(0, 9, 30), rng.integers(0, 9, 30)) for _ in range(2))
    budgets = np.arange(1, 31)
    np.testing.assert_allclose(improvement([x], [x], budgets).test, 0.5)
    np.testing.assert_allclose(improvement([x], [y], budgets).test + improvement([y], [x], budgets).test, 1)


def test_single_paths_keep_their_order():
    """Two adaptive arms give a win, a loss or a draw at every n."""
    x = pool([0.1, 0.5, 0.4], [0.2, 0.6, 0.9], Arm("tpe"))
    y = pool([0.1, 0.3, 0.6], [0.2, 0.5, 0.7], Arm("gp"))
    np.testing.assert_array_equal(improvement([x], [y], np.arange(1, 4)).test[0], [0.5, 1, 0])


@pytest.mark.parametrize(
    ("chances", "expected"),
    [
        ([1] * 10, (1, 0.6915, 1)),
        ([0] * 10, (0, 0, 0.3085)),
        ([1] * 7 + [0] * 3, (0.7, 0.3475, 0.9333)),
        ([1] * 5 + [0.5] * 3 + [0] * 2, (0.65, 0.2624, 0.9333)),
        ([1] * 5 + [0.75], (0.9583, 0.3588, 1)),
        ([1] * 3 + [0.7] * 3, (0.85, 0.3588, 1)),
        ([0.75] * 20, (0.75, 0.75, 0.75)),
    ],
)
def test_wins_have_an_exact_interval(chances, expected):
    """Clopper and Pearson's if half of the blocks are plain, a fractional sum rounded outwards; equal values have width 0."""
    found = improvement_interval(np.array(chances, float))
    assert (found.estimate, found.low, found.high) == pytest.approx(expected, abs=1e-4)


def test_an_interval_stays_within_0_and_1():
    """Probabilities near 1 do not give an interval beyond it, by t or by bootstrap."""
    rng = np.random.default_rng(0)
    for blocks in (6, 25):
        found = improvement_interval(1 - 0.05 * rng.uniform(size=blocks) ** 4)
        assert 0.9 < found.low <= found.estimate <= found.high <= 1


def test_an_effect_has_a_size_only_if_it_is_detected():
    """An interval that holds one half has no size in words."""
    sizes = [0.51, 0.60, 0.68, 0.9, 0.1]
    effects = [
        Improvement(np.array([1]), np.full((30, 1), p) + 0.001 * np.eye(30)[:, :1], np.zeros((30, 1))) for p in sizes
    ]
    assert [found.size for found in effects] == ["negligible", "small", "medium", "large", "large"]
    unsure = Improvement(np.array([1]), np.array([[1.0]] * 7 + [[0.0]] * 3), np.zeros((10, 1)))
    assert unsure.size == ""


@pytest.mark.parametrize("ties", range(1, 11))
def test_a_plain_win_is_one_however_many_trials_tie(ties):
    """Ten wins have Clopper and Pearson's interval; the rounding of tied weights does not change it."""
    first, second = pool([0.9] * ties, [0.8] * ties), pool([0.5], [0.3])
    budget = np.array([1])
    chances = np.repeat(improvement([first], [second], budget).test[:, -1], 10)
    found = improvement_interval(chances)
    assert (found.low, found.high) == (pytest.approx(0.6915, abs=1e-4), 1.0)
