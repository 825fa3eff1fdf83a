"""The choice by validation: its optimism, its overtuning, and the expected test value of what a search chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.report.curves import Pool, incumbents
from pipeline.report.intervals import Array
from pipeline.study.metrics import ACCURACY
from pipeline.trials.row_scores import unpack
from pipeline.trials.selection import RESAMPLES, choice_probabilities, expected_by_budget, share_of_best

__all__ = ["RESAMPLES", "Choice", "choice"]


@dataclass(frozen=True)
class Choice:
    """One arm's choice in one block, and how clear it was.

    Attributes
    ----------
    winner
        The index of the chosen trial in the pool, the first of equals.
    overtuning
        How far its test value is below that of the best incumbent on the way.
    below_median
        True if its test value is below the median of the incumbents.
    probabilities
        w, the probability that validation chooses each trial if validation rows and weights are drawn again, (M,).
    independent_top
        The largest w if the trials' validation errors were independent (Bergstra and Bengio 2012). They are not: all
        trials share the validation rows.
    again
        The mean test value over the trainings of each trial that was trained again from other weights, by its index in
        the pool.
    spread
        The standard deviation of a validation value over weights.
    """

    pool: Pool
    winner: int
    overtuning: float
    below_median: bool
    probabilities: Array
    independent_top: float
    again: Mapping[int, float]
    spread: float = 0.0

    @cached_property
    def test(self) -> float:
        """The test value of the choice, which equal trials share: the last value of the block's curve."""
        return float(self.pool.choice(np.array([len(self.pool)]))[:, 0] @ self.pool.test)

    @property
    def gap(self) -> float:
        """Validation minus test value of the choice."""
        return float(self.pool.validation[self.winner]) - self.test

    @property
    def n_tied(self) -> float:
        """1 / Σ w², the number of trials that are as good as the winner."""
        return float(1 / (self.probabilities**2).sum())

    @property
    def tie_aware(self) -> float:
        """Σ w t, with t the recorded test value."""
        return float(self.probabilities @ self.pool.test)

    @cached_property
    def expected(self) -> float:
        """The expected test value of the choice, over new validation rows and new weights: Σ w m.

        m is a trial's mean test value over its trainings: its own, and those from new weights. It stands for the average
        over many repeats of choosing and training again, with less noise.
        """
        return float(self.probabilities @ self._means)

    @property
    def _means(self) -> Array:
        means = self.pool.test.copy()
        means[list(self.again)] = list(self.again.values())
        return means

    @property
    def expected_by_budget(self) -> dict[int, float]:
        """:attr:`expected` after the first n trials, by n; for very many trials after all of them alone."""
        path = expected_by_budget(self.pool.validation, *_facts(self.pool), self.spread, self._means)
        known = {} if path is None else {n: float(x) for n, x in enumerate(path, start=1) if np.isfinite(x)}
        return known | {len(self.pool): self.expected}


def choice(pool: Pool, again: Mapping[int, float] | None = None, spread: float = 0.0) -> Choice:
    """Analyse the choice of a pool after all of its trials, in the order visited.

    ``again`` is as in :class:`Choice`, and ``spread`` the standard deviation of a validation value over weights.
    """
    path = incumbents(pool.validation)
    winner, tests = int(path[-1]), pool.test[np.unique(path)]
    independent = _independent_probabilities(pool)
    probabilities = _probabilities(pool, spread)
    return Choice(
        pool=pool,
        winner=winner,
        overtuning=float(tests.max() - pool.test[winner]),
        below_median=bool(pool.test[winner] < np.median(tests)),
        probabilities=independent if probabilities is None else probabilities,
        independent_top=float(independent.max()),
        again=again or {},
        spread=spread,
    )


def _probabilities(pool: Pool, spread: float) -> Array | None:
    return choice_probabilities(pool.validation, *_facts(pool), spread)


def _facts(pool: Pool) -> tuple[list[str], NDArray[np.bool_], int, int]:
    """Return the row scores of a pool as texts, its trials that can be chosen, the number of validation rows, and the block."""
    frame = pool.frame
    return (
        frame[pool.metric.row_scores[0]].tolist(),
        ~frame["diverged"].to_numpy(bool),
        int(frame["n_val"].iloc[0]),
        pool.block,
    )


def _independent_probabilities(pool: Pool) -> Array:
    """The same for independent scores, normal with the variance of n rows over n - 1; v (1 - v) for an accuracy v.

    If n is unknown, the best trials share the choice.
    """
    diverged = pool.frame["diverged"].to_numpy(bool)
    v, n = np.where(diverged & ~diverged.all(), -np.inf, pool.validation), int(pool.frame["n_val"].iloc[0])
    noise = np.random.default_rng(pool.block).standard_normal((RESAMPLES, len(v)))
    variance = _variances(pool, n) / (n - 1) if n > 1 else np.zeros_like(v)
    return share_of_best(v + noise * np.sqrt(variance))


def _variances(pool: Pool, n: int) -> Array:
    """The variance of each trial's row scores, (M,); 0 where they are unknown."""
    if pool.metric is ACCURACY:
        return pool.validation * (1 - pool.validation)
    rows = [unpack([text], n, value) for text, value in zip(_facts(pool)[0], pool.validation[:, None], strict=True)]
    return np.array([0.0 if scores is None else scores.var() for scores in rows])
