"""Labelled rows before preprocessing: checks of their numbers and labels, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.errors import UserError

FEWEST = 3
"""The fewest rows of a class: one for each of the training, validation and test splits."""
LARGEST = 1e30
"""The greatest absolute value of a cell. The limit of float32 is 3.4e38, and products of cells have to stay below it."""
CHUNK = 1024
"""Rows that are checked or converted at a time, so that no copy of a whole data set is made."""
COLUMNS = 256
"""Columns whose statistics are computed at a time."""


@dataclass(frozen=True)
class DataDescription:
    """The facts of a data set: classes, columns and rows, the shape of a row, and the hash.

    ``shape`` is that of a row before it was flattened, if it is known. ``sha256`` is the hash of the arrays in hex: the same
    data have the same hash on every machine and under every name.
    """

    classes: int
    columns: int
    shape: tuple[int, ...]
    rows: int
    sha256: str


@dataclass(frozen=True)
class Rows:
    """Inputs (N, D) of any real type, and their labels (N,), integers from 0 to C - 1.

    ``class_names`` are the names of the C classes. The last ``test`` rows are the published test split, if there is one.
    ``shape`` is that of a row before it was flattened, such as (3, 32, 32), if it is known.
    """

    inputs: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    test: int = 0
    shape: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """The number of classes, C."""
        return len(self.class_names)

    @cached_property
    def description(self) -> DataDescription:
        """The facts of these rows; the hash is computed at the first use."""
        return DataDescription(self.classes, self.inputs.shape[1], self.shape, len(self), digest(self))


def chunks(count: int, size: int = CHUNK) -> list[slice]:
    """Divide ``count`` rows into slices of ``size``; the last may be shorter."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def by_columns(statistic: Callable[..., np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """NumPy's mean, extreme or standard deviation of each column (D,), with the same bits, a few columns at a time.

    Called on all columns, ``np.std`` makes a float64 copy of its argument: 1 GB for the training rows of CIFAR-10.
    """
    starts = range(0, inputs.shape[1], COLUMNS)
    return np.concatenate([statistic(inputs[:, start : start + COLUMNS], axis=0) for start in starts])


def digest(rows: Rows) -> str:
    """The SHA-256, in hex, of the types, shapes and values of inputs and labels in any memory layout."""
    sha = hashlib.sha256()
    for array in (rows.inputs, rows.labels.astype("<i8")):
        dtype = array.dtype.newbyteorder("<")
        sha.update(f"{dtype.str}{array.shape}".encode())
        for part in chunks(len(array)):
            sha.update(np.ascontiguousarray(array[part], dtype=dtype).data)
    return sha.hexdigest()


def labelled(where: str, inputs: Any, labels: Any, columns: Sequence[str] = ()) -> Rows:
    """Make rows of arrays from outside.

    Parameters
    ----------
    where
        The name of the data set, for messages.
    inputs
        Numbers (N, ...); they are flattened to (N, D).
    labels
        Integers, truth values or text (N,). Class 0 is the first label in sorted order.
    columns
        The names of the D features, for messages.

    Raises
    ------
    UserError
        With the first fault of the arrays.
    """
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    if inputs.ndim < 2 or not inputs.size:
        raise UserError(f"{where}: the inputs have shape {inputs.shape}; expected rows and columns, (N, D)")
    if labels.shape != inputs.shape[:1]:
        raise UserError(
            f"{where}: {len(inputs):,} rows of inputs, and labels of shape {labels.shape}; expected one each"
        )
    shape = inputs.shape[1:]
    inputs = check_inputs(where, inputs.reshape(len(inputs), -1), columns)
    names, codes = np.unique(check_labels(where, labels), return_inverse=True)
    check_classes(where, names, np.bincount(codes))
    return Rows(inputs, codes.astype(np.intp), tuple(str(name) for name in names.tolist()), shape=shape)


def check_inputs(where: str, inputs: np.ndarray, columns: Sequence[str] = ()) -> np.ndarray:
    """Return inputs (N, D) in native byte order. Raises :class:`UserError` with the first cell that is not a number."""
    if inputs.dtype.kind not in "biuf" or inputs.dtype.itemsize > 8:
        raise UserError(
            f"{where}: the inputs are of type {inputs.dtype}; expected numbers of up to 64 bits. Convert them"
        )
    if inputs.dtype.kind == "f":
        check_cells(where, inputs, columns)
    return np.ascontiguousarray(inputs, dtype=inputs.dtype.newbyteorder("="))


def dense(rows: Any) -> np.ndarray:
    """Return rows (N, D) as an array; SciPy's sparse rows are converted."""
    array: np.ndarray = rows.toarray() if hasattr(rows, "toarray") else rows
    return array


def check_cells(where: str, inputs: Any, columns: Sequence[str] = ()) -> None:
    """Raise :class:`UserError` with the first cell of rows (N, D) that is missing or beyond :data:`LARGEST`."""
    for part in chunks(inputs.shape[0]):
        _check_finite(where, dense(inputs[part]), part.start, columns)


def _check_finite(where: str, inputs: np.ndarray, start: int, columns: Sequence[str]) -> None:
    wrong = ~(np.abs(inputs) <= LARGEST)  # True for NaN, too
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        name = repr(columns[column]) if columns else column + 1
        fault = "is missing (NaN)" if np.isnan(inputs[row, column]) else f"is {inputs[row, column]:g}"
        raise UserError(
            f"{where}: row {start + row + 1}, column {name} {fault}; expected a number within ±{LARGEST:g}. Fill, clip or drop it"
        )


def check_labels(where: str, labels: np.ndarray) -> np.ndarray:
    """Return labels (N,). Raises :class:`UserError` if their type cannot name classes."""
    if labels.dtype.kind not in "biuUS":
        example = f" (row 1 is {labels[:1].tolist()[0]!r})" if len(labels) else ""
        raise UserError(
            f"{where}: the labels are of type {labels.dtype}{example}; expected whole numbers, truth values or text. "
            "Is it the right column? Numbers of classes are stored as integers"
        )
    return labels


def check_classes(where: str, names: np.ndarray, counts: np.ndarray) -> None:
    """Raise :class:`UserError` unless there are at least two classes, each with a row for every split."""
    if len(names) < 2:
        raise UserError(f"{where}: all {counts.sum():,} rows are of class {names[0]}; expected at least two classes")
    if counts.min() < FEWEST:
        rarest, count = names[counts.argmin()], counts.min()
        raise UserError(
            f"{where}: {counts.sum():,} rows in {len(names):,} classes, and only {count} of class {rarest}; "
            f"expected at least {FEWEST} of each. Is it the right column?"
        )


Loader = Callable[[], Rows]
"""A function that loads a named data set."""
