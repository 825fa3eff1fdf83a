"""How sure the report is: intervals and tests over blocks, each a call of SciPy and exact where that can be."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
MINIMUM_BLOCKS = 6  # with 5 the smallest two-sided p of a sign-flip test is 2/2^5 = 0.06
EXACT_BLOCKS = 16  # sign flips: 2^16 of them are counted, of more blocks' a sample
BOOTSTRAP_BLOCKS = 20  # below this the bootstrap's intervals are too short
Range = tuple[float, float]
ANYWHERE, SHARE, DIFFERENCE = (-np.inf, np.inf), (0.0, 1.0), (-1.0, 1.0)
"""Where a mean can lie: anywhere; as one of accuracies and other shares; as one of their differences."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the two ends of its interval."""

    estimate: float
    low: float
    high: float


def mean_band(x: Array, confidence: float = 0.95, within: Range = ANYWHERE) -> tuple[Array, Array, Array]:
    """The mean over blocks of x (K, ...) and the ends of its t-interval; NaN ends for a single block.

    The ends are cut to where a mean can lie (``within``). A t-interval knows nothing of that, and over a few blocks
    reaches beyond; what is cut off never holds the true mean, so the coverage stays as it is. Equal values in all blocks give an interval of no width, which the caller must not present as certainty.
    """
    x = np.asarray(x, dtype=float)
    mean = x.mean(axis=0)
    if len(x) < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    with warnings.catch_warnings():  # SciPy warns of equal values, whose interval is right all the same
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = stats.ttest_1samp(x, 0, axis=0).confidence_interval(confidence)
    low, high = (np.clip(end, *within) for end in (interval.low, interval.high))
    return mean, np.asarray(low), np.asarray(high)


def mean_interval(x: Array, confidence: float = 0.95, within: Range = ANYWHERE) -> Interval:
    """The t-interval of the mean of K values, one for each block, cut to where that mean can lie."""
    mean, low, high = mean_band(x, confidence, within)
    return Interval(float(mean), float(low), float(high))


def is_cut(x: Array, within: Range) -> bool:
    """Whether the t-interval of the mean of K values reaches beyond where that mean can lie."""
    whole, cut = mean_interval(x), mean_interval(x, within=within)
    return len(x) > 1 and (whole.low, whole.high) != (cut.low, cut.high)


def sign_flip_p(differences: Array) -> float:
    """Two-sided p of a mean of 0, if each block's difference could as well have had the other sign.

    Exact, over all 2^K signs, up to K = 16; beyond, 99,999 random ones.
    """
    if len(differences) < 2 or not np.any(differences):
        return 1.0
    result = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=99_999,
        batch=10_000,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


COARSE = {6: 1.27, 7: 1.07, 8: 1.04}
"""How much larger a difference of few blocks must be for exact sign flips to find it, too (by 4,000 draws of normal ones)."""


def detectable_difference(differences: Array, power: float = 0.8) -> float:
    """The difference that K blocks that vary like these would find with the given power, by interval and by sign flips.

    It is (t_.975 + t_.8) s / sqrt(K), which is the interval's; times :data:`COARSE`, since 2^K signs are few.
    """
    K = len(differences)
    if K < 2:
        return float("nan")
    t = stats.t(K - 1)
    return float((t.ppf(0.975) + t.ppf(power)) * stats.sem(differences) * COARSE.get(K, 1.0))
