"""How many trials it takes to reach a target: the fixed-target view, where "twice as fast" has a meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.report.curves import Pool
from pipeline.report.intervals import Array
from pipeline.study.spec import Arm

LADDER = (0.90, 0.95, 0.98, 0.99)
HEADLINE = 0.98  # the rung that the verdict quotes, whatever the arms did
CENSUS, FULL_GRID = "census of each grid", "what the full grid found"


@dataclass(frozen=True)
class Target:
    """A validation accuracy to reach, by block, since what a grid found differs."""

    name: str
    by_block: Mapping[int, float]

    @property
    def value(self) -> float:
        return float(np.mean(list(self.by_block.values())))


@dataclass(frozen=True)
class TrialsNeeded:
    """Trials that an arm needs for an even chance of a target, and for a chance of 95 %; infinite where it has none.

    ``low`` and ``high`` end the 95 % interval, NaN where none is given; ``method`` says how all of it was computed.
    """

    arm: Arm
    median: float
    low: float
    high: float
    n95: float
    hits: int
    trials: int
    method: str


def ladder(pools: Sequence[Pool], chance: float) -> list[Target]:
    """The targets: chance plus 90, 95, 98 and 99 % of the way to the best seen, and what the full grid found."""
    blocks = sorted({pool.block for pool in pools})
    best = max(pool.validation.max() for pool in pools)
    found = [
        Target(f"{share:.0%} of the best", dict.fromkeys(blocks, chance + share * (best - chance))) for share in LADDER
    ]
    grids = [pool for pool in pools if pool.arm.is_grid]
    first = [pool for pool in grids if pool.arm == grids[0].arm]
    if {pool.block for pool in first if pool.whole} == set(blocks):
        found.append(Target(FULL_GRID, {pool.block: float(pool.validation.max()) for pool in first}))
    return found


def headline(targets: Sequence[Target]) -> Target:
    """The target that the verdict quotes."""
    return targets[LADDER.index(HEADLINE)]


def hits(pools: Sequence[Pool], target: Target) -> list[NDArray[np.bool_]]:
    """Which trials reach the target, for each of one arm's pools."""
    return [pool.validation >= target.by_block[pool.block] - 1e-12 for pool in pools]


def estimate_trials_needed(pools: Sequence[Pool], target: Target) -> TrialsNeeded:
    """What one arm needs to reach a target, by the method that its sampler allows."""
    arm, reached = pools[0].arm, hits(pools, target)
    if arm.sampler == "random":
        median, low, high, n95, method = _by_random(reached)
    elif arm.is_grid:
        by_grid = _by_grid if all(pool.whole for pool in pools) else _by_part_of_grid
        median, low, high, n95, method = by_grid(reached)
    else:
        median, low, high, n95, method = _by_paths(reached)
    return TrialsNeeded(arm, median, low, high, n95, sum(int(r.sum()) for r in reached), sum(map(len, reached)), method)


Estimate = tuple[float, float, float, float, str]


def _by_random(reached: Sequence[NDArray[np.bool_]]) -> Estimate:
    """Independent draws: N_q = ln(1 - q) / ln(1 - p), from all blocks together where their hit rates agree."""
    if _homogeneous(reached):
        k, M = sum(int(r.sum()) for r in reached), sum(map(len, reached))
        ends = stats.binomtest(k, M).proportion_ci(0.95, "exact")
        median, low, high = (draws(p, 0.5) for p in (k / M, ends.high, ends.low))
        return median, low, high, draws(k / M, 0.95), "binomial, blocks pooled"
    rates = [float(r.mean()) for r in reached]
    return _over_blocks([draws(p, 0.5) for p in rates], [draws(p, 0.95) for p in rates], "binomial in each block")


def draws(p: float, q: float) -> float:
    """Independent draws until a hit of probability p has come with probability q."""
    if p <= 0:
        return np.inf
    return float(np.ceil(np.log1p(-q) / np.log1p(-p))) if p < 1 else 1.0


