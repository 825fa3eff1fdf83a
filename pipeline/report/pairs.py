"""All arms against each other, with the tests corrected for how many there are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.report.comparison import Comparison, compare
from pipeline.report.curves import Curve, Pool
from pipeline.report.improvement import Improvement, improvement
from pipeline.report.intervals import MINIMUM_BLOCKS


@dataclass(frozen=True)
class Pair:
    """Two arms, their difference, their probability of improvement, and a p corrected for all pairs (NaN: too few)."""

    comparison: Comparison
    improvement: Improvement
    corrected_p: float


def all_pairs(curves: Mapping[str, Curve], pools: Sequence[Pool]) -> list[Pair]:
    """Every pair of arms with a block in common; p by sign flips, corrected by Benjamini and Yekutieli's method."""
    found = [compare(a, b) for a, b in itertools.combinations(curves.values(), 2)]
    comparisons = [c for c in found if c]
    enough = [len(c.blocks) >= MINIMUM_BLOCKS for c in comparisons]
    p = np.array([c.evidence.p for c, is_enough in zip(comparisons, enough, strict=True) if is_enough])
    corrected = iter(stats.false_discovery_control(p, method="by") if len(p) else ())
    return [
        Pair(c, improved(c, pools), float(next(corrected)) if is_enough else float("nan"))
        for c, is_enough in zip(comparisons, enough, strict=True)
    ]


def improved(comparison: Comparison, pools: Sequence[Pool]) -> Improvement:
    """The probability of improvement of a comparison's first arm, on its blocks."""
    own = {(pool.arm.name, pool.block): pool for pool in pools}
    first, second = ([own[arm.name, b] for b in comparison.blocks] for arm in (comparison.first, comparison.second))
    return improvement(first, second, comparison.budgets)
