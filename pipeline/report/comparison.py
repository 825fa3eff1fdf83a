"""The paired difference of two arms over blocks, its tests, and the comparison of all arms with each other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.curves import Curve, Pool
from pipeline.report.improvement import Improvement, improvement
from pipeline.report.intervals import (
    DIFFERENCE,
    MINIMUM_BLOCKS,
    Array,
    Interval,
    Range,
    mean_interval,
    sign_flip_p,
)
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Arm


@dataclass(frozen=True)
class Difference:
    """The differences of two arms in K blocks: their mean, its 95 % interval and its p.

    ``within`` is the range of possible means.
    """

    by_block: tuple[float, ...]
    within: Range = DIFFERENCE

    @cached_property
    def interval(self) -> Interval:
        """The mean and its 95 % interval."""
        return mean_interval(np.array(self.by_block), within=self.within)

    @cached_property
    def p(self) -> float:
        """The two-sided p of the mean, by sign flips."""
        return sign_flip_p(np.array(self.by_block))


@dataclass(frozen=True)
class Comparison:
    """First arm minus second on the K blocks that both have.

    ``test`` and ``validation`` are the differences of the values of the very model that was chosen after n trials,
    (K, budgets). ``expected`` is that of the expected value of the choice after all trials
    (:attr:`pipeline.report.selection.Choice.expected`), (K,).
    """

    first: Arm
    second: Arm
    blocks: tuple[int, ...]
    budgets: NDArray[np.int64]
    test: Array
    validation: Array
    expected: Array
    metric: Metric = ACCURACY

    @property
    def trials(self) -> int:
        """N*, the number of trials that the verdict is about."""
        return int(self.budgets[-1])

    @cached_property
    def difference(self) -> Difference:
        """The difference of the test values of the very models that were chosen after N* trials."""
        return self._difference(self.test[:, -1])

    @cached_property
    def validation_difference(self) -> Difference:
        """The difference of their validation values."""
        return self._difference(self.validation[:, -1])

    @cached_property
    def expected_difference(self) -> Difference:
        """The difference of the expected value of the choice, which the verdict is about."""
        return self._difference(self.expected)

    def _difference(self, by_block: Array) -> Difference:
        return Difference(tuple(by_block.tolist()), self.metric.differences)


Expected = Mapping[str, Mapping[int, float]]
"""The expected test value of the choice in each block, by the arm's name."""


def compare(first: Curve, second: Curve, expected: Expected) -> Comparison | None:
    """Pair two curves by block, up to the smaller budget; return None if they have no block in common."""
    blocks = tuple(block for block in first.blocks if block in second.blocks)
    if not blocks:
        return None
    a, b, n = first.on(blocks), second.on(blocks), min(len(first.budgets), len(second.budgets))
    test, validation = a.test[:, :n] - b.test[:, :n], a.validation[:, :n] - b.validation[:, :n]
    one, other = expected[first.arm.name], expected[second.arm.name]
    gains = np.array([one[block] - other[block] for block in blocks]).round(12)  # weights sum to 1 only up to rounding
    return Comparison(first.arm, second.arm, blocks, first.budgets[:n], test, validation, gains, first.metric)


def improvement_of(comparison: Comparison, pools: Mapping[str, Sequence[Pool]]) -> Improvement:
    """Compute the probability of improvement of a comparison's first arm, on its blocks."""
    arms = comparison.first.name, comparison.second.name
    first, second = ([pool for pool in pools[arm] if pool.block in comparison.blocks] for arm in arms)
    return improvement(first, second, comparison.budgets)


@dataclass(frozen=True)
class Pair:
    """The comparison of two of many arms, with p corrected for all pairs; NaN for too few blocks."""

    comparison: Comparison
    improvement: Improvement
    corrected_p: float


def compare_all(curves: Mapping[str, Curve], pools: Mapping[str, Sequence[Pool]], expected: Expected) -> list[Pair]:
    """Compare each pair of arms that has a common block; p is corrected by the method of Benjamini and Yekutieli."""
    comparisons = [c for a, b in itertools.combinations(curves.values(), 2) if (c := compare(a, b, expected))]
    tested = [i for i, c in enumerate(comparisons) if len(c.blocks) >= MINIMUM_BLOCKS]
    corrected = np.full(len(comparisons), np.nan)
    if tested:
        p = [comparisons[i].expected_difference.p for i in tested]
        corrected[tested] = stats.false_discovery_control(p, method="by")
    return [Pair(c, improvement_of(c, pools), float(p)) for c, p in zip(comparisons, corrected, strict=True)]
