"""The transform that preprocessing has learned, which applies to any rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Transform:
    """Maps rows (N, D) to (N, M): subtracts ``offset`` (D,), divides by ``scale`` (D,), multiplies by ``basis`` (D, M).

    A step is skipped if its array is ``None``. The result of a row does not depend on the other rows.
    """

    offset: np.ndarray | None = None
    scale: np.ndarray | None = None
    basis: np.ndarray | None = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        if self.offset is not None:
            rows = rows - self.offset
        if self.scale is not None:
            rows = rows / self.scale
        return rows if self.basis is None else rows @ self.basis
