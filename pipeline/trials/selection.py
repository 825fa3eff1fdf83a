"""The choice among the trials of a block by validation: how probable each is if rows and weights are drawn again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 2_000
CONTENDERS = 200
"""Only this many of the best-validated trials can be chosen."""
LONGEST = 1_000
"""The most trials for which the expected accuracy is computed by budget."""


def choice_probabilities(
    validation: Array, bits: Sequence[str], eligible: NDArray[np.bool_], n_val: int, block: int, spread: float = 0.0
) -> Array | None:
    """Estimate P(validation chooses each trial) over draws of the validation rows and of the weights, (M,).

    One multinomial draw of the rows scores all trials, so that errors on the same rows stay correlated. New weights move
    each trial's score by a normal amount of its own. Equal trials share the choice.

    Parameters
    ----------
    validation
        The validation accuracies of the M trials of an arm in a block, (M,).
    bits
        Which validation rows each trial classifies correctly, as :func:`pipeline.trials.trial.pack_bits` writes them.
    eligible
        False for a trial that cannot be chosen: it diverged or was pruned, (M,). If none is eligible, all are.
    n_val
        The number of validation rows.
    block
        The number of the block, which seeds the draws.
    spread
        The standard deviation of a trial's validation accuracy over its initial weights; 0 draws rows alone.

    Returns
    -------
    numpy.ndarray or None
        The probabilities; None if the bits of a trial that could be chosen are unknown.
    """
    contenders = _contenders(validation, eligible, CONTENDERS)
    scores = _resampled(contenders, bits, n_val, block, spread)
    if scores is None:
        return None
    probabilities = np.zeros(len(validation))
    probabilities[contenders] = share_of_best(scores)
    return probabilities


def expected_by_budget(
    validation: Array,
    bits: Sequence[str],
    eligible: NDArray[np.bool_],
    n_val: int,
    block: int,
    spread: float,
    accuracies: Array,
) -> Array | None:
    """Return the expected accuracy of the choice among the first n trials, for each n, (M,).

    It is Σ w a, with a the accuracies of the M trials and w the probabilities of :func:`choice_probabilities` among the
    first n trials, by the same draws. It is NaN before the first trial that can be chosen. Returns None where the
    probabilities are unknown, and for more than :data:`LONGEST` trials, which would take too much memory.
    """
    contenders = _contenders(validation, eligible, len(validation))
    scores = _resampled(contenders, bits, n_val, block, spread) if len(validation) <= LONGEST else None
    if scores is None:
        return None
    best, total, tied = np.full(RESAMPLES, -np.inf), np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    means = np.full(len(validation), np.nan)
    for column in np.argsort(contenders):
        score, accuracy = scores[:, column], accuracies[contenders[column]]
        better, equal = score > best + 1e-9, np.abs(score - best) <= 1e-9
        best = np.where(better, score, best)
        total = np.where(better, accuracy, total + equal * accuracy)
        tied = np.where(better, 1, tied + equal)
        means[contenders[column] :] = (total / tied).mean()
    return means


def _contenders(validation: Array, eligible: NDArray[np.bool_], limit: int) -> NDArray[np.intp]:
    """Return the indices of the trials that can be chosen, at most a number of them, the best-validated first."""
    eligible = eligible if eligible.any() else np.ones_like(eligible)
    return np.flatnonzero(eligible)[np.argsort(-validation[eligible], kind="stable")[:limit]]


def _resampled(
    contenders: NDArray[np.intp], bits: Sequence[str], n_val: int, block: int, spread: float
) -> NDArray[np.float32] | None:
    """Return the contenders' scores in each draw of rows and weights, (RESAMPLES, contenders); None if bits are unknown."""
    correct = correctness([bits[i] for i in contenders], n_val)
    if correct is None:
        return None
    counts, after = _row_counts(block, n_val)
    scores: NDArray[np.float32] = counts @ correct.T.astype(np.float32)  # exact whole numbers
    if spread:
        rng = deepcopy(after)
        scores += (n_val * spread * rng.standard_normal(scores.shape)).astype(np.float32)
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


def correctness(texts: Sequence[str], n: int) -> NDArray[np.uint8] | None:
    """Unpack each trial's base64 text of n bits into a row of zeros and ones; None if any is unknown."""
    if n < 1 or not all(texts):
        return None
    packed = [np.frombuffer(base64.b64decode(text), dtype=np.uint8) for text in texts]
    if any(len(row) != -(-n // 8) for row in packed):
        return None
    return np.unpackbits(np.stack(packed), axis=1, count=n)


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
