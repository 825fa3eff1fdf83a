"""How good the best model is after n trials: exact over all orders where the order carries no information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.intervals import Array
from pipeline.report.table import TrialsTable
from pipeline.study.spec import Arm
from pipeline.training.metrics import BEST_VAL_ACCURACY, TEST_ACCURACY

ALL_BUDGETS = 256  # up to here a curve has a point at every n; beyond, at 200 of them


@dataclass(frozen=True)
class Pool:
    """The trials of one arm in one block, in the order visited: validation and test accuracy, (M,) each."""

    arm: Arm
    block: int
    validation: Array
    test: Array
    frame: pd.DataFrame
    searched: tuple[str, ...]
    whole: bool = True
    """Whether there are as many trials as its grid has points, if it is one."""

    @cached_property
    def tried(self) -> list[tuple[str, ...]]:
        """Its configurations as texts, (M,), to be compared."""
        return list(zip(*(self.frame[name].map(repr) for name in self.searched), strict=True))

    def __len__(self) -> int:
        return len(self.validation)

    def choice(self, budgets: NDArray[np.int64]) -> Array:
        """P(validation chooses a trial, if n of them have been run), (M, budgets); each column sums to 1."""
        weights = choice_weights if self.arm.exchangeable else path_weights
        return weights(self.validation, budgets)


@dataclass(frozen=True)
class Curve:
    """One arm's tuning curve in each of its K blocks: accuracy of the choice after n trials, (K, budgets)."""

    arm: Arm
    blocks: tuple[int, ...]
    budgets: NDArray[np.int64]
    validation: Array
    test: Array


def pools(table: TrialsTable) -> Iterator[Pool]:
    """The pools of a table, arm by arm and block by block."""
    arms = {arm.name: arm for arm in table.study.arms}
    for (name, block), rows in table.frame.groupby(["arm", "block"], sort=False):
        validation, test = (rows[column].to_numpy(float) for column in (BEST_VAL_ACCURACY, TEST_ACCURACY))
        whole = len(rows) >= table.study.space.grid_size
        yield Pool(arms[str(name)], int(block), validation, test, rows, tuple(table.study.space), whole)


def selection_weights(validation: Array, budgets: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array]:
    """P(the best of n trials drawn without replacement has the i-th smallest distinct score), (distinct, budgets).

    P_i(n) = [C(c_i, n) - C(c_{i-1}, n)] / C(M, n), with c_i the number of trials that score at most the i-th value.
    Also returns each trial's i, (M,).
    """
    _, rank, counts = np.unique(validation, return_inverse=True, return_counts=True)
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    at_most = stats.hypergeom.pmf(budgets[None, :], len(validation), cumulative[:, None], budgets[None, :])
    return rank, np.diff(at_most, axis=0)


def choice_weights(validation: Array, budgets: NDArray[np.int64]) -> Array:
    """P(a trial is the best-validated of n) over all orders of the pool, (M, budgets); equals share."""
    rank, weights = selection_weights(validation, budgets)
    shares: Array = weights[rank] / np.bincount(rank)[rank, None]
    return shares


def path_weights(validation: Array, budgets: NDArray[np.int64]) -> Array:
    """1 where a trial is the best of the first n in the order visited, else 0, (M, budgets); the earlier of equals stays."""
    return np.equal.outer(np.arange(len(validation)), incumbents(validation)[budgets - 1]).astype(float)


def incumbents(validation: Array) -> NDArray[np.int64]:
    """Which trial is the best so far, after each trial, along the last axis (..., M)."""
    best = np.maximum.accumulate(validation, axis=-1)
    improves = np.diff(best, axis=-1, prepend=-np.inf) > 0
    return np.maximum.accumulate(np.where(improves, np.arange(best.shape[-1]), 0), axis=-1)


def tuning_curves(found: list[Pool]) -> dict[str, Curve]:
    """Each arm's curve, by name, up to the smallest of its pools."""
    smallest: dict[str, int] = {}
    for pool in found:
        smallest[pool.arm.name] = min(len(pool), smallest.get(pool.arm.name, len(pool)))
    ladder = budget_ladder(sorted(set(smallest.values())))
    return {name: _curve([p for p in found if p.arm.name == name], ladder[ladder <= n]) for name, n in smallest.items()}


def budget_ladder(ends: list[int]) -> NDArray[np.int64]:
    """The numbers of trials that curves are drawn at, the given ends among them."""
    if ends[-1] <= ALL_BUDGETS:
        return np.arange(1, ends[-1] + 1)
    return np.unique([*np.geomspace(1, ends[-1], 200).round().astype(int), *ends]).astype(np.int64)


def _curve(found: list[Pool], budgets: NDArray[np.int64]) -> Curve:
    validation, test = np.swapaxes([_outcomes(pool, budgets) for pool in found], 0, 1)
    return Curve(found[0].arm, tuple(pool.block for pool in found), budgets, validation, test)


def _outcomes(pool: Pool, budgets: NDArray[np.int64]) -> Array:
    """Validation and test accuracy of the choice, (2, budgets)."""
    return np.stack([pool.validation, pool.test]) @ pool.choice(budgets)
