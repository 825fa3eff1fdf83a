"""The choice among the trials of a block by validation: how probable each is if rows and weights are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.trials.row_scores import unpack

Array = NDArray[np.float64]
RESAMPLES = 2_000
CONTENDERS = 200
"""Only this many of the best-validated trials can be chosen."""
LONGEST = 1_000
"""The most trials for which the expected accuracy is computed by budget."""


def choice_probabilities(
    validation: Array, texts: Sequence[str], eligible: NDArray[np.bool_], n_val: int, block: int, spread: float = 0.0
) -> Array | None:
    """Estimate P(validation chooses each trial) over draws of the validation rows and of the weights, (M,).

    One multinomial draw of the rows scores all trials, so that errors on the same rows stay correlated. New weights move
    each trial's score by a normal amount of its own. Equal trials share the choice.

    Parameters
    ----------
    validation
        The validation values of the M trials of an arm in a block, (M,).
    texts
        The row scores of each trial on the validation rows, as :mod:`pipeline.trials.row_scores` writes them.
    eligible
        False for a trial that cannot be chosen: it diverged or was pruned, (M,). If none is eligible, all are.
    n_val
        The number of validation rows.
    block
        The number of the block, which seeds the draws.
    spread
        The standard deviation of a trial's validation value over its initial weights; 0 draws rows alone.

    Returns
    -------
    numpy.ndarray or None
        The probabilities; None if the row scores of a trial that could be chosen are unknown.
    """
    contenders = _contenders(validation, eligible, CONTENDERS)
    scores = _resampled(contenders, validation, texts, n_val, block, spread)
    if scores is None:
        return None
    probabilities = np.zeros(len(validation))
    probabilities[contenders] = share_of_best(scores)
    return probabilities


def expected_by_budget(
    validation: Array,
    texts: Sequence[str],
    eligible: NDArray[np.bool_],
    n_val: int,
    block: int,
    spread: float,
    test: Array,
) -> Array | None:
    """Return the expected test value of the choice among the first n trials, for each n, (M,).

    It is Σ w t, with t the test values of the M trials and w the probabilities of :func:`choice_probabilities` among the
    first n trials, by the same draws. It is NaN before the first trial that can be chosen. Returns None where the
    probabilities are unknown, and for more than :data:`LONGEST` trials, which would take too much memory.
    """
    contenders = _contenders(validation, eligible, len(validation))
    scores = _resampled(contenders, validation, texts, n_val, block, spread) if len(validation) <= LONGEST else None
    if scores is None:
        return None
    best, total, tied = np.full(RESAMPLES, -np.inf), np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    means = np.full(len(validation), np.nan)
    for column in np.argsort(contenders):
        score, value = scores[:, column], test[contenders[column]]
        better, equal = score > best + 1e-9, np.abs(score - best) <= 1e-9
        best = np.where(better, score, best)
        total = np.where(better, value, total + equal * value)
        tied = np.where(better, 1, tied + equal)
        means[contenders[column] :] = (total / tied).mean()
    return means


def _contenders(validation: Array, eligible: NDArray[np.bool_], limit: int) -> NDArray[np.intp]:
    """Return the indices of the trials that can be chosen, at most a number of them, the best-validated first."""
    eligible = eligible if eligible.any() else np.ones_like(eligible)
    return np.flatnonzero(eligible)[np.argsort(-validation[eligible], kind="stable")[:limit]]


def _resampled(
    contenders: NDArray[np.intp], validation: Array, texts: Sequence[str], n_val: int, block: int, spread: float
) -> NDArray[np.floating] | None:
    """Return the contenders' sums of row scores in each draw of rows and weights, (RESAMPLES, contenders).

    Returns None if row scores are unknown.
    """
    rows = unpack([texts[i] for i in contenders], n_val, validation[contenders])
    if rows is None:
        return None
    counts, after = _row_counts(block, n_val)
    kind = np.float32 if rows.dtype == np.uint8 else np.float64  # sums of zeros and ones are exact in either
    scores: NDArray[np.floating] = counts.astype(kind, copy=False) @ rows.T.astype(kind)
    if spread:
        scores += (n_val * spread * deepcopy(after).standard_normal(scores.shape)).astype(kind)
    return scores


@lru_cache(maxsize=1)
def _row_counts(block: int, n: int) -> tuple[NDArray[np.float32], np.random.Generator]:
    """Draw n rows with replacement, :data:`RESAMPLES` times, and count each row, (RESAMPLES, n); return the generator too.

    The arms of a block share its draws, so callers go block by block.
    """
    rng = np.random.default_rng(block)
    drawn = rng.integers(n, size=(RESAMPLES, n)) + n * np.arange(RESAMPLES)[:, None]
    return np.bincount(drawn.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n).astype(np.float32), rng


def share_of_best(scores: NDArray[np.floating]) -> Array:
    """Return the share of rows in which each column is the best; ties share it equally."""
    best = scores >= scores.max(axis=1, keepdims=True) - 1e-9
    shares: Array = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def repetitions_of(probabilities: Array, winner: int, number: int) -> list[int]:
    """Return the trials to train again, one for each of a number of repetitions: the winner, then the most probable.

    A trial gets repetitions in proportion to its probability, by the method of the largest remainder. The winner gets at
    least two, which measure the spread over weights.
    """
    quota = number * probabilities / probabilities.sum()
    counts = np.floor(quota).astype(int)
    counts[winner] = max(counts[winner], min(number, 2))
    by_remainder = np.argsort(counts - quota, kind="stable")
    counts[by_remainder[: max(number - counts.sum(), 0)]] += 1
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda trial: (trial != winner, -probabilities[trial]))
    return [trial for trial in order for _ in range(counts[trial])][:number]
