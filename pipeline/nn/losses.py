"""A loss measures how wrong the logits are, and says in which direction they should move.

Softmax works across classes, so in here the class is outermost in memory, and a pass over all trials is one loop.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """The loss of every row, whether it is classified right, and its softmax probabilities.

    ``logits`` (K, B, C) may be overwritten; ``labels`` (B,) are shared by the trials. The loss (K, B) is
    -log softmax(logits)[label], shifted by the greatest logit so that nothing overflows.
    """
    shifted = np.ascontiguousarray(logits.transpose(2, 0, 1))
    greatest = shifted.max(axis=0)
    shifted -= greatest
    picked = _pick(shifted, labels)
    right = _first_greatest_is(labels, shifted, picked, finite=bool(np.isfinite(greatest).all()))
    exps = np.exp(shifted, out=shifted)
    totals = _sum_over_classes(exps)
    exps /= totals
    return np.log(totals) - picked, right, exps.transpose(1, 2, 0)


def smooth(one_hot: Array, smoothing: Array) -> Array:
    """One-hot targets (B, C) that leave a share (K, 1, 1) to all classes alike (Szegedy et al. 2016): (K, B, C)."""
    return np.asarray(one_hot * (1 - smoothing) + smoothing / one_hot.shape[-1])


def softmax_cross_entropy_gradient(probabilities: Array, targets: Array, scale: Array | float = 1.0) -> Array:
    """The gradient of the mean loss, (p - y) / B, from the probabilities (K, B, C), which are overwritten.

    ``targets`` y are (B, C) or (K, B, C), rows of sum 1; ``scale`` is a factor for each trial, (K, 1).
    """
    trials, rows, classes = probabilities.shape
    probabilities -= targets
    factors = np.asarray(scale, probabilities.dtype).reshape(-1, 1, 1) / rows
    gradient = np.empty((trials, classes, rows), probabilities.dtype).swapaxes(1, 2)
    np.multiply(probabilities, factors, out=gradient)
    return gradient


def _sum_over_classes(exps: Array) -> Array:
    """Sum (C, K, B) one class after the other. For a single row of a single trial, ``sum`` would take another order."""
    totals: Array = exps.sum(axis=0) if exps[0].size > 1 else exps.cumsum(axis=0)[-1]
    return totals


def _pick(shifted: Array, labels: Array) -> Array:
    """Each row's logit of its own label, (K, B); fancy indexing is slower."""
    _, trials, rows = shifted.shape
    places = labels * (trials * rows) + np.arange(trials * rows).reshape(trials, rows)
    return np.asarray(shifted.reshape(-1).take(places))


def _first_greatest_is(labels: Array, shifted: Array, picked: Array, *, finite: bool) -> Array:
    """Whether the first of a row's greatest logits, which are 0 by now, is that of its label."""
    greatest = shifted == 0
    if finite and np.count_nonzero(greatest) == picked.size:  # nearly always: each row has one
        return np.asarray(picked == 0)
    return np.asarray(greatest.argmax(axis=0) == labels)
