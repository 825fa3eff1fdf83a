"""The model that MLflow serves. A registered model carries this module and those that it imports as a package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.columns import code_rows
from pipeline.data.encoding import Encoding
from pipeline.data.rows import check_cells
from pipeline.errors import UserError
from pipeline.estimator.prediction import NUMBERS, probabilities

ARRAYS, PLAIN, COLUMNS = "arrays.npz", "estimator.json", "columns.json"


class ServedModel:
    """Predicts a table of probabilities, with a column for each class, from rows (N, D), or from raw rows of a table."""

    def __init__(self, folder: Path) -> None:
        self.state = read_state(folder / ARRAYS, folder / PLAIN)
        path = folder / COLUMNS
        self.encoding = Encoding.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def predict(self, rows: Any, params: Any = None) -> pd.DataFrame:
        """Return the probabilities of each row.

        A model of a table with columns that are not numbers needs their names. Raises :class:`UserError` for a wrong
        shape, a missing column, or a cell of another kind than in the table.
        """
        if self.encoding is not None:
            frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=self._names(rows))
            rows = self.encoding(code_rows("rows", self.encoding.schema, frame))
        rows = np.asarray(rows)
        rows = rows if rows.dtype in NUMBERS else rows.astype("float64")
        if rows.ndim != 2 or rows.shape[1] != self.state["n_features_in_"]:
            raise UserError(f"rows: got shape {rows.shape}; expected (N, {self.state['n_features_in_']})")
        check_cells("rows", rows)
        names = [str(name) for name in self.state["classes_"]]
        return pd.DataFrame(probabilities(self.state, rows), columns=names)

    def _names(self, rows: Any) -> list[str] | None:
        """Return the names of the columns for rows without names."""
        return [column.name for column in self.encoding.schema] if self.encoding and np.ndim(rows) == 2 else None


def read_state(arrays: Path | str, plain: Path | str) -> dict[str, Any]:
    """Return the saved state of a classifier. Neither file can run code."""
    with np.load(arrays, allow_pickle=False) as archive:
        state: dict[str, Any] = {name: archive[name] for name in archive.files}
    state.update(json.loads(Path(plain).read_text()))
    return state


def _load_pyfunc(path: str) -> ServedModel:
    """Load the model; MLflow calls this name."""
    return ServedModel(Path(path))
