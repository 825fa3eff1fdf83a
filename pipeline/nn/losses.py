"""A loss measures how wrong the logits are, and says in which direction they should move."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array, Array]:
    """The loss of every row, whether it is classified right, and its softmax probabilities.

    ``logits`` (K, B, C) are overwritten by the probabilities; ``labels`` (B,) are shared by the trials. The loss
    (K, B) is -log softmax(logits)[label], shifted by the greatest logit so that nothing overflows.
    """
    predicted = logits.argmax(axis=-1)[..., None]
    logits -= np.take_along_axis(logits, predicted, axis=-1)
    picked = _pick(logits, labels)
    np.exp(logits, out=logits)
    totals = np.matmul(logits, np.ones((logits.shape[-1], 1), logits.dtype))
    logits /= totals
    return np.log(totals[..., 0]) - picked, predicted[..., 0] == labels, logits


def softmax_cross_entropy_gradient(probabilities: Array, one_hot: Array) -> Array:
    """Turn the probabilities (K, B, C) into the gradient of the mean loss, (p - y) / B, in their place."""
    probabilities -= one_hot
    probabilities /= len(one_hot)
    return probabilities


def _pick(logits: Array, labels: Array) -> Array:
    """Each row's logit of its own label, (K, B) and contiguous, so that sums over it do not depend on K."""
    trials, rows, classes = logits.shape
    picked: Array = logits.reshape(trials, rows * classes).take(np.arange(rows) * classes + labels, axis=1)
    return picked
