"""The paired difference of two arms, block by block, and the evidence that it is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.report.curves import Curve
from pipeline.report.intervals import DIFFERENCE, Array, Interval, detectable_difference, mean_interval, sign_flip_p
from pipeline.study.spec import Arm

LEVEL = 0.05
"""Of significance."""


@dataclass(frozen=True)
class Evidence:
    """What K differences, one for each block, say: their mean, its intervals, a p and what could have been found."""

    differences: tuple[float, ...]

    @cached_property
    def interval(self) -> Interval:
        return mean_interval(np.array(self.differences), within=DIFFERENCE)

    @cached_property
    def narrow(self) -> Interval:
        """The 90 % interval, whose place inside ±delta is a test of equivalence at 0.05 (two one-sided tests)."""
        return mean_interval(np.array(self.differences), 0.90, DIFFERENCE)

    @cached_property
    def p(self) -> float:
        return sign_flip_p(np.array(self.differences))

    @cached_property
    def detectable(self) -> float:
        return detectable_difference(np.array(self.differences))

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
    def evidence(self) -> Evidence:
        return Evidence(tuple(self.test[:, -1].tolist()))

    @cached_property
    def validation_evidence(self) -> Evidence:
        return Evidence(tuple(self.validation[:, -1].tolist()))


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
