"""What MLflow calls to serve a kept model; it finds this module in the model's own copy of the sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.model import ARRAYS, PLAIN, load


class Served:
    """Rows (N, D) in; a table of probabilities out, one column for each class, by its name."""

    def __init__(self, folder: Path) -> None:
        self.classifier = load(folder / ARRAYS, folder / PLAIN)

    def predict(self, rows: Any, params: Any = None) -> pd.DataFrame:
        """The probabilities of each row."""
        found = self.classifier.predict_proba(rows)
        return pd.DataFrame(found, columns=[str(name) for name in self.classifier.classes_])


def _load_pyfunc(path: str) -> Served:
    """The name that MLflow asks for."""
    return Served(Path(path))
