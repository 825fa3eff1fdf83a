"""The number of trials that an arm needs to reach a target accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.curves import Pool
from pipeline.report.intervals import Array
from pipeline.study.spec import Arm

LADDER = (0.90, 0.95, 0.98, 0.99)
QUOTED = 0.98  # the rung of the ladder that the report quotes, fixed before any result is known
CENSUS, POOLED = "census of each grid", "binomial, blocks pooled"
FULL_GRID = "what the full grid found"


@dataclass(frozen=True)
class Target:
    """A validation accuracy to reach in each block; what a grid found differs between blocks."""

    name: str
    by_block: Mapping[int, float]

    @property
    def value(self) -> float:
        return float(np.mean(list(self.by_block.values())))


@dataclass(frozen=True)
class TrialsNeeded:
    """The trials that an arm needs to reach a target with probability 1/2 and 95 %, or infinity.

    ``low`` and ``high`` end the 95 % interval of ``median``, NaN without one. ``hits`` of ``trials`` reached the
    target, in ``hit_blocks`` of ``blocks``. ``method`` names the estimate.
    """

    arm: Arm
    median: float
    low: float
    high: float
    n95: float
    hits: int
    trials: int
    hit_blocks: int
    blocks: int
    method: str


def ladder(pools: Sequence[Pool], chance: float) -> list[Target]:
    """Return shares of the way from chance to the best trial, and what the full grid found, as targets."""
    blocks = sorted({pool.block for pool in pools})
    best = max(pool.validation.max() for pool in pools)
    targets = [
        Target(f"{share:.0%} of the best", dict.fromkeys(blocks, chance + share * (best - chance))) for share in LADDER
    ]
    grids = [pool for pool in pools if pool.arm.is_grid]
    first = [pool for pool in grids if pool.arm == grids[0].arm]
    if {pool.block for pool in first if pool.whole} == set(blocks):
        targets.append(Target(FULL_GRID, {pool.block: float(pool.validation.max()) for pool in first}))
    return targets


def hits(pools: Sequence[Pool], target: Target) -> list[NDArray[np.bool_]]:
    """Return which trials reach the target, (M,) for each of one arm's pools."""
    return [pool.validation >= target.by_block[pool.block] - 1e-12 for pool in pools]


def estimate_trials_needed(pools: Sequence[Pool], target: Target) -> TrialsNeeded:
    """Estimate the trials that one arm needs, by the method that fits its sampler."""
    arm, reached = pools[0].arm, hits(pools, target)
    if arm.sampler == "random":
        median, low, high, n95, method = _by_random(reached)
    elif not arm.is_grid:
        median, low, high, n95, method = _by_paths(reached)
    elif all(pool.whole for pool in pools):
        median, low, high, n95, method = _by_block(reached, visits, CENSUS)
    else:  # part of a grid is a sample of it; independent draws need at least as many trials
        median, low, high, n95, method = _by_block(reached, _draws_in_block, "part of each grid, as draws")
    by_block = [int(r.sum()) for r in reached]
    hit_blocks, trials = sum(found > 0 for found in by_block), sum(map(len, reached))
    return TrialsNeeded(arm, median, low, high, n95, sum(by_block), trials, hit_blocks, len(reached), method)


Reached = Sequence[NDArray[np.bool_]]
"""For each block, a mask of the trials that reach the target."""
Estimate = tuple[float, float, float, float, str]
"""Median, low and high end, 95 % quantile, and method."""


def _by_random(reached: Reached) -> Estimate:
    """N_q = ln(1 - q) / ln(1 - p) independent draws; p is pooled over blocks if their hit rates agree."""
    if not _homogeneous(reached):
        return _by_block(reached, _draws_in_block, "binomial in each block")
    k, M = sum(int(r.sum()) for r in reached), sum(map(len, reached))
    ends = stats.binomtest(k, M).proportion_ci(0.95, "exact")
    median, low, high = (draws(p, 0.5) for p in (k / M, ends.high, ends.low))
    return median, low, high, draws(k / M, 0.95), POOLED


