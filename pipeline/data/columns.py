"""The columns of a table: their kinds, and the numbers that stand for their cells. A served model carries this module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UserError

NUMBER, CATEGORY, DATE = "number", "category", "date"
UNKNOWN = -1
"""The code of a category's level that is not in the table; that of a missing cell is NaN."""
ISO = "ISO8601"
EPOCH = pd.Timestamp("1970-01-01")
PARTS = ("day", "month", "day of month", "weekday", "hour")
"""The numbers made of a date: days since 1970, then parts of the calendar; the hour only if some cell has a time."""


@dataclass(frozen=True)
class Column:
    """A column that is an input: its name and kind, whether cells are missing in the table, and what its kind needs.

    ``levels`` are the values of a category. ``form`` is the format of a date, and ``times`` is True if one has a time. In a
    ``lenient`` column of numbers, a cell that is not a number counts as missing.
    """

    name: str
    kind: str
    missing: bool = False
    levels: tuple[str, ...] = ()
    form: str = ""
    times: bool = False
    lenient: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The numbers that are made of a date."""
        return PARTS if self.times else PARTS[:-1]

    @property
    def width(self) -> int:
        """The most inputs that the column can become."""
        each = {NUMBER: 1, CATEGORY: len(self.levels) + 1, DATE: len(self.parts)}
        return each[self.kind] + self.missing

    def code(self, cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Return a float64 number for each cell (N,), NaN for a missing one; and a mask of cells of another kind."""
        if self.kind == CATEGORY:
            places = {level: place for place, level in enumerate(self.levels)}
            codes = level_names(cells).map(places, na_action="ignore").to_numpy("float64", na_value=np.nan)
            return np.where(np.isnan(codes) & ~is_missing(cells), UNKNOWN, codes), np.zeros(len(cells), bool)
        numbers = to_days(cells, self.form) if self.kind == DATE else to_numbers(cells)
        return numbers, np.asarray(np.isnan(numbers) & ~is_missing(cells))

    def cells(self, codes: np.ndarray) -> list[Any]:
        """Return cells that have these codes: numbers, texts, and None for a missing one."""
        if self.kind == CATEGORY:
            return [None if np.isnan(code) else self.levels[int(code)] for code in codes]
        if self.kind == NUMBER:
            return [None if np.isnan(code) else float(code) for code in codes]
        form = self.form if self.form != ISO else "%Y-%m-%dT%H:%M:%S" if self.times else "%Y-%m-%d"
        return [None if np.isnan(c) else (EPOCH + pd.Timedelta(days=c)).round("s").strftime(form) for c in codes]


def code_rows(where: str, columns: Sequence[Column], frame: pd.DataFrame) -> np.ndarray:
    """Return the codes (N, C) of raw rows. Raises :class:`UserError` for a missing column, and for a cell of another kind."""
    if absent := [column.name for column in columns if column.name not in frame.columns]:
        raise UserError(
            f"{where}: there is no column {absent[0]!r}; expected {', '.join(column.name for column in columns)}"
        )
    codes = np.empty((len(frame), len(columns)))
    for place, column in enumerate(columns):
        codes[:, place], wrong = column.code(frame[column.name])
        if wrong.any() and not column.lenient:
            row = int(wrong.argmax())
            raise UserError(
                f"{where}: row {row + 1}, column {column.name!r} is {frame[column.name].iloc[row]!r}; expected a {column.kind}"
            )
    return codes


def raw_rows(columns: Sequence[Column], codes: np.ndarray) -> pd.DataFrame:
    """Return raw rows that have these codes (N, C)."""
    cells = {column.name: column.cells(codes[:, place]) for place, column in enumerate(columns)}
    return pd.DataFrame(cells, dtype=object)


def is_missing(cells: pd.Series) -> np.ndarray:
    """Return a mask (N,) of the missing cells; an empty text is one."""
    if is_numeric(cells) or _is_datetime(cells):
        return np.asarray(cells.isna(), bool)
    places, values = distinct(cells)
    return np.asarray(np.array([*(isinstance(value, (str, bytes)) and not value for value in values), True])[places])


def distinct(cells: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Return the place (N,) of each cell among the different values, -1 for a missing one, and these values."""
    try:
        places, values = pd.factorize(cells)
    except TypeError:  # lists and other cells that have no hash
        missing = np.array([value is None for value in cells.tolist()])
        return np.where(missing, -1, np.arange(len(cells))), cells.tolist()
    return np.asarray(places), values.tolist()


def is_numeric(cells: pd.Series) -> bool:
    """Return True for a dtype of real numbers or truth values."""
    real = pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells)
    return bool(real) and not isinstance(cells.dtype, pd.CategoricalDtype)


def _is_datetime(cells: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(cells))


def to_numbers(cells: pd.Series) -> np.ndarray:
    """Return cells of any dtype as float64 (N,): NaN for a missing one, and for one that is no number."""
    if is_numeric(cells):
        return np.asarray(cells.to_numpy("float64", na_value=np.nan))
    places, values = distinct(cells)
    return np.asarray(np.array([*map(_number, values), np.nan], "float64")[places])


def _number(value: Any) -> float:
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        return np.nan  # Python takes 1_000 and other alphabets' digits for numbers, files do not
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def to_days(cells: pd.Series, form: str) -> np.ndarray:
    """Return dates as days since 1970 (N,), with a fraction; NaN for a missing one, and for one of another format."""
    texts = cells if _is_datetime(cells) else level_names(cells)
    dates = pd.to_datetime(texts, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    return np.asarray((dates - EPOCH) / pd.Timedelta(days=1), "float64")


def level_names(cells: pd.Series) -> pd.Series:
    """Return the text of each cell, NaN for a missing one: ``3`` for 3.0, ``01`` for "01", ``cat`` for b"cat"."""
    places, values = distinct(cells)
    names = np.array([*map(level_name, values), np.nan], object)
    return pd.Series(np.where(names == "", np.nan, names)[places], index=cells.index, dtype=object)


def level_name(value: Any) -> str:
    """Return the text of one value of a category, the same for all types that can hold it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
