"""Intervals and tests over blocks: SciPy's, exact where that is possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]
MINIMUM_BLOCKS = 6  # with 5 the smallest two-sided p of a sign-flip test is 2/2^5 = 0.06
EXACT_BLOCKS = 16  # up to here all 2^K sign flips are counted; beyond, a sample of them
BOOTSTRAP_BLOCKS = 20  # below this the bootstrap's intervals are too short
Range = tuple[float, float]
ANYWHERE, SHARE, DIFFERENCE = (-np.inf, np.inf), (0.0, 1.0), (-1.0, 1.0)
"""The possible means of any numbers, of accuracies and other shares, and of differences of shares."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the two ends of its interval."""

    estimate: float
    low: float
    high: float

    def named(self, name: str) -> dict[str, float]:
        """Return the estimate under a name, and the ends under that name with ``_low`` and ``_high``."""
        return {name: self.estimate, f"{name}_low": self.low, f"{name}_high": self.high}


def mean_band(x: Array, confidence: float = 0.95, within: Range = ANYWHERE) -> tuple[Array, Array, Array]:
    """Compute the mean over blocks and its t-interval.

    Equal values in all blocks give an interval of width 0. It is no certainty, and a caller must not present it as one.

    Parameters
    ----------
    x
        Values of shape (K, ...), one row for each block.
    confidence
        The coverage of the interval.
    within
        The range of possible means. The ends are cut to it. The part that is cut off never holds the true mean, so the
        coverage does not change.

    Returns
    -------
    tuple
        Mean, low end and high end, (...) each. The ends of a single block are NaN.
    """
    x = np.asarray(x, dtype=float)
    mean = x.mean(axis=0)
    if len(x) < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    K = len(x)
    width = special.stdtrit(K - 1, (1 + confidence) / 2) * x.std(axis=0, ddof=1) / np.sqrt(K)
    low, high = (np.asarray(np.clip(end, *within)) for end in (mean - width, mean + width))
    return mean, low, high


def mean_interval(x: Array, confidence: float = 0.95, within: Range = ANYWHERE) -> Interval:
    """Compute the t-interval of the mean of K values, one for each block, as :func:`mean_band` does."""
    mean, low, high = mean_band(x, confidence, within)
    return Interval(float(mean), float(low), float(high))


def share_interval(right: int, rows: int) -> Interval:
    """Compute Wilson's 95 % interval of a share: of the rows like these, those that a network classifies correctly."""
    low, high = stats.binomtest(right, rows).proportion_ci(0.95, "wilson")
    return Interval(right / rows, float(low), float(high))


def row_score_interval(mean: float, scores: Array, within: Range) -> Interval:
    """Compute the 95 % interval of a metric from the scores of its N rows, whose mean it is.

    That of a share is symmetric on the logit scale, as is usual for an AUC. A share of 0 or 1 has the rule of three.
    """
    error = 1.96 * float(scores.std(ddof=1)) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
    if within != SHARE:
        return Interval(mean, max(mean - error, within[0]), min(mean + error, within[1]))
    if not 0 < mean < 1:
        return Interval(mean, max(mean - 3 / len(scores), 0.0), min(mean + 3 / len(scores), 1.0))
    ends = special.expit(special.logit(mean) + np.array([-1, 1]) * error / (mean * (1 - mean)))
    return Interval(mean, *ends.tolist())


def is_cut(x: Array, within: Range) -> bool:
    """Return True if the t-interval of the mean of K values reaches beyond the range of possible means."""
    whole, cut = mean_interval(x), mean_interval(x, within=within)
    return len(x) > 1 and (whole.low, whole.high) != (cut.low, cut.high)


def sign_flip_p(differences: Array) -> float:
    """Compute the two-sided p of the mean of K differences, if each could as well have the other sign.

    Exact, over all 2^K signs, up to K = 16; beyond, over the given signs and 99,999 random ones. SciPy's permutation test
    gives the same, but draws the signs again for each call, which takes twenty times as long.
    """
    if len(differences) < 2 or not np.any(differences):
        return 1.0
    sums = np.abs(_signs(len(differences)) @ np.asarray(differences, dtype=float))
    return float(np.mean(sums >= sums[0] * (1 - 1e-12)))


@cache
def _signs(K: int) -> Array:
    """Signs of K differences in rows; the first row is all plus."""
    if K <= EXACT_BLOCKS:
        bits = np.arange(2**K)[:, None] >> np.arange(K) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, size=(100_000, K))
        bits[0] = 0
    return np.where(bits, -1.0, 1.0)
