"""The choice by validation: its optimism, its overtuning, and the number of trials as good as the winner."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.report.curves import Pool, incumbents
from pipeline.report.intervals import Array

RESAMPLES = 2_000
CONTENDERS = 200  # the best-validated trials of a pool; worse ones never win a resample


@dataclass(frozen=True)
class Choice:
    """One arm's choice in one block, and how clear it was.

    Attributes
    ----------
    winner
        The index of the chosen trial in the pool.
    overtuning
        How far its test accuracy is below that of the best incumbent on the way.
    below_median
        True if its test accuracy is below the median of the incumbents.
    n_tied
        1 / Σ w², with w the probability that a trial is the best once the validation examples are resampled.
    tie_aware
        Σ w · test accuracy.
    top
        The largest w.
    independent_top
        The largest w if the trials' validation errors were independent (Bergstra and Bengio 2012). They are not: all
        trials share the validation examples.
    """

    pool: Pool
    winner: int
    overtuning: float
    below_median: bool
    n_tied: float
    tie_aware: float
    top: float
    independent_top: float

    @property
    def gap(self) -> float:
        """Validation minus test accuracy of the winner."""
        return float(self.pool.validation[self.winner] - self.pool.test[self.winner])


def choice(pool: Pool) -> Choice:
    """Analyse the choice of a pool after all of its trials, in the order visited."""
    path = incumbents(pool.validation)
    winner, tests = int(path[-1]), pool.test[np.unique(path)]
    contenders = np.argsort(-pool.validation, kind="stable")[:CONTENDERS]
    independent = _independent_weights(pool, contenders)
    resampled = _resampled_weights(pool, contenders)
    weights = independent if resampled is None else resampled
    return Choice(
        pool=pool,
        winner=winner,
        overtuning=float(tests.max() - pool.test[winner]),
        below_median=bool(pool.test[winner] < np.median(tests)),
        n_tied=float(1 / (weights**2).sum()),
        tie_aware=float(weights @ pool.test[contenders]),
        top=float(weights.max()),
        independent_top=float(independent.max()),
    )


def _resampled_weights(pool: Pool, contenders: NDArray[np.int64]) -> Array | None:
    """P(a contender is the best) over resamples of the shared validation examples; None if their bits are unknown.

    One multinomial draw of the examples scores all contenders, so that errors on the same examples stay correlated.
    """
    bits = correctness(pool.frame["val_correct"].iloc[contenders], int(pool.frame["n_val"].iloc[0]))
    if bits is None:
        return None
    n = bits.shape[1]
    draws = np.random.default_rng(pool.block).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return _share_of_best(draws.astype(np.float32) @ bits.T.astype(np.float32))


def _independent_weights(pool: Pool, contenders: NDArray[np.int64]) -> Array:
    """The same for independent scores, normal with the variance v (1 - v) / (n - 1) of an accuracy."""
    v, n = pool.validation[contenders], int(pool.frame["n_val"].iloc[0])
    noise = np.random.default_rng(pool.block).standard_normal((RESAMPLES, len(v)))
    return _share_of_best(v + noise * np.sqrt(v * (1 - v) / max(n - 1, 1)))


def _share_of_best(scores: NDArray[np.floating]) -> Array:
    """The share of rows in which each column is the best; ties share it equally."""
    best = scores >= scores.max(axis=1, keepdims=True) - 1e-9
    shares: Array = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def correctness(texts: Sequence[str], n: int) -> NDArray[np.uint8] | None:
    """Unpack each trial's base64 text of n bits into a row of zeros and ones; None if any is unknown."""
    if n < 1 or not all(texts):
        return None
    packed = [np.frombuffer(base64.b64decode(text), dtype=np.uint8) for text in texts]
    if any(len(row) != -(-n // 8) for row in packed):
        return None
    return np.unpackbits(np.stack(packed), axis=1, count=n)
