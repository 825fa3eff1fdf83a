"""Labelled rows before preprocessing: checks of their numbers and labels, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.data.labels import classes_of
from pipeline.data.problems import Problems
from pipeline.errors import UserError

if TYPE_CHECKING:  # pandas takes half a second to import, and only tables need it
    from pipeline.data.columns import Column

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
    data have the same hash on every machine and under every name. ``uses`` are pairs of a column of a table and what is done
    with it, as a clause, and ``warnings`` are sentences about columns.
    """

    classes: int
    columns: int
    shape: tuple[int, ...]
    rows: int
    sha256: str
    uses: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Inputs (N, D) of any real type, and their labels (N,), integers from 0 to C - 1.

    Parameters
    ----------
    inputs, labels
        The rows. With ``columns``, an input is the code of a cell, and each block encodes them.
    class_names
        The names of the C classes.
    test, validation
        The numbers of rows of the given test split, which are the last, and of the validation split before them; else 0.
    shape
        The shape of a row before it was flattened, such as (3, 32, 32), if it is known.
    columns
        The columns of a table that is encoded. Default none: the inputs are numbers.
    groups, order
        The group (N,) of each row, or its place in an order, by which rows are split. Default None.
    uses, warnings
        What is done with each column, and what a user should look at.
    identity
        Further plain values that decide the rows of a split.
    """

    inputs: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    test: int = 0
    shape: tuple[int, ...] = ()
    validation: int = 0
    columns: tuple[Column, ...] = ()
    groups: np.ndarray | None = None
    order: np.ndarray | None = None
    uses: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """The number of classes, C."""
        return len(self.class_names)

    @property
    def width(self) -> int:
        """The number of inputs of a network, or with ``columns`` the most: a block may lack a level of a category."""
        return sum(column.width for column in self.columns) or int(self.inputs.shape[1])

    @cached_property
    def description(self) -> DataDescription:
        """The facts of these rows; the hash is computed at the first use."""
        return DataDescription(self.classes, self.width, self.shape, len(self), digest(self), self.uses, self.warnings)


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
    """The SHA-256, in hex, of the types, shapes and values of inputs and labels in any memory layout.

    Columns, groups, an order and given splits, which few data sets have, count too.
    """
    sha = hashlib.sha256()
    if facts := [*map(asdict, rows.columns), *rows.identity]:
        sha.update(json.dumps(facts).encode())
    rules = [array for array in (rows.groups, rows.order) if array is not None]
    for array in (rows.inputs, rows.labels.astype("<i8"), *rules):
        dtype = array.dtype.newbyteorder("<")
        sha.update(f"{dtype.str}{array.shape}".encode())
        for part in chunks(len(array)):
            sha.update(np.ascontiguousarray(array[part], dtype=dtype).data)
    return sha.hexdigest()


def labelled(problems: Problems, inputs: Any, labels: Any) -> Rows:
    """Make rows of the arrays of a file.

    Parameters
    ----------
    problems
        What reading the file has found.
    inputs
        Numbers (N, ...); they are flattened to (N, D). None for an array that cannot be read, which is a problem.
    labels
        Integers, truth values or text (N,), or None. Class 0 is the first label in sorted order.

    Raises
    ------
    UserError
        With all problems.
    """
    if inputs is not None:
        if inputs.ndim < 2 or not inputs.size:
            problems.add(f"the inputs have shape {inputs.shape}; expected rows and columns, (N, D)")
        else:
            shape = inputs.shape[1:]
            with problems.gathered():
                inputs = check_inputs(problems.where, inputs.reshape(len(inputs), -1))
    if labels is not None and labels.ndim == 1 and labels.size:
        with problems.gathered():
            names, codes = classes_of(problems.where, labels)
    problems.check()
    return Rows(inputs, codes, names, shape=shape)


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
    largest = min(LARGEST, float(np.finfo(inputs.dtype).max)) if inputs.dtype.kind == "f" else LARGEST
    wrong = ~(np.abs(inputs) <= largest)  # True for NaN, too
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        name = repr(columns[column]) if columns else column + 1
        fault = "is missing (NaN)" if np.isnan(inputs[row, column]) else f"is {inputs[row, column]:g}"
        raise UserError(
            f"{where}: row {start + row + 1}, column {name} {fault}; expected a number within ±{LARGEST:g}. Fill, clip or drop it"
        )


Loader = Callable[[], Rows]
"""A function that loads a named data set."""
