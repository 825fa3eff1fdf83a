"""What choosing by validation cost: optimism, overtuning, and how many trials were as good as the winner."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.report.curves import Pool, incumbents
from pipeline.report.intervals import Array

RESAMPLES = 2_000
CONTENDERS = 200  # the best-validated trials of a pool; those below them never win a resample


@dataclass(frozen=True)
class Choice:
    """One block's choice by one arm: what validation promised, what test gave, and how clear the choice was.

    ``n_tied`` is 1 / Σ w², with w the probability that a trial is the best once the validation examples are resampled;
    ``tie_aware`` is Σ w · test. ``top`` is the largest w, and ``independent_top`` what it would be if the trials'
    validation errors were independent (Bergstra and Bengio 2012), although they share their examples.
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
        return float(self.pool.validation[self.winner] - self.pool.test[self.winner])


def choice(pool: Pool) -> Choice:
    """The choice of a pool after all of its trials, in the order visited."""
    path = incumbents(pool.validation)
    winner, tests = int(path[-1]), pool.test[np.unique(path)]
    contenders = np.argsort(-pool.validation, kind="stable")[:CONTENDERS]
    alone = independent_weights(pool, contenders)
    resampled = resampled_weights(pool, contenders)
    weights = alone if resampled is None else resampled
    return Choice(
        pool,
        winner,
        float(tests.max() - pool.test[winner]),
        bool(pool.test[winner] < np.median(tests)),
        float(1 / (weights**2).sum()),
        float(weights @ pool.test[contenders]),
        float(weights.max()),
        float(alone.max()),
    )


def resampled_weights(pool: Pool, contenders: NDArray[np.int64]) -> Array | None:
    """P(a contender is the best) when the validation examples, shared by all of them, are drawn anew; None without bits.

    One multinomial draw of the examples scores all contenders, so what they get wrong together stays together.
    """
    bits = correctness(pool.frame["val_correct"].iloc[contenders], int(pool.frame["n_val"].iloc[0]))
    if bits is None:
        return None
    n = bits.shape[1]
    draws = np.random.default_rng(pool.block).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return _share_of_best(draws.astype(np.float32) @ bits.T.astype(np.float32))


def independent_weights(pool: Pool, contenders: NDArray[np.int64]) -> Array:
    """The same with each score drawn for itself, normal with the variance v (1 - v) / (n - 1) of an accuracy."""
    v, n = pool.validation[contenders], int(pool.frame["n_val"].iloc[0])
    noise = np.random.default_rng(pool.block).standard_normal((RESAMPLES, len(v)))
    return _share_of_best(v + noise * np.sqrt(v * (1 - v) / max(n - 1, 1)))


def _share_of_best(scores: NDArray[np.floating]) -> Array:
    """The share of rows in which each column is the best; equals share."""
    best = scores >= scores.max(axis=1, keepdims=True) - 1e-9
    shares: Array = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def correctness(texts: Sequence[str], n: int) -> NDArray[np.uint8] | None:
    """Packed bits, as base64 text, back to a row of n zeros and ones for each trial; None if any is unknown."""
    if n < 1 or not all(texts):
        return None
    packed = [np.frombuffer(base64.b64decode(text), dtype=np.uint8) for text in texts]
    if any(len(row) != -(-n // 8) for row in packed):
        return None
    return np.unpackbits(np.stack(packed), axis=1, count=n)
