"""Raw rows become the inputs of a registered model, which carries this module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.columns import code_rows
from pipeline.data.encoding import Encoding
from pipeline.data.rows import check_cells
from pipeline.errors import UserError


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
