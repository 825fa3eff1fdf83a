"""How often the first of two searches wins, after n trials of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.curves import Pool
from pipeline.report.intervals import BOOTSTRAP_BLOCKS, SHARE, Array, Interval, mean_band, mean_interval

# Sizes of a probability of superiority, after Vargha and Delaney (2000).
SIZES = ((0.56, "negligible"), (0.64, "small"), (0.71, "medium"))


@dataclass(frozen=True)
class Improvement:
    """P(first beats second) in each block: by test accuracy of the choice and by its validation accuracy, (K, budgets).

    Equals count half.
    """

    budgets: NDArray[np.int64]
    test: Array
    validation: Array

    @property
    def interval(self) -> Interval:
        """The probability at N* and its interval."""
        return improvement_interval(self.test[:, -1])

    @property
    def size(self) -> str:
        """How large the effect is, small, medium or large; nothing while the interval holds one half."""
        found = self.interval
        if not (found.low > 0.5 or found.high < 0.5):
            return ""
        away = 0.5 + abs(found.estimate - 0.5)
        return next((name for limit, name in SIZES if away < limit), "large")


def improvement(first: Sequence[Pool], second: Sequence[Pool], budgets: NDArray[np.int64]) -> Improvement:
    """The probability in each common block, exact within the block; the pools are those of the common blocks, in order."""
    pairs = [_block(a, b, budgets) for a, b in zip(first, second, strict=True)]
    test, validation = np.swapaxes(pairs, 0, 1)
    return Improvement(budgets, test, validation)


def _block(first: Pool, second: Pool, budgets: NDArray[np.int64]) -> Array:
    """By test and by validation accuracy, (2, budgets)."""
    chosen = first.choice(budgets), second.choice(budgets)
    return np.stack(
        [_wins(first.test, second.test, *chosen), _wins(first.validation, second.validation, *chosen)],
    )


def _wins(x: Array, y: Array, x_chosen: Array, y_chosen: Array) -> Array:
    """P(X > Y) + P(X = Y)/2 for independent choices of x (M, budgets) and of y, (budgets,)."""
    beats = np.sign(np.subtract.outer(x, y)) / 2 + 0.5
    wins: Array = np.einsum("in,in->n", x_chosen, beats @ y_chosen)
    return wins


def improvement_interval(chances: Array) -> Interval:
    """The mean of K probabilities with a 95 % interval that stays within 0 and 1.

    Where most blocks are a plain win, loss or draw, as after all trials of a pool, the interval is Clopper and Pearson's
    for K pairs, exact if all are wins or losses; a sum of wins that is not whole is rounded down for the low end and up
    for the high one. Otherwise it is a t-interval over blocks, and from 20 blocks on a BCa bootstrap.
    """
    chances = np.round(chances, 9)  # the weights of trials that tie add up to 1 but for rounding
    K, mean = len(chances), float(np.mean(chances))
    if np.isin(chances, (0, 0.5, 1)).mean() >= 0.5:
        wins = [int(whole(np.round(np.sum(chances), 6))) for whole in (np.floor, np.ceil)]
        low, high = (stats.binomtest(k, K).proportion_ci(0.95, "exact") for k in wins)
        return Interval(mean, float(low.low), float(high.high))
    if K < BOOTSTRAP_BLOCKS or np.ptp(chances) == 0:
        return mean_interval(chances, within=SHARE)
    return Interval(mean, *bootstrap_interval(chances))


def bootstrap_interval(x: Array) -> tuple[float, float]:
    """The BCa bootstrap interval of a mean, fit for 20 values or more."""
    ends = stats.bootstrap(
        (x,), np.mean, method="BCa", vectorized=True, batch=1000, rng=np.random.default_rng(0)
    ).confidence_interval
    return float(ends.low), float(ends.high)


def improvement_band(found: Improvement) -> tuple[Array, Array, Array]:
    """The curve over n with a descriptive band, a t-interval cut at 0 and 1."""
    return mean_band(found.test, within=SHARE)
