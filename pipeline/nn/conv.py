"""The 3x3 convolution layer.

In this module C, H and W are channels, height and width, and F filters. Maps (C, H, W) are features in that order, and
the minibatch is innermost in memory. So a signal (K, B, C·H·W) has the layout (K, C, H, W, B): windows of pixels are
copied in long runs, and the product of the filters and all windows already has the layout of the next signal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace

Maps = tuple[int, int, int]
"""Channels C, height H and width W."""
Piece = tuple[slice, slice]
"""A range of rows and a range of columns of the output maps."""
SIZE = 3
"""The width and height of a filter."""
PIECE_BYTES = 2**19
"""The bytes of windows that are copied at a time, so that they stay in the core's cache for the product."""


def maps_of(signal: Array, maps: Maps) -> Array:
    """Return a signal (K, B, C·H·W) as maps (K, C, H, W, B), a view.

    Shared rows (B, C·H·W) give K = 1. Features after the first C·H·W, such as one of ones, are left out.
    """
    by_feature = signal.swapaxes(-1, -2)[..., : prod(maps), :]
    return by_feature.reshape(-1, *maps, signal.shape[-2], copy=False)


@dataclass(frozen=True)
class Conv(Layer):
    """A 3x3 convolution: Z = windows(X)·W + b, for windows ``stride`` apart on maps with a border of zeros.

    W is (K, 9C, F): its rows are the window's pixels, row by row, for each channel in turn. The ``first`` layer
    computes no gradient of its inputs, which the trials share. With ``channels_last``, input features are ordered (H,
    W, C) instead of (C, H, W).
    """

    maps: Maps
    filters: int
    stride: int = 1
    first: bool = False
    channels_last: bool = False

    @property
    def outputs(self) -> Maps:
        """The shape of the output maps, (F, H', W')."""
        height, width = ((side - 1) // self.stride + 1 for side in self.maps[1:])
        return self.filters, height, width

    @property
    def fan_in(self) -> int:
        """The number of inputs of a unit, 9C."""
        return self.maps[0] * SIZE**2

    @property
    def param_shapes(self) -> Shapes:
        return {"W": (self.fan_in, self.filters), "b": (1, self.filters)}

    def param_views(self, values: Array) -> Arrays:
        return {**super().param_views(values), "Wb": values.reshape(-1, self.fan_in + 1, self.filters)}

    @property
    def receptive_field(self) -> int:
        return SIZE**2

    @property
    def input_size(self) -> int:
        return prod(self.maps)

    @property
    def numbers_per_row(self) -> int:
        return prod(self.outputs) + 1

    def shared_bytes(self, rows: int, dtype: str) -> int:
        columns = (self.fan_in + 1) * self._most_pixels(rows, dtype)
        return (2 * prod(self._padded_maps) + columns) * rows * np.dtype(dtype).itemsize

    @property
    def _padded_maps(self) -> Maps:
        channels, height, width = self.maps
        return channels, height + 2, width + 2

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """Z = windows(X)·W + b, (K, B, F·H'·W')."""
        outputs = workspace.signal(self.index, prod(self.outputs))
        maps, filters = maps_of(outputs, self.outputs), params["Wb"].swapaxes(1, 2)
        for trials, windows in self._windows(inputs, workspace):
            for piece in self._pieces(workspace):
                np.matmul(filters[trials], self._columns(windows, piece, workspace), out=_pixels(maps[trials], piece))
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Compute dW = windows(X)ᵀ·dZ and db = Σ dZ; dX, the sum of the windows dZ·Wᵀ, overwrites X."""
        gradient = maps_of(upstream, self.outputs)
        grads["Wb"][:] = 0
        for trials, windows in self._windows(inputs, workspace):
            for piece in self._pieces(workspace):
                pixels = _pixels(gradient[trials], piece)
                grads["Wb"][trials] += self._columns(windows, piece, workspace) @ pixels.swapaxes(1, 2)
        if not self.first:
            for k, weights in enumerate(params["W"]):
                maps_of(inputs, self.maps)[k] = self._back(weights, gradient[k], workspace)
        return inputs

    def _back(self, weights: Array, gradient: Array, workspace: Workspace) -> Array:
        """Return dX (C, H, W, B) of one trial from its W (9C, F) and dZ (F, H', W', B)."""
        padded = workspace.scratch(self.index, "padded gradient", *self._padded_maps, workspace.rows)
        padded.fill(0)
        windows = self._views(padded, writeable=True)
        for piece in self._pieces(workspace):
            place = windows[:, :, :, *piece]
            columns = self._scratch(place, workspace)[:-1]
            np.matmul(weights, _pixels(gradient[None], piece)[0], out=columns)
            parts = columns.reshape(place.shape, copy=False)
            for i, j in np.ndindex(SIZE, SIZE):  # one after the other, since the windows overlap
                place[:, i, j] += parts[:, i, j]
        return self._inside(padded)

    def _windows(self, inputs: Array, workspace: Workspace) -> Iterator[tuple[slice, Array]]:
        """Yield the windows (C, 3, 3, H', W', B) of each trial's inputs, or once of shared inputs."""
        padded = workspace.scratch(self.index, "padded", *self._padded_maps, workspace.rows)
        views = self._views(padded)
        for k, maps in enumerate(self._inputs(inputs)):
            self._inside(padded)[:] = maps
            yield slice(None) if inputs.ndim == 2 else slice(k, k + 1), views

    def _inputs(self, inputs: Array) -> Array:
        channels, height, width = self.maps
        if not self.channels_last:
            return maps_of(inputs, self.maps)
        return np.moveaxis(maps_of(inputs, (height, width, channels)), 3, 1)

    def _inside(self, padded: Array) -> Array:
        return padded[:, 1:-1, 1:-1]

    def _views(self, padded: Array, *, writeable: bool = False) -> Array:
        """Return the windows (C, 3, 3, H', W', B) of maps (C, H, W, B), a view."""
        windows = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), axis=(1, 2), writeable=writeable)
        return windows[:, :: self.stride, :: self.stride].transpose(0, 4, 5, 1, 2, 3)

    def _columns(self, windows: Array, piece: Piece, workspace: Workspace) -> Array:
        """Copy the windows of a piece into a matrix (9C + 1, n); its last row is ones."""
        place = windows[:, :, :, *piece]
        columns = self._scratch(place, workspace)
        columns[:-1].reshape(place.shape, copy=False)[:] = place
        columns[-1] = 1
        return columns

    def _scratch(self, place: Array, workspace: Workspace) -> Array:
        """Return reused memory as a matrix (9C + 1, n) for the n windows of a piece."""
        length = prod(place.shape[3:])
        memory = workspace.scratch(
            self.index,
            "columns",
            (self.fan_in + 1) * self._most_pixels(workspace.rows, workspace.dtype) * workspace.rows,
        )
        return memory[: (self.fan_in + 1) * length].reshape(self.fan_in + 1, length)

    def _most_pixels(self, rows: int, dtype: str) -> int:
        """Return how many output pixels a piece may have, at least one."""
        bytes_each = (self.fan_in + 1) * rows * np.dtype(dtype).itemsize
        _, height, width = self.outputs
        return min(max(1, PIECE_BYTES // bytes_each), height * width)

    def _pieces(self, workspace: Workspace) -> Iterator[Piece]:
        """Yield the pieces of the output maps: some rows at a time, or parts of one row."""
        (_, height, width), most = self.outputs, self._most_pixels(workspace.rows, workspace.dtype)
        down, across = max(1, most // width), min(most, width)
        for top in range(0, height, down):
            for left in range(0, width, across):
                yield slice(top, min(top + down, height)), slice(left, min(left + across, width))


def _pixels(maps: Array, piece: Piece) -> Array:
    """Return a piece of maps (K, F, H, W, B) as matrices (K, F, n), a view."""
    part = maps[:, :, *piece]
    return part.reshape(*part.shape[:2], -1, copy=False)
