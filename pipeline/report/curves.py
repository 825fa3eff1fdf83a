"""Tuning curves: the value of the chosen model, such as its accuracy, after n trials.

For an exchangeable arm, whose order of trials carries no information, the curve is the exact mean over all orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.intervals import Array
from pipeline.report.trials_table import TrialsTable
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Arm

ALL_BUDGETS = 256  # up to this budget a curve has a point at every n; beyond, at about 200 of them


@dataclass(frozen=True)
class Pool:
    """The M trials of one arm in one block, in the order visited: validation and test values, (M,)."""

    arm: Arm
    block: int
    validation: Array
    test: Array
    frame: pd.DataFrame
    searched: tuple[str, ...]
    whole: bool = True
    """True if there are at least as many trials as the grid of the space has points."""
    metric: Metric = ACCURACY

    @cached_property
    def tried(self) -> list[tuple[str, ...]]:
        """The configurations as texts that can be compared, (M,)."""
        return list(zip(*(self.frame[name].map(repr) for name in self.searched), strict=True))

    def __len__(self) -> int:
        return len(self.validation)

    def choice(self, budgets: NDArray[np.int64]) -> Array:
        """The probability that validation chooses each trial after n trials, (M, budgets); each column sums to 1."""
        weights = choice_weights if self.arm.exchangeable else path_weights
        return weights(self.validation, budgets)


@dataclass(frozen=True)
class Curve:
    """One arm's tuning curve in each of its K blocks: the value of the chosen model after n trials, (K, budgets)."""

    arm: Arm
    blocks: tuple[int, ...]
    budgets: NDArray[np.int64]
    validation: Array
    test: Array
    metric: Metric = ACCURACY

    def on(self, blocks: Sequence[int]) -> Curve:
        """Return the curve in these blocks alone, in their order."""
        rows = [self.blocks.index(block) for block in blocks]
        return replace(self, blocks=tuple(blocks), validation=self.validation[rows], test=self.test[rows])


def pools_by_arm(table: TrialsTable) -> dict[str, list[Pool]]:
    """Split a table into the pools of each arm that has trials; arms are in the order declared."""
    arms, space, metric = {arm.name: arm for arm in table.study.arms}, table.study.space, table.study.objective
    pools: dict[str, list[Pool]] = {}
    for (name, block), rows in table.frame.groupby(["arm", "block"], sort=False):
        validation, test = (rows[column].to_numpy(float) for column in (metric.best_val, metric.test))
        pool = Pool(arms[name], int(block), validation, test, rows, tuple(space), len(rows) >= space.grid_size, metric)
        pools.setdefault(name, []).append(pool)
    return pools


def choice_weights(validation: Array, budgets: NDArray[np.int64]) -> Array:
    """Compute P(a trial is the best-validated of n) over all orders of the pool, (M, budgets); ties share it equally.

    The best of n trials, drawn without replacement, has the i-th smallest distinct score with probability
    P_i(n) = [C(c_i, n) - C(c_{i-1}, n)] / C(M, n), with c_i the number of trials that score at most that value.
    """
    _, rank, counts = np.unique(validation, return_inverse=True, return_counts=True)
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    at_most = stats.hypergeom.pmf(budgets[None, :], len(validation), cumulative[:, None], budgets[None, :])
    weights: Array = np.diff(at_most, axis=0)[rank] / counts[rank, None]
    return weights


def path_weights(validation: Array, budgets: NDArray[np.int64]) -> Array:
    """Return 1 where a trial is the best of the first n, the earliest of ties, else 0, (M, budgets)."""
    return np.equal.outer(np.arange(len(validation)), incumbents(validation)[budgets - 1]).astype(float)


def incumbents(validation: Array) -> NDArray[np.int64]:
    """Return the index of the best trial so far after each trial, along the last axis, (..., M)."""
    best = np.maximum.accumulate(validation, axis=-1)
    improves = np.diff(best, axis=-1, prepend=-np.inf) > 0
    return np.maximum.accumulate(np.where(improves, np.arange(best.shape[-1]), 0), axis=-1)


def tuning_curves(pools: Mapping[str, Sequence[Pool]]) -> dict[str, Curve]:
    """Compute each arm's curve, by name, up to the smallest of its pools."""
    smallest = {name: min(map(len, blocks)) for name, blocks in pools.items()}
    ladder = budget_ladder(sorted(set(smallest.values())))
    return {name: _curve(pools[name], ladder[ladder <= n]) for name, n in smallest.items()}


def budget_ladder(ends: list[int]) -> NDArray[np.int64]:
    """Return the numbers of trials at which curves have a point; the given ends are among them."""
    if ends[-1] <= ALL_BUDGETS:
        return np.arange(1, ends[-1] + 1)
    return np.unique([*np.geomspace(1, ends[-1], 200).round().astype(int), *ends]).astype(np.int64)


def _curve(pools: Sequence[Pool], budgets: NDArray[np.int64]) -> Curve:
    values = [np.stack([pool.validation, pool.test]) @ pool.choice(budgets) for pool in pools]
    validation, test = np.swapaxes(values, 0, 1)
    return Curve(pools[0].arm, tuple(pool.block for pool in pools), budgets, validation, test, pools[0].metric)