def _homogeneous(reached: Sequence[NDArray[np.bool_]]) -> bool:
    """Whether the blocks' hit rates can be one: a chi-square test does not reject it, or hits are too few for the test."""
    counts = np.array([[r.sum(), (~r).sum()] for r in reached])
    if len(counts) < 2 or counts.mean(axis=0).min() < 5:
        return True
    return bool(stats.chi2_contingency(counts).pvalue >= 0.01)


def _by_grid(reached: Sequence[NDArray[np.bool_]]) -> Estimate:
    """A grid in shuffled order: exact in each block, from the number of its points that reach the target."""
    return _over_blocks([visits(r, 0.5) for r in reached], [visits(r, 0.95) for r in reached], CENSUS)


def _by_part_of_grid(reached: Sequence[NDArray[np.bool_]]) -> Estimate:
    """A grid of which some points were visited: a sample of it, taken for independent draws, which needs no fewer."""
    rates = [float(r.mean()) for r in reached]
    return _over_blocks([draws(p, 0.5) for p in rates], [draws(p, 0.95) for p in rates], "part of each grid, as draws")


def visits(reached: NDArray[np.bool_], q: float) -> float:
    """Trials drawn without replacement until a hit has come with probability q; infinite if there is none."""
    n = np.arange(1, len(reached) + 1)
    missed = stats.hypergeom.pmf(0, len(reached), int(reached.sum()), n)
    enough = np.flatnonzero(1 - missed >= q - 1e-12)
    return float(n[enough[0]]) if len(enough) else np.inf


def _by_paths(reached: Sequence[NDArray[np.bool_]]) -> Estimate:
    """Single paths: the first hit of each block, censored at the budget, by Kaplan and Meier's estimate."""
    first = first_hits(reached)
    seen = stats.ecdf(stats.CensoredData(uncensored=first[np.isfinite(first)], right=_censored(reached, first)))
    median, n95 = (_quantile(seen.cdf, q) for q in (0.5, 0.95))
    _, low, high, _, _ = _over_blocks(list(first), list(first), "")
    return median, low, high, n95, "first hit of each block, censored"


def first_hits(reached: Sequence[NDArray[np.bool_]]) -> Array:
    """The number of the first trial that reaches the target, in each block; infinite where none does."""
    return np.array([np.argmax(r) + 1.0 if r.any() else np.inf for r in reached])


def _censored(reached: Sequence[NDArray[np.bool_]], first: Array) -> list[int]:
    return [len(r) for r, n in zip(reached, first, strict=True) if not np.isfinite(n)]


def _quantile(cdf: Any, q: float) -> float:
    enough = np.flatnonzero(cdf.probabilities >= q - 1e-12)
    return float(cdf.quantiles[enough[0]]) if len(enough) else np.inf


def _over_blocks(medians: Sequence[float], n95: Sequence[float], method: str) -> Estimate:
    """The median block, with the distribution-free interval that SciPy has for a median; NaN where blocks are too few."""
    ends = stats.quantile_test(medians, p=0.5).confidence_interval(0.95)
    middle, middle95 = (float(np.quantile(x, 0.5, method="higher")) for x in (medians, n95))
    return middle, float(ends.low), float(ends.high), middle95, method


def share_reached(pools: Sequence[Pool], targets: Sequence[Target], budgets: NDArray[np.int64]) -> Array:
    """The expected share of (block, target) pairs that one arm has reached after n trials, (budgets,)."""
    found = [_reached_by(pool, r, budgets) for t in targets for pool, r in zip(pools, hits(pools, t), strict=True)]
    share: Array = np.stack(found).mean(axis=0)
    return share


def _reached_by(pool: Pool, reached: NDArray[np.bool_], budgets: NDArray[np.int64]) -> Array:
    if pool.arm.exchangeable:
        missed: Array = stats.hypergeom.pmf(0, len(pool), int(reached.sum()), budgets)
        return 1.0 - missed
    first: float = first_hits([reached])[0]
    return (budgets >= first).astype(float)
