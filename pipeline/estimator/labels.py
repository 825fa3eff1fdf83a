"""Labels as the places of classes, which a network learns, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import UserError
from pipeline.nn.layers import Array


def encode(y: Array, classes: Array) -> Array:
    """Labels (N,) as their places among the classes (C,)."""
    unknown = y[~np.isin(y, classes)]
    if len(unknown):
        raise UserError(f"y: got {unknown[:1].tolist()[0]!r}; expected one of the classes {classes.tolist()!r}")
    order = np.argsort(classes)
    return np.asarray(order[np.searchsorted(classes, y, sorter=order)])


def labels_of(names: Sequence[str]) -> Array:
    """The labels that classes of these names have: whole numbers, if all of them are written as such."""
    return np.array([int(name) for name in names] if all(map(_is_whole, names)) else list(names))


def _is_whole(name: str) -> bool:
    """Whether the text is how its number is written: ``-1`` and ``10`` are, ``01`` is a name."""
    try:
        return str(int(name)) == name
    except ValueError:
        return False
