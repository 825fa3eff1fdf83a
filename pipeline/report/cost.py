"""The same curves against what was paid, epochs or seconds, and the optuna_store of what each arm was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.report.curves import Pool, incumbents
from pipeline.report.intervals import Array
from pipeline.study.spec import Arm

ORDERS = 2_000
CELLS = 2_000_000  # of a pool's orders times its trials, at most
POINTS = 120


@dataclass(frozen=True)
class CostCurve:
    """Test accuracy of the choice once a cost has been paid, (K, costs), averaged over orders where that is allowed."""

    arm: Arm
    costs: Array
    test: Array


def cost_curves(pools: Sequence[Pool], columns: Sequence[str]) -> list[CostCurve]:
    """One arm's curve against the sum of each column of costs, from where every order has finished a trial."""
    axes = [_axis([pool.frame[column] for pool in pools]) for column in columns]
    found = np.swapaxes([_after(pool, columns, axes) for pool in pools], 0, 1)
    return [CostCurve(pools[0].arm, axis, test) for axis, test in zip(axes, found, strict=True)]


def _axis(paid: Sequence[pd.Series]) -> Array:
    """Costs from the dearest single trial to the smallest of the blocks' totals."""
    first, last = max(float(x.max()) for x in paid), min(float(x.sum()) for x in paid)
    return np.geomspace(first, max(first, last), POINTS) if first > 0 else np.zeros(POINTS)


def _after(pool: Pool, columns: Sequence[str], axes: Sequence[Array]) -> Array:
    """Mean over orders of the incumbent's test accuracy when each cost has been paid: a step, never a slope."""
    M, many = len(pool), max(min(ORDERS, CELLS // len(pool)), 1)
    visits = np.arange(M)[None]
    if pool.arm.exchangeable:
        visits = np.random.default_rng(pool.block).permuted(np.repeat(visits, many, axis=0), axis=1)
    best = np.take_along_axis(pool.test[visits], incumbents(pool.validation[visits]), axis=1)
    paid = [pool.frame[column].to_numpy(float)[visits] for column in columns]
    return np.stack([_paid_for(best, cost, axis) for cost, axis in zip(paid, axes, strict=True)])


def _paid_for(best: Array, cost: Array, axis: Array) -> Array:
    """The mean over orders of what was best, (orders, M), once the costs of the axis had been paid.

    One sorted search serves all orders: each one's running sum, as a share of its total, is moved up by its number.
    """
    orders, M = best.shape
    number, total = np.arange(orders)[:, None], cost.sum(axis=1, keepdims=True)
    total = np.where(total > 0, total, 1.0)  # where all diverged in their first epoch, nothing was paid for any of them
    spent = np.cumsum(cost, axis=1) / total + number
    place = np.searchsorted(spent.ravel(), (axis * (1 + 1e-9) / total + number).ravel(), side="right")
    finished = np.clip(place.reshape(orders, -1) - number * M, 1, M)
    return np.asarray(np.take_along_axis(best, finished - 1, axis=1).mean(axis=0))
