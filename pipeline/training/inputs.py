"""Checks of the data before training starts."""

from __future__ import annotations

import numpy as np

from pipeline.data import Dataset, Split
from pipeline.data.rows import chunks
from pipeline.errors import UserError
from pipeline.study.hparams import AUTO_BATCH, TrainConfig


def check_data(data: Dataset, config: TrainConfig) -> None:
    """Raise :class:`UserError`, with the split and the value, for data that cannot be trained on with this configuration."""
    for name in ("train", "val", "test"):
        check_split(name, getattr(data, name), data.features, data.classes)
    check_batch(config, len(data.train))


def check_batch(config: TrainConfig, rows: int) -> None:
    """Raise :class:`UserError` if a minibatch has more rows than the training split, and is not the default one."""
    if config.batch_size > rows and config.batch_size != AUTO_BATCH:
        raise UserError(
            f"batch_size: got {config.batch_size}; the training split has {rows:,} rows. Give fewer, or 'auto'"
        )


def check_split(name: str, rows: Split, features: int, classes: int) -> None:
    """Raise :class:`UserError` unless inputs are finite numbers (N, D) and labels whole numbers from 0 to C - 1, (N,)."""
    check_inputs(name, rows.inputs, features)
    labels = np.asarray(rows.labels)
    if labels.shape != (len(rows.inputs),) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{name} labels: got {labels.dtype} of shape {labels.shape}; expected {len(rows.inputs)} whole numbers. Number the classes"
        )
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise UserError(
            f"{name} labels: got {outside[0]}; expected classes from 0 to {classes - 1}. Number them from 0"
        )
    if rows.weights is not None:
        check_weights(f"{name} weights", rows.weights, len(rows))


def check_weights(name: str, weights: np.ndarray, rows: int) -> None:
    """Raise :class:`UserError` unless weights are finite numbers (N,) of at least 0, and not all are 0."""
    if weights.shape != (rows,) or weights.dtype.kind not in "fiu":
        raise UserError(
            f"{name}: got {weights.dtype} of shape {weights.shape}; expected {rows} numbers, one for each row"
        )
    wrong = weights[~((weights >= 0) & np.isfinite(weights))]
    if wrong.size:
        raise UserError(f"{name}: got {wrong[0]}; expected finite numbers of at least 0")
    if not weights.any():
        raise UserError(f"{name}: got zero for every row; expected a number above zero for some")


def check_inputs(name: str, inputs: np.ndarray, features: int) -> None:
    """Raise :class:`UserError` unless inputs are finite numbers (N, D) with N and D > 0."""
    inputs = np.asarray(inputs)
    if inputs.dtype.kind not in "fiu":
        raise UserError(f"{name} inputs: got dtype {inputs.dtype}; expected numbers. Convert them")
    if inputs.ndim != 2 or inputs.shape[1] != features or not inputs.size:
        columns = features or "D"
        raise UserError(
            f"{name} inputs: got shape {inputs.shape}; expected (N, {columns}), neither of them 0. Reshape them"
        )
    for part in chunks(len(inputs)):
        wrong = ~np.isfinite(inputs[part])
        if wrong.any():
            row, column = np.argwhere(wrong)[0] + (part.start, 0)
            raise UserError(
                f"{name} inputs: got {inputs[row, column]} in row {row}, column {column}; expected finite numbers. Fill, clip or drop it"
            )
