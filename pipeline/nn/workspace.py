"""A workspace holds the buffers that a step of training works in, so that a step allocates next to nothing.

Signals have the shape (K, B, H), but in memory the minibatch is innermost: products of small matrices are fastest along
it. After the H features of a trial follows one of ones, so that a bias is one more row of the weights that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Array = np.ndarray
CACHE_LINE = 64
EVALUATION_ROWS = 128
"""The size of a minibatch that is evaluated."""


class Workspace:
    """The buffers of K trials and minibatches of B rows, each made when it is first asked for.

    ``generators``, one for each trial, are what layers that need chance draw from.
    """

    def __init__(self, trials: int, rows: int, dtype: str) -> None:
        self.trials, self.rows, self.dtype = trials, rows, dtype
        self.generators: Sequence[np.random.Generator] = ()
        self._ones, self._shares = np.ones((1, rows), dtype), np.full((1, rows), 1 / rows, dtype)
        self._buffers: dict[tuple[int, str], Array] = {}
        self._with_ones: dict[int, Array] = {}

    def signal(self, layer: int, features: int) -> Array:
        """The outputs of a hidden layer, (K, B, H)."""
        key = (layer, "signal")
        if key not in self._buffers:
            whole = self._memory(self.trials, features + 1, self.rows)
            self._buffers[key] = whole[:, :features].swapaxes(1, 2)
            self._with_ones[id(self._buffers[key])] = whole.swapaxes(1, 2)
        return self._buffers[key]

    def with_ones(self, signal: Array) -> Array:
        """A signal of this workspace and its feature of ones, (K, B, H + 1)."""
        return self._with_ones[id(signal)]

    def like_signal(self, layer: int, name: str, features: int, dtype: str = "") -> Array:
        """Another (K, B, H) of a layer, in the order of memory of its signal."""
        key = (layer, name)
        if key not in self._buffers:
            self._buffers[key] = self._memory(self.trials, features, self.rows, dtype=dtype).swapaxes(1, 2)
        return self._buffers[key]

    def rows_of(self, layer: int, name: str, count: int, features: int) -> Array:
        """So many numbers of that name for each feature, (K, count, H)."""
        key = (layer, name)
        if key not in self._buffers:
            self._buffers[key] = self._memory(self.trials, count, features)
        return self._buffers[key]

    def scratch(self, layer: int, name: str, *shape: int) -> Array:
        """Memory of any shape, zero at first, in which the trials take turns."""
        key = (layer, name)
        if key not in self._buffers:
            self._buffers[key] = self._memory(*shape)
            self._buffers[key].fill(0)
        return self._buffers[key]

    def sum_over_rows(self, values: Array, out: Array) -> None:
        """Sum (K, B, H) over the minibatch into ``out`` (K, 1, H): a product with ones, the same bits whatever K is."""
        np.matmul(self._ones, values, out=out)

    def mean_over_rows(self, values: Array, out: Array) -> None:
        """Average (K, B, H) over the minibatch into ``out`` (K, 1, H)."""
        np.matmul(self._shares, values, out=out)

    @staticmethod
    def dot_over_rows(a: Array, b: Array, out: Array) -> None:
        """Sum the products of two (K, B, H) over the minibatch into ``out`` (K, 1, H)."""
        np.vecdot(a.swapaxes(1, 2), b.swapaxes(1, 2), out=out[:, 0])

    def _memory(self, *shape: int, dtype: str = "") -> Array:
        """An array of ones that starts at a cache line, which arithmetic on short rows is a quarter faster for."""
        kind = np.dtype(dtype or self.dtype)
        size = math.prod(shape) * kind.itemsize
        memory = np.empty(size + CACHE_LINE, np.uint8)
        start = -memory.ctypes.data % CACHE_LINE
        array = memory[start : start + size].view(kind).reshape(shape)
        array.fill(1)
        return array
