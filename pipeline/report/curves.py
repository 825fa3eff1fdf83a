"""How good the best model is after n trials: exact over all orders where the order carries no information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.intervals import Array
from pipeline.report.table import TrialsTable
from pipeline.spec import Arm

ALL_BUDGETS = 256  # up to here a curve has a point at every n; beyond, at 200 of them


@dataclass(frozen=True)
class Pool:
    """The trials of one arm in one block, in the order visited: validation and test accuracy, (M,) each."""

    arm: Arm
    block: int
    validation: Array
    test: Array
    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.validation)

    def after(self, outcome: Array, budgets: NDArray[np.int64]) -> Array:
        """The outcome (M,) of the trial that validation would have chosen after n trials, (budgets,)."""
        method = best_after if self.arm.exchangeable else best_so_far
        return method(self.validation, outcome, budgets)


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
        validation, test = (rows[column].to_numpy(float) for column in ("best/val_accuracy", "test/accuracy"))
        yield Pool(arms[str(name)], int(block), validation, test, rows)


def selection_weights(validation: Array, budgets: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array]:
    """P(the best of n trials drawn without replacement has the i-th smallest distinct score), (distinct, budgets).

    P_i(n) = [C(c_i, n) - C(c_{i-1}, n)] / C(M, n), with c_i the number of trials that score at most the i-th value.
    Also returns each trial's i, (M,).
    """
    _, rank, counts = np.unique(validation, return_inverse=True, return_counts=True)
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    at_most = stats.hypergeom(len(validation), cumulative[:, None], budgets[None, :]).pmf(budgets[None, :])
    return rank, np.diff(at_most, axis=0)


def best_after(validation: Array, outcome: Array, budgets: NDArray[np.int64]) -> Array:
    """Expected outcome of the best-validated of n trials, over all orders of the pool; ties share, (budgets,)."""
    rank, weights = selection_weights(validation, budgets)
    tied_mean = np.bincount(rank, outcome) / np.bincount(rank)
    result: Array = tied_mean @ weights
    return result


def best_so_far(validation: Array, outcome: Array, budgets: NDArray[np.int64]) -> Array:
    """Outcome of the best-validated trial among the first n, in the order visited; the earlier of two equals stays."""
    return outcome[incumbents(validation)][budgets - 1]


def incumbents(validation: Array) -> NDArray[np.int64]:
    """Which trial is the best so far, after each trial, (M,)."""
    best = np.maximum.accumulate(validation)
    improves = np.concatenate([[True], best[1:] > best[:-1]])
    return np.maximum.accumulate(np.where(improves, np.arange(len(best)), 0))


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
    validation = np.array([pool.after(pool.validation, budgets) for pool in found])
    test = np.array([pool.after(pool.test, budgets) for pool in found])
    return Curve(found[0].arm, tuple(pool.block for pool in found), budgets, validation, test)
