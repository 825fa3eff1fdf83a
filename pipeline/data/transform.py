"""A transform is what preprocessing has learned, ready for any rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Transform:
    """From rows (N, D) to rows (N, M): less ``offset`` (D,), divided by ``scale`` (D,), turned by ``basis`` (D, M).

    Each is learned from training rows, and left out where it is ``None``. A row's result does not depend on the others.
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
