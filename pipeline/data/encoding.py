"""The frozen encoding of a table's columns as inputs: plain values, applied with NumPy. A served model carries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.columns import CATEGORY, DATE, UNKNOWN, Column, code_rows
from pipeline.data.rows import check_cells
from pipeline.errors import UserError


@dataclass(frozen=True)
class ColumnEncoding:
    """How the codes of one column become inputs, as it was fitted on training rows.

    Parameters
    ----------
    column
        The column.
    inputs
        The names of its inputs.
    fill
        The number that takes a missing one's place, or those of the parts of a date.
    indicator
        True if the last input is 1 where the cell is missing.
    places
        The input that is 1 for each level of a category, then for a missing cell, then for an unknown level; -1 for none.
    """

    column: Column
    inputs: tuple[str, ...]
    fill: tuple[float, ...] = ()
    indicator: bool = False
    places: tuple[int, ...] = ()

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Return the inputs (N, M) of codes (N,)."""
        if self.column.kind == CATEGORY:
            missing = len(self.column.levels)
            code = np.where(np.isnan(codes), missing, np.where(codes == UNKNOWN, missing + 1, codes)).astype(np.intp)
            return np.asarray(np.array(self.places)[code][:, None] == np.arange(len(self.inputs)), "float64")
        numbers = date_parts(codes, times=self.column.times) if self.column.kind == DATE else codes[:, None]
        missing_cells = np.isnan(codes)[:, None]
        inputs = np.where(missing_cells, np.array(self.fill), numbers)
        return np.hstack([inputs, missing_cells.astype("float64")]) if self.indicator else inputs


@dataclass(frozen=True)
class Encoding:
    """The encodings of all columns of a table, in order."""

    columns: tuple[ColumnEncoding, ...]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs (N, M) of codes (N, C). Those of a row do not depend on the other rows."""
        return np.hstack([encode(rows[:, place]) for place, encode in enumerate(self.columns)])

    @property
    def schema(self) -> tuple[Column, ...]:
        """The columns."""
        return tuple(encoding.column for encoding in self.columns)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the M inputs."""
        return tuple(name for encoding in self.columns for name in encoding.inputs)

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain values; :meth:`from_json` is the inverse."""
        return [asdict(encoding) for encoding in self.columns]

    @classmethod
    def from_json(cls, records: Sequence[Mapping[str, Any]]) -> Encoding:
        """Return the encoding of a record."""
        return cls(tuple(_read(record) for record in records))


def _read(record: Mapping[str, Any]) -> ColumnEncoding:
    column = Column(**{**record["column"], "levels": tuple(record["column"]["levels"])})
    lists = {name: tuple(record[name]) for name in ("inputs", "fill", "places")}
    return ColumnEncoding(**{**record, **lists, "column": column})


def date_parts(days: np.ndarray, *, times: bool) -> np.ndarray:
    """Return the parts (N, P) of dates, given as days since 1970, (N,) or (N, 1); NaN for a missing one."""
    days = np.asarray(days, "float64").reshape(-1)
    known = ~np.isnan(days)
    dates = np.floor(np.where(known, days, 0)).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month, day = months.astype(int) % 12 + 1, (dates - months).astype(int) + 1
    parts = [days, month, day, (dates.astype(int) + 3) % 7, days % 1 * 24]  # 1 January 1970 was a Thursday
    return np.where(known[:, None], np.column_stack(parts if times else parts[:-1]), np.nan)


def raw_inputs(rows: Any, encoding: Encoding | None, features: int) -> np.ndarray:
    """Return the inputs (N, D) before preprocessing of raw rows: encoded, or numbers of ``features`` columns.

    Rows of a table with columns that are not numbers need their names, unless they are complete and in order. Raises
    :class:`UserError` for a wrong shape, a missing column, or a cell of another kind than in the table.
    """
    if encoding is not None:
        names = [column.name for column in encoding.schema] if np.ndim(rows) == 2 else None
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=names)
        rows, features = encoding(code_rows("rows", encoding.schema, frame)), len(encoding.inputs)
    inputs = np.asarray(rows, None if getattr(rows, "dtype", None) == "float32" else "float64")
    if inputs.ndim != 2 or inputs.shape[1] != features:
        raise UserError(f"rows: got shape {inputs.shape}; expected (N, {features})")
    check_cells("rows", inputs)
    return inputs
