"""Row scores as text: a bit for each row in accuracy, a byte in other metrics; both in base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HEAD = np.dtype("<f8").itemsize * 2
"""The bytes of the lowest score and of the step between two numbers of 0 to 255."""


def pack_bits(correct: np.ndarray) -> str:
    """Return booleans (N,) as text: eight to a byte, in base64."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def pack_scores(scores: np.ndarray) -> str:
    """Return scores (N,) as text: the lowest, the step, and each row's number of steps above the lowest, from 0 to 255."""
    low, high = float(scores.min()), float(scores.max())
    step = (high - low) / 255 or 1.0
    head, steps = np.array([low, step], "<f8"), np.rint((scores - low) / step).astype(np.uint8)
    return base64.b64encode(head.tobytes() + steps.tobytes()).decode()


def unpack(texts: Sequence[str], n: int, values: Array) -> np.ndarray | None:
    """Return the row scores of trials, (M, n): zeros and ones from bits, else numbers; None if any is unknown.

    ``values`` (M,) are those of the metric. Rounded scores are moved so that these are their means.
    """
    if n < 1 or not all(texts):
        return None
    packed = [np.frombuffer(base64.b64decode(text), dtype=np.uint8) for text in texts]
    sizes = {len(row) for row in packed}
    if sizes == {-(-n // 8)}:
        return np.unpackbits(np.stack(packed), axis=1, count=n)
    if sizes != {HEAD + n}:
        return None
    low, step = np.stack([row[:HEAD].view("<f8") for row in packed]).T
    scores: Array = low[:, None] + step[:, None] * np.stack([row[HEAD:] for row in packed])
    scores += (values - scores.mean(axis=1))[:, None]
    return scores
