"""The model that MLflow serves. A registered model carries this module and those that it imports as a package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.encoding import Encoding
from pipeline.estimator.prediction import probabilities
from pipeline.model.raw_inputs import raw_inputs

ARRAYS, PLAIN, COLUMNS = "arrays.npz", "estimator.json", "columns.json"


class ServedModel:
    """Predicts a table of probabilities, with a column for each class, from rows (N, D), or from raw rows of a table."""

    def __init__(self, folder: Path) -> None:
        self.state = read_state(folder / ARRAYS, folder / PLAIN)
        path = folder / COLUMNS
        self.encoding = Encoding.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def predict(self, rows: Any, params: Any = None) -> pd.DataFrame:
        """Return the probabilities of each row. Raises :class:`UserError` as :func:`raw_inputs` does."""
        rows = raw_inputs(rows, self.encoding, self.state["n_features_in_"])
        names = [str(name) for name in self.state["classes_"]]
        return pd.DataFrame(probabilities(self.state, rows), columns=names)


def read_state(arrays: Path | str, plain: Path | str) -> dict[str, Any]:
    """Return the saved state of a classifier. Neither file can run code."""
    with np.load(arrays, allow_pickle=False) as archive:
        state: dict[str, Any] = {name: archive[name] for name in archive.files}
    state.update(json.loads(Path(plain).read_text()))
    return state


def _load_pyfunc(path: str) -> ServedModel:
    """Load the model; MLflow calls this name."""
    return ServedModel(Path(path))
