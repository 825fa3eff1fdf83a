"""The paired difference of two arms, block by block, and the evidence that it is more than chance."""

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
    detectable_difference,
    mean_interval,
    sign_flip_p,
)
from pipeline.study.spec import Arm

LEVEL = 0.05
"""Of significance."""


@dataclass(frozen=True)
class Difference:
    """What K differences, one for each block, say: their mean, its intervals, a p and what could have been found."""

    by_block: tuple[float, ...]

    @cached_property
    def interval(self) -> Interval:
        return mean_interval(np.array(self.by_block), within=DIFFERENCE)

    @cached_property
    def narrow(self) -> Interval:
        """The 90 % interval, whose place inside ±delta is a test of equivalence at 0.05 (two one-sided tests)."""
        return mean_interval(np.array(self.by_block), 0.90, DIFFERENCE)

    @cached_property
    def p(self) -> float:
        return sign_flip_p(np.array(self.by_block))

    @cached_property
    def detectable(self) -> float:
        return detectable_difference(np.array(self.by_block))

    @property
    def detected(self) -> bool:
        """Whether a difference is established: the 95 % interval and the exact test must agree."""
        return self.excludes_zero and self.p < LEVEL

    @property
    def excludes_zero(self) -> bool:
        """Whether the 95 % interval leaves out 0."""
        return not self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True)
class Comparison:
    """Two arms on the blocks that both have: first minus second of test and of validation accuracy, (K, budgets)."""

    first: Arm
    second: Arm
    blocks: tuple[int, ...]
    budgets: NDArray[np.int64]
    test: Array
    validation: Array

    @property
    def trials(self) -> int:
        """N*, the number of trials that the verdict is about."""
        return int(self.budgets[-1])

    @cached_property
    def difference(self) -> Difference:
        return Difference(tuple(self.test[:, -1].tolist()))

    @cached_property
    def validation_difference(self) -> Difference:
        return Difference(tuple(self.validation[:, -1].tolist()))


def compare(first: Curve, second: Curve) -> Comparison | None:
    """The paired comparison of two curves, or None if they have no block in common."""
    blocks = tuple(block for block in first.blocks if block in second.blocks)
    if not blocks:
        return None
    rows_1, rows_2 = ([curve.blocks.index(block) for block in blocks] for curve in (first, second))
    n = min(len(first.budgets), len(second.budgets))
    test, validation = (
        a[rows_1, :n] - b[rows_2, :n] for a, b in ((first.test, second.test), (first.validation, second.validation))
    )
    return Comparison(first.arm, second.arm, blocks, first.budgets[:n], test, validation)


@dataclass(frozen=True)
class Pair:
    """Two arms, their difference, their probability of improvement, and a p corrected for all pairs (NaN: too few)."""

    comparison: Comparison
    improvement: Improvement
    corrected_p: float


def compare_all(curves: Mapping[str, Curve], pools: Sequence[Pool]) -> list[Pair]:
    """Every pair of arms with a block in common; p by sign flips, corrected by Benjamini and Yekutieli's method."""
    found = [compare(a, b) for a, b in itertools.combinations(curves.values(), 2)]
    comparisons = [c for c in found if c]
    enough = [len(c.blocks) >= MINIMUM_BLOCKS for c in comparisons]
    p = np.array([c.difference.p for c, is_enough in zip(comparisons, enough, strict=True) if is_enough])
    corrected = iter(stats.false_discovery_control(p, method="by") if len(p) else ())
    return [
        Pair(c, improvement_of(c, pools), float(next(corrected)) if is_enough else float("nan"))
        for c, is_enough in zip(comparisons, enough, strict=True)
    ]


def improvement_of(comparison: Comparison, pools: Sequence[Pool]) -> Improvement:
    """The probability of improvement of a comparison's first arm, on its blocks."""
    own = {(pool.arm.name, pool.block): pool for pool in pools}
    first, second = ([own[arm.name, b] for b in comparison.blocks] for arm in (comparison.first, comparison.second))
    return improvement(first, second, comparison.budgets)
