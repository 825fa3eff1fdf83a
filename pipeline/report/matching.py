"""The number of trials with which one arm does as well as all trials of the other, as Bergstra and Bengio (2012) asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.report.curves import Curve
from pipeline.report.intervals import mean_band
from pipeline.study.spec import Arm

NOISE = 1e-12
"""Differences below this are those of rounding."""


@dataclass(frozen=True)
class Matching:
    """How many trials ``arm`` needs to do as well as all trials of ``other``, by the test value of the choice.

    ``low`` and ``high`` end the 95 % interval. A number is infinite if all trials of the arm are not enough, and the ends
    are NaN for a single block. ``budget`` and ``other_budget`` are the numbers of all trials of each.
    """

    arm: Arm
    other: Arm
    budget: int
    other_budget: int
    trials: float
    low: float
    high: float


def matching(first: Curve, second: Curve) -> Matching | None:
    """Return how many trials of an arm match all of the other's; None if they have no block in common.

    The arm is the one that is no grid, or the first. The difference of the two curves has a t-interval over blocks at
    each number of trials. The interval of the number goes from the first number at which the interval of the difference
    reaches 0 to the first at which it lies above 0.
    """
    blocks = [block for block in first.blocks if block in second.blocks]
    if not blocks:
        return None
    arm, other = (second, first) if first.arm.is_grid and not second.arm.is_grid else (first, second)
    mean, low, high = mean_band(arm.on(blocks).test - other.on(blocks).test[:, -1:], within=arm.metric.differences)
    ends = (_first(arm, high >= -NOISE), _first(arm, low > NOISE)) if len(blocks) > 1 else (np.nan, np.nan)
    budgets = int(arm.budgets[-1]), int(other.budgets[-1])
    return Matching(arm.arm, other.arm, *budgets, _first(arm, mean >= -NOISE), *ends)


def _first(curve: Curve, reached: NDArray[np.bool_]) -> float:
    """Return the first number of trials at which a condition holds, or infinity."""
    return float(curve.budgets[np.argmax(reached)]) if reached.any() else np.inf
