"""The test value of the chosen model against the cost paid so far, in epochs or seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.report.curves import Pool, incumbents
from pipeline.report.intervals import Array
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Arm

ORDERS = 2_000
CELLS = 2_000_000  # the most orders times trials of a pool
POINTS = 120


@dataclass(frozen=True)
class CostCurve:
    """Test values of the chosen model at each cost, (K, costs); for an exchangeable arm the mean over orders."""

    arm: Arm
    costs: Array
    test: Array
    metric: Metric = ACCURACY


def cost_curves(pools: Sequence[Pool], columns: Sequence[str]) -> list[CostCurve]:
    """Compute one arm's curve for each column of costs, from the cost at which every order has finished a trial."""
    axes = [_axis([pool.frame[column] for pool in pools]) for column in columns]
    values = np.swapaxes([_values(pool, columns, axes) for pool in pools], 0, 1)
    return [CostCurve(pools[0].arm, axis, test, pools[0].metric) for axis, test in zip(axes, values, strict=True)]


def _axis(costs: Sequence[pd.Series]) -> Array:
    """Costs from the most expensive trial to the smallest of the blocks' totals."""
    first, last = max(float(x.max()) for x in costs), min(float(x.sum()) for x in costs)
    return np.geomspace(first, max(first, last), POINTS) if first > 0 else np.zeros(POINTS)


def _values(pool: Pool, columns: Sequence[str], axes: Sequence[Array]) -> Array:
    """The incumbent's test value at each cost, a step function averaged over orders, (columns, costs)."""
    M, orders = len(pool), max(min(ORDERS, CELLS // len(pool)), 1)
    visits = np.arange(M)[None]
    if pool.arm.exchangeable:
        visits = np.random.default_rng(pool.block).permuted(np.repeat(visits, orders, axis=0), axis=1)
    best = np.take_along_axis(pool.test[visits], incumbents(pool.validation[visits]), axis=1)
    costs = [pool.frame[column].to_numpy(float)[visits] for column in columns]
    return np.stack([_at_costs(best, cost, axis) for cost, axis in zip(costs, axes, strict=True)])


def _at_costs(best: Array, cost: Array, axis: Array) -> Array:
    """The mean over orders of the incumbent's value, (orders, M), at the costs of the axis.

    One sorted search serves all orders: it finds the cost at which each trial has finished.
    """
    orders, M = best.shape
    points = len(axis) + 1  # the last is for trials that finish beyond the axis
    place = np.searchsorted(axis * (1 + 1e-9), np.cumsum(cost, axis=1)) + points * np.arange(orders)[:, None]
    counts = np.bincount(place.ravel(), minlength=orders * points).reshape(orders, points)[:, :-1]
    finished = np.clip(np.cumsum(counts, axis=1), 1, M)
    return np.asarray(np.take_along_axis(best, finished - 1, axis=1).mean(axis=0))