def draws(p: float, q: float) -> float:
    """Return the number of independent draws after which a hit of probability p has come with probability q."""
    if p <= 0:
        return np.inf
    return float(np.ceil(np.log1p(-q) / np.log1p(-p))) if p < 1 else 1.0


def _draws_in_block(reached: NDArray[np.bool_], q: float) -> float:
    return draws(float(reached.mean()), q)


def _homogeneous(reached: Reached) -> bool:
    """Return True if a chi-square test does not reject equal hit rates, or hits are too few for it."""
    counts = np.array([[r.sum(), (~r).sum()] for r in reached])
    if len(counts) < 2 or counts.mean(axis=0).min() < 5:
        return True
    return bool(stats.chi2_contingency(counts).pvalue >= 0.01)


def visits(reached: NDArray[np.bool_], q: float) -> float:
    """Return the trials, drawn without replacement, after which a hit has come with probability q; infinite for no hit.

    This is exact for a whole grid in shuffled order.
    """
    n = np.arange(1, len(reached) + 1)
    missed = stats.hypergeom.pmf(0, len(reached), int(reached.sum()), n)
    enough = np.flatnonzero(1 - missed >= q - 1e-12)
    return float(n[enough[0]]) if len(enough) else np.inf


def _by_paths(reached: Reached) -> Estimate:
    """Single paths: the first hit of each block, censored at the budget, by the estimate of Kaplan and Meier."""
    first = first_hits(reached)
    hit = np.isfinite(first)
    budgets = [len(r) for r, is_hit in zip(reached, hit, strict=True) if not is_hit]
    cdf = stats.ecdf(stats.CensoredData(uncensored=first[hit], right=budgets)).cdf
    low, high = _median_ends(first)
    return _quantile(cdf, 0.5), low, high, _quantile(cdf, 0.95), "first hit of each block, censored"


def first_hits(reached: Reached) -> Array:
    """Return the number of the first trial that reaches the target, for each block; infinite if none does."""
    return np.array([np.argmax(r) + 1.0 if r.any() else np.inf for r in reached])


def _quantile(cdf: Any, q: float) -> float:
    enough = np.flatnonzero(cdf.probabilities >= q - 1e-12)
    return float(cdf.quantiles[enough[0]]) if len(enough) else np.inf


def _by_block(reached: Reached, trials: Callable[[NDArray[np.bool_], float], float], method: str) -> Estimate:
    """The median over blocks of their numbers of trials; the later of the middle two of an even number."""
    medians, n95 = ([trials(r, q) for r in reached] for q in (0.5, 0.95))
    middle, middle95 = (float(np.quantile(x, 0.5, method="higher")) for x in (medians, n95))
    return middle, *_median_ends(medians), middle95, method


def _median_ends(medians: Sequence[float] | Array) -> tuple[float, float]:
    """SciPy's distribution-free 95 % interval of a median; NaN for too few blocks."""
    ends = stats.quantile_test(medians, p=0.5).confidence_interval(0.95)
    return float(ends.low), float(ends.high)


def share_reached(pools: Sequence[Pool], targets: Sequence[Target], budgets: NDArray[np.int64]) -> Array:
    """Return the expected share of (block, target) pairs that one arm has reached after n trials, (budgets,)."""
    shares = [_reached_by(pool, r, budgets) for t in targets for pool, r in zip(pools, hits(pools, t), strict=True)]
    share: Array = np.stack(shares).mean(axis=0)
    return share


def _reached_by(pool: Pool, reached: NDArray[np.bool_], budgets: NDArray[np.int64]) -> Array:
    if pool.arm.exchangeable:
        missed: Array = stats.hypergeom.pmf(0, len(pool), int(reached.sum()), budgets)
        return 1.0 - missed
    first: float = first_hits([reached])[0]
    return (budgets >= first).astype(float)
