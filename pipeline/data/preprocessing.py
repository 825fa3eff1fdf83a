"""Preprocessing puts the inputs where training works well; what it does is learned from the training rows alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Transform = Callable[[np.ndarray], np.ndarray]
"""From rows (N, D) to rows of the same kind."""


def none(train: np.ndarray) -> Transform:  # noqa: ARG001  every preprocessing is made from the training rows
    """The rows as they are."""
    return lambda rows: rows


def centre(train: np.ndarray) -> Transform:
    """Subtract each feature's mean over the training rows (N, D)."""
    mean = train.mean(axis=0)
    return lambda rows: rows - mean


def standardise(train: np.ndarray) -> Transform:
    """To mean 0 and standard deviation 1 over the training rows (N, D); a constant feature becomes 0."""
    mean, std = train.mean(axis=0), train.std(axis=0)
    scale = np.where(std > 0, std, 1)
    return lambda rows: (rows - mean) / scale


PREPROCESSING: dict[str, Callable[[np.ndarray], Transform]] = {
    "none": none,
    "centre": centre,
    "standardise": standardise,
}
"""Every preprocessing by the name that studies call it: from the training rows to a transform of any rows."""
