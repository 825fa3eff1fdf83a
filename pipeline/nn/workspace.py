"""A workspace holds the buffers for signals and intermediate results, so that a training step allocates almost nothing.

Signals have the shape (K, B, H), but in memory the minibatch is innermost, which makes products of small matrices
fastest. The H features of a trial are followed by a feature of ones, so that the bias is one more row of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Array = np.ndarray
CACHE_LINE = 64
EVALUATION_ROWS = 128
"""The number of rows that are evaluated at a time."""


class Workspace:
    """The buffers of K trials and minibatches of B rows; each is made when it is first requested.

    Layers identify a buffer by their index and a name. Dropout draws from ``generators``, one for each trial.
    """

    def __init__(self, trials: int, rows: int, dtype: str) -> None:
        self.trials, self.rows, self.dtype = trials, rows, dtype
        self.generators: Sequence[np.random.Generator] = ()
        self._ones, self._shares = np.ones((1, rows), dtype), np.full((1, rows), 1 / rows, dtype)
        self._buffers: dict[tuple[int, str], Array] = {}
        self._with_ones: dict[int, Array] = {}

    def signal(self, layer: int, features: int) -> Array:
        """Return the buffer of a layer's outputs, (K, B, H)."""
        key = (layer, "signal")
        if key not in self._buffers:
            whole = self._memory(self.trials, features + 1, self.rows)
            self._buffers[key] = whole[:, :features].swapaxes(1, 2)
            self._with_ones[id(self._buffers[key])] = whole.swapaxes(1, 2)
        return self._buffers[key]

    def with_ones(self, signal: Array) -> Array:
        """Return a signal of this workspace with its feature of ones, (K, B, H + 1)."""
        return self._with_ones[id(signal)]

    def like_signal(self, layer: int, name: str, features: int, dtype: str = "") -> Array:
        """Return a further buffer (K, B, H) of a layer, with the memory order of its signal."""
        key = (layer, name)
        if key not in self._buffers:
            self._buffers[key] = self._memory(self.trials, features, self.rows, dtype=dtype).swapaxes(1, 2)
        return self._buffers[key]

    def per_feature(self, layer: int, name: str, count: int, features: int) -> Array:
        """Return a buffer of ``count`` numbers for each feature, (K, count, H)."""
        key = (layer, name)
        if key not in self._buffers:
            self._buffers[key] = self._memory(self.trials, count, features)
        return self._buffers[key]

    def scratch(self, layer: int, name: str, *shape: int) -> Array:
        """Return a buffer of any shape, initially 0, which the trials use one after the other."""
        key = (layer, name)
        if key not in self._buffers:
            self._buffers[key] = self._memory(*shape)
            self._buffers[key].fill(0)
        return self._buffers[key]

    def sum_over_rows(self, values: Array, out: Array) -> None:
        """Sum (K, B, H) over the minibatch into ``out`` (K, 1, H), with the same bits for any K."""
        np.matmul(self._ones, values, out=out)

    def mean_over_rows(self, values: Array, out: Array) -> None:
        """Average (K, B, H) over the minibatch into ``out`` (K, 1, H)."""
        np.matmul(self._shares, values, out=out)

    @staticmethod
    def dot_over_rows(a: Array, b: Array, out: Array) -> None:
        """Sum a·b, (K, B, H) each, over the minibatch into ``out`` (K, 1, H)."""
        np.vecdot(a.swapaxes(1, 2), b.swapaxes(1, 2), out=out[:, 0])

    def _memory(self, *shape: int, dtype: str = "") -> Array:
        """Return an array of ones that starts at a cache line; arithmetic on short rows is then a quarter faster."""
        kind = np.dtype(dtype or self.dtype)
        size = math.prod(shape) * kind.itemsize
        memory = np.empty(size + CACHE_LINE, np.uint8)
        start = -memory.ctypes.data % CACHE_LINE
        array = memory[start : start + size].view(kind).reshape(shape)
        array.fill(1)
        return array
