"""What a model predicts of rows, classes or probabilities: how it is asked, checked and scored.

Registered models carry this module, so it imports NumPy alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


def predicted(estimator: Any, rows: Array, classes: int) -> Array:
    """Return an estimator's probabilities (N, C) of rows or, if it has none, the classes (N,)."""
    if hasattr(estimator, "predict_proba"):
        return all_columns(estimator.predict_proba(rows), estimator.classes_, classes)
    predictions: Array = np.asarray(estimator.predict(rows))
    return predictions


def all_columns(predictions: Array, seen: Array, classes: int) -> Array:
    """Return probabilities with a column for each class, also for those that no training row has; classes as they are."""
    if predictions.ndim == 1 or len(seen) == classes:
        return predictions
    full = np.zeros((len(predictions), classes), predictions.dtype)
    full[:, seen] = predictions
    return full


def accuracy(predictions: Array, labels: Array) -> float:
    """Return the share of the rows whose class is predicted, by classes (N,) or probabilities (N, C)."""
    return float(np.mean(classes_of(predictions) == labels))


def classes_of(predictions: Array) -> Array:
    """Return the predicted classes (N,); of equal probabilities, the first class."""
    return predictions.argmax(axis=1) if predictions.ndim == 2 else predictions


def log_loss(probabilities: Array, labels: Array) -> float:
    """Return the mean of -ln p over the rows; a probability of 0 counts as the smallest above it in float32."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(float)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def checked(rows: str, predictions: Any, count: int, classes: int) -> Array:
    """Return predictions as an array. Raises :class:`ValueError` unless they are classes (N,) or probabilities (N, C)."""
    array = np.asarray(predictions)
    got = f"{rows} predictions: got shape {array.shape} of {array.dtype}"
    if array.shape == (count,):
        if not np.isin(array, np.arange(classes)).all():
            raise ValueError(f"{got}; expected classes from 0 to {classes - 1}")
        return array.astype(np.int64)
    if array.shape != (count, classes) or array.dtype.kind not in "fiu":
        raise ValueError(f"{got}; expected classes ({count},) or probabilities ({count}, {classes})")
    if not (np.isfinite(array).all() and (array >= 0).all() and np.allclose(array.sum(axis=1), 1, atol=1e-3)):
        raise ValueError(f"{got}; expected probabilities: finite, from 0 to 1, and a sum of 1 in each row")
    return array
