"""What an estimator holds is plain, and changes as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def all_or_nothing(estimator: object) -> Iterator[None]:
    """Give an estimator back what it had, if what is done to it fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def plain(value: Any) -> Any:
    """A value of NumPy's as one of Python's."""
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
