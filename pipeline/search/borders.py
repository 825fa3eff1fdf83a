"""Rules that look across trials: whether the best lies at a border of its range, and whether it was one lucky seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Side = Literal["low", "high"]
BORDER, OUTER, TOP = 0.1, 0.25, 5


def border_check(best: float, top: Sequence[float]) -> Side | None:
    """P23: the side on which a range should be extended, or None.

    ``best`` is the position of the best trial in the range, 0 to 1 on its scale, and ``top`` those of the best five.
    A border is too near if the best lies in the outer tenth, or three of the five in the outer quarter.
    """
    crowd = {"low": sum(p < OUTER for p in top[:TOP]), "high": sum(p > 1 - OUTER for p in top[:TOP])}
    if best < BORDER or crowd["low"] >= 3:
        return "low"
    if best > 1 - BORDER or crowd["high"] >= 3:
        return "high"
    return None


def seeds_disagree(accuracies: Sequence[float], rows: int) -> bool:
    """P27: whether accuracies of one point over three or more seeds spread more than twice their binomial error."""
    mean = sum(accuracies) / len(accuracies)
    return len(accuracies) >= 3 and max(accuracies) - min(accuracies) > 2 * math.sqrt(mean * (1 - mean) / rows)
