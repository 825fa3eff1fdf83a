"""The probability of improvement: how often the first of two arms wins after n trials of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.curves import Pool
from pipeline.report.intervals import BOOTSTRAP_BLOCKS, SHARE, Array, Interval, mean_interval

# Sizes of a probability of superiority, after Vargha and Delaney (2000).
SIZES = ((0.56, "negligible"), (0.64, "small"), (0.71, "medium"))


@dataclass(frozen=True)
class Improvement:
    """P(first beats second) in each block by test and validation accuracy, (K, budgets); ties count half."""

    budgets: NDArray[np.int64]
    test: Array
    validation: Array

    @property
    def interval(self) -> Interval:
        """The probability at N* and its interval."""
        return improvement_interval(self.test[:, -1])

    @property
    def size(self) -> str:
        """The size of the effect in a word; empty while the interval holds one half."""
        interval = self.interval
        if interval.low <= 0.5 <= interval.high:
            return ""
        distance = 0.5 + abs(interval.estimate - 0.5)
        return next((name for limit, name in SIZES if distance < limit), "large")


def improvement(first: Sequence[Pool], second: Sequence[Pool], budgets: NDArray[np.int64]) -> Improvement:
    """Compute the exact probability in each of the K blocks that two arms have in common, for numbers of trials n.

    The pools of both arms are in the same order of blocks.
    """
    test, validation = np.swapaxes([_block(a, b, budgets) for a, b in zip(first, second, strict=True)], 0, 1)
    return Improvement(budgets, test, validation)


def _block(first: Pool, second: Pool, budgets: NDArray[np.int64]) -> Array:
    """One block's probabilities by test and by validation accuracy, (2, budgets)."""
    weights = first.choice(budgets), second.choice(budgets)
    return np.stack([_wins(first.test, second.test, *weights), _wins(first.validation, second.validation, *weights)])


def _wins(x: Array, y: Array, x_weights: Array, y_weights: Array) -> Array:
    """P(X > Y) + P(X = Y)/2 for independent choices from x and y with weights (M, budgets); (budgets,)."""
    beats = np.sign(np.subtract.outer(x, y)) / 2 + 0.5
    wins: Array = np.einsum("in,in->n", x_weights, beats @ y_weights)
    return wins


def improvement_interval(probabilities: Array) -> Interval:
    """Compute the mean of K probabilities and its 95 % interval, within 0 and 1.

    Where at least half of the blocks are a plain win, loss or draw, as after all trials of a pool, the interval is
    Clopper and Pearson's for K pairs, which is exact if all are wins or losses. A sum of wins that is not a whole number
    is rounded down for the low end and up for the high end. Otherwise it is a t-interval, and from 20 blocks on a BCa
    bootstrap.
    """
    probabilities = np.round(probabilities, 9)  # the weights of tied trials sum to 1 only up to rounding
    K, mean = len(probabilities), float(np.mean(probabilities))
    if np.isin(probabilities, (0, 0.5, 1)).mean() >= 0.5:
        wins = [int(whole(np.round(np.sum(probabilities), 6))) for whole in (np.floor, np.ceil)]
        low, high = (stats.binomtest(k, K).proportion_ci(0.95, "exact") for k in wins)
        return Interval(mean, float(low.low), float(high.high))
    if K < BOOTSTRAP_BLOCKS or np.ptp(probabilities) == 0:
        return mean_interval(probabilities, within=SHARE)
    ends = stats.bootstrap(
        (probabilities,), np.mean, method="BCa", vectorized=True, batch=1000, rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(mean, float(ends.low), float(ends.high))
