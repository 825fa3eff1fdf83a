"""Preprocessing: transforms of the inputs that are learned from the training rows alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from pipeline.data.rows import by_columns, chunks
from pipeline.data.transform import Transform
from pipeline.errors import UserError
from pipeline.nn.conv_text import image_of
from pipeline.study.hparams import PREPROCESSING_NAMES
from pipeline.validation import check_choice

EPSILON = 1e-5
"""Added to the variances that whitening divides by, so that it never divides by 0 (CS231n, notes 2)."""
MOST_COLUMNS = 8192
"""With more columns, their covariances take more than 512 MiB."""

Shape = tuple[int, ...]
"""The shape of a row before it was flattened: (D,) of a table, (3, 32, 32) or (32, 32, 3) of an image."""


def none(train: np.ndarray, shape: Shape = ()) -> Transform:  # noqa: ARG001  all have the same signature
    """Leave the rows unchanged."""
    return Transform()


def centre(train: np.ndarray, shape: Shape = ()) -> Transform:  # noqa: ARG001
    """Subtract each feature's mean over the training rows (N, D): the mean image (Krizhevsky et al. 2012)."""
    return Transform(column_means(train))


def channel_mean(train: np.ndarray, shape: Shape = ()) -> Transform:
    """Subtract the mean of each colour over all pixels of the training images (Simonyan and Zisserman 2014).

    Raises :class:`UserError` if the rows are not images.
    """
    (channels, height, width), last = image_of(shape, "channel_mean")
    images = column_means(train).reshape((height, width, channels) if last else (channels, height, width))
    means = images.mean(axis=(0, 1) if last else (1, 2), keepdims=True)
    return Transform(np.broadcast_to(means, images.shape).reshape(-1))


def standardise(train: np.ndarray, shape: Shape = ()) -> Transform:  # noqa: ARG001
    """Scale to mean 0 and standard deviation 1 over the training rows (N, D); a constant feature becomes 0."""
    mean, std = column_means(train), by_columns(partial(np.ndarray.std, dtype="float64"), train)
    # Rounding may give a constant column, such as 0.1, 0.1, 0.1, a deviation above 0.
    varies = (by_columns(np.min, train) < by_columns(np.max, train)) & (std > 0)
    return Transform(mean, np.where(varies, std, 1))


def min_max(train: np.ndarray, shape: Shape = ()) -> Transform:  # noqa: ARG001
    """Scale the training rows (N, D) to [-1, 1]; a constant feature becomes 0, and other rows may lie outside."""
    low, high = (by_columns(extreme, train).astype("float64") for extreme in (np.min, np.max))
    half = (high - low) / 2
    return Transform(low + half, np.where(half > 0, half, 1))


def pca(train: np.ndarray, shape: Shape = ()) -> Transform:  # noqa: ARG001
    """Centre, and project onto the principal axes of the training rows (N, D), the greatest variance first."""
    mean, _, axes = principal_axes(train)
    return Transform(mean, basis=axes)


def whiten(train: np.ndarray, shape: Shape = ()) -> Transform:  # noqa: ARG001
    """Like :func:`pca`, then divide by √(variance + ε), so that the covariance of the training rows (N, D) is I."""
    mean, variances, axes = principal_axes(train)
    return Transform(mean, basis=axes / np.sqrt(variances + EPSILON))


def column_means(train: np.ndarray) -> np.ndarray:
    """The mean (D,) of rows (N, D) in float64: a float16 sum overflows, and a float32 sum loses digits."""
    return by_columns(partial(np.ndarray.mean, dtype="float64"), train)


def principal_axes(train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean (D,) of rows (N, D), and the variances (D,) and axes (D, D) of their principal components.

    The axes are columns. The greatest entry of an axis is positive. Raises :class:`UserError` if (D, D) is too large.
    """
    mean = column_means(train)
    variances, axes = np.linalg.eigh(covariance(train, mean))
    greatest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    return mean, np.maximum(variances[::-1], 0), (axes * np.where(greatest < 0, -1, 1))[:, ::-1]


def covariance(train: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The population covariances (D, D) of rows (N, D), computed a chunk at a time."""
    features = train.shape[1]
    if features > MOST_COLUMNS:
        raise UserError(
            f"preprocessing: PCA and whitening take at most {MOST_COLUMNS:,} columns; got {features:,}. Take 'standardise'"
        )
    total = np.zeros((features, features))
    for part in chunks(len(train)):
        centred = train[part] - mean
        total += centred.T @ centred
    return total / len(train)


PREPROCESSING: dict[str, Callable[[np.ndarray, Shape], Transform]] = {
    "none": none,
    "centre": centre,
    "standardise": standardise,
    "min_max": min_max,
    "mean_image": centre,
    "channel_mean": channel_mean,
    "pca": pca,
    "whiten": whiten,
}
"""Every preprocessing by its name in studies: a function from the training rows and their shape to a transform."""


def learn(name: str, train: np.ndarray, shape: Shape = ()) -> Transform:
    """Learn a preprocessing, a key of ``PREPROCESSING``, from training rows (N, D).

    ``shape`` is that of a row before it was flattened, (D,) by default. Raises :class:`UserError` for an unknown name, and
    for rows that the preprocessing cannot be used on.
    """
    check_choice("preprocessing", name, PREPROCESSING_NAMES)
    return PREPROCESSING[name](train, shape or (math.prod(train.shape[1:]),))
