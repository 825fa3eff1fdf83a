"""The softmax cross-entropy loss and its gradient.

Softmax works across classes, so the class is outermost in memory here, and a pass over all trials is one loop.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return each row's loss, -log softmax(logits)[label], whether it is classified correctly, and its probabilities.

    The logits are shifted by the greatest of each row, so that no exponential overflows.

    Parameters
    ----------
    logits
        (K, B, C); they may be overwritten.
    labels
        Classes from 0 to C - 1, (B,), shared by the trials.

    Returns
    -------
    The losses (K, B), booleans (K, B), and the probabilities (K, B, C).

    """
    shifted = np.ascontiguousarray(logits.transpose(2, 0, 1))
    greatest = shifted.max(axis=0)
    shifted -= greatest
    picked = _pick(shifted, labels)
    correct = _is_correct(labels, shifted, picked, finite=bool(np.isfinite(greatest).all()))
    exps = np.exp(shifted, out=shifted)
    totals = _sum_over_classes(exps)
    exps /= totals
    return np.log(totals) - picked, correct, exps.transpose(1, 2, 0)


def smooth(one_hot: Array, smoothing: Array) -> Array:
    """Smooth one-hot targets y (B, C) by each trial's s (K, 1, 1): y·(1 - s) + s/C, (K, B, C) (Szegedy et al. 2016)."""
    return np.asarray(one_hot * (1 - smoothing) + smoothing / one_hot.shape[-1])


def softmax_cross_entropy_gradient(
    probabilities: Array, targets: Array, scale: Array | float = 1.0, weights: Array | None = None
) -> Array:
    """Return the gradient of the mean loss by the logits, scale·w·(p - y) / B, (K, B, C).

    Parameters
    ----------
    probabilities
        p, (K, B, C); they are overwritten.
    targets
        y, (B, C) or (K, B, C); each row has the sum 1.
    scale
        A factor for each trial, (K, 1).
    weights
        w, a factor for each row, (B,), shared by the trials; 1 by default.

    """
    trials, rows, classes = probabilities.shape
    probabilities -= targets
    factors = np.asarray(scale, probabilities.dtype).reshape(-1, 1, 1) / rows
    if weights is not None:
        factors = factors * weights[:, None]
    gradient = np.empty((trials, classes, rows), probabilities.dtype).swapaxes(1, 2)
    np.multiply(probabilities, factors, out=gradient)
    return gradient


def _sum_over_classes(exps: Array) -> Array:
    """Sum (C, K, B) class by class; for one row of one trial, ``sum`` would add in another order."""
    totals: Array = exps.sum(axis=0) if exps[0].size > 1 else exps.cumsum(axis=0)[-1]
    return totals


def _pick(shifted: Array, labels: Array) -> Array:
    """Return each row's logit of its label, (K, B); fancy indexing is slower."""
    _, trials, rows = shifted.shape
    places = labels * (trials * rows) + np.arange(trials * rows).reshape(trials, rows)
    return np.asarray(shifted.reshape(-1).take(places))


def _is_correct(labels: Array, shifted: Array, picked: Array, *, finite: bool) -> Array:
    """Return True for rows whose first greatest logit is that of their label; shifted, the greatest are 0."""
    greatest = shifted == 0
    if finite and np.count_nonzero(greatest) == picked.size:  # the usual case: no ties
        return np.asarray(picked == 0)
    return np.asarray(greatest.argmax(axis=0) == labels)
