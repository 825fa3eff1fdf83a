"""A convolution looks at every place of an image with the same few weights.

Maps (C, H, W) are features in that order, so a signal (K, B, C·H·W) is in memory (K, C, H, W, B): a window of pixels is
copied in long runs, and the product of the filters with all windows is the next signal as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from pipeline.errors import UserError
from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace

Maps = tuple[int, int, int]
"""Channels C, height H and width W."""
Piece = tuple[slice, slice]
"""Rows and columns of the outputs."""
SIZE = 3
"""The side of a filter."""
PIECE_BYTES = 2**19
"""How much of the windows is laid out at a time: it should stay in a core's own cache until the product has read it."""


def maps_of(signal: Array, maps: Maps) -> Array:
    """A signal (K, B, C·H·W), or more, or the same of shared rows (B, C·H·W), as its maps (K, C, H, W, B), in place."""
    by_feature = signal.swapaxes(-1, -2)[..., : prod(maps), :]
    return by_feature.reshape(-1, *maps, signal.shape[-2], copy=False)


def signal_of(maps: Array) -> Array:
    """Maps (K, C, H, W, B) as the signal (K, B, C·H·W), in place."""
    return maps.reshape(len(maps), -1, maps.shape[-1], copy=False).swapaxes(1, 2)


@dataclass(frozen=True)
class Conv(Layer):
    """Outputs = the inputs' 3x3 windows·W + b, for each of the windows ``stride`` apart and up to ``padding`` outside.

    The rows of W are the inputs' channels and within each the window by rows, its columns the filters. The ``first``
    layer owes nobody the gradient of its inputs, which are shared by the trials; ``channels_last`` tells how their
    features lie, (H, W, C) and not (C, H, W).
    """

    maps: Maps
    filters: int
    stride: int = 1
    padding: int = 1
    first: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        if min(self.outputs) < 1:
            raise UserError(
                f"conv: maps of {self.maps[1]} x {self.maps[2]} are too small for a 3x3 window. Leave out a block, a p or an s"
            )

    @property
    def outputs(self) -> Maps:
        """The shape of the output maps."""
        height, width = ((side + 2 * self.padding - SIZE) // self.stride + 1 for side in self.maps[1:])
        return self.filters, height, width

    @property
    def fan_in(self) -> int:
        """The inputs of a unit."""
        return self.maps[0] * SIZE**2

    @property
    def trained(self) -> Shapes:
        return {"W": (self.fan_in, self.filters), "b": (1, self.filters)}

    def trained_in(self, values: Array) -> Arrays:
        return {**super().trained_in(values), "Wb": values.reshape(-1, self.fan_in + 1, self.filters)}

    @property
    def field(self) -> int:
        return SIZE**2

    @property
    def reads(self) -> int:
        return prod(self.maps)

    @property
    def per_row(self) -> int:
        return prod(self.outputs) + 1

    def shared_bytes(self, rows: int, dtype: str) -> int:
        columns = (self.fan_in + 1) * self._most_pixels(rows, dtype)
        return (2 * prod(self._padded_maps) + columns) * rows * np.dtype(dtype).itemsize

    @property
    def _padded_maps(self) -> Maps:
        channels, height, width = self.maps
        return channels, height + 2 * self.padding, width + 2 * self.padding

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Z = windows(X)·W + b."""
        outputs = space.signal(self.index, prod(self.outputs))
        maps, filters = maps_of(outputs, self.outputs), params["Wb"].swapaxes(1, 2)
        for trials, windows in self._windows(inputs, space):
            for piece in self._pieces(space):
                np.matmul(filters[trials], self._columns(windows, piece, space), out=_pixels(maps[trials], piece))
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """From Z = windows(X)·W + b: dW = windows(X)ᵀ·dZ, db = Σ dZ, and dX is what the windows of dZ·Wᵀ add up to, in the place of X."""
        gradient = maps_of(upstream, self.outputs)
        grads["Wb"][:] = 0
        for trials, windows in self._windows(inputs, space):
            for piece in self._pieces(space):
                pixels = _pixels(gradient[trials], piece)
                grads["Wb"][trials] += self._columns(windows, piece, space) @ pixels.swapaxes(1, 2)
        if not self.first:
            for k, weights in enumerate(params["W"]):
                maps_of(inputs, self.maps)[k] = self._back(weights, gradient[k], space)
        return inputs

    def _back(self, weights: Array, gradient: Array, space: Workspace) -> Array:
        """Of one trial dX (C, H, W, B), from W and dZ (F, H', W', B)."""
        padded = space.scratch(self.index, "padded gradient", *self._padded_maps, space.rows)
        padded.fill(0)
        windows = self._views(padded, writeable=True)
        for piece in self._pieces(space):
            place = windows[:, :, :, *piece]
            columns = self._scratch(place, space)[:-1]
            np.matmul(weights, _pixels(gradient[None], piece)[0], out=columns)
            parts = columns.reshape(place.shape, copy=False)
            for i, j in np.ndindex(SIZE, SIZE):  # one after the other, since the windows overlap
                place[:, i, j] += parts[:, i, j]
        return self._inside(padded)

    def _windows(self, inputs: Array, space: Workspace) -> Iterator[tuple[slice, Array]]:
        """The windows (C, 3, 3, H', W', B) of each trial's inputs in turn, or of those that the trials share, at once."""
        padded = space.scratch(self.index, "padded", *self._padded_maps, space.rows)
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
        edge = slice(self.padding, -self.padding or None)
        return padded[:, edge, edge]

    def _views(self, padded: Array, *, writeable: bool = False) -> Array:
        """Maps (C, H, W, B) as their windows (C, 3, 3, H', W', B)."""
        windows = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), axis=(1, 2), writeable=writeable)
        return windows[:, :: self.stride, :: self.stride].transpose(0, 4, 5, 1, 2, 3)

    def _columns(self, windows: Array, piece: Piece, space: Workspace) -> Array:
        """Some windows side by side, and a row of ones: (9C + 1, n)."""
        place = windows[:, :, :, *piece]
        columns = self._scratch(place, space)
        columns[:-1].reshape(place.shape, copy=False)[:] = place
        columns[-1] = 1
        return columns

    def _scratch(self, place: Array, space: Workspace) -> Array:
        """A matrix for some windows and a row more, (9C + 1, n), from memory that is used again and again."""
        length = prod(place.shape[3:])
        memory = space.scratch(
            self.index, "columns", (self.fan_in + 1) * self._most_pixels(space.rows, space.dtype) * space.rows
        )
        return memory[: (self.fan_in + 1) * length].reshape(self.fan_in + 1, length)

    def _most_pixels(self, rows: int, dtype: str) -> int:
        """How many pixels of the outputs are worked on at a time, at least one."""
        bytes_each = (self.fan_in + 1) * rows * np.dtype(dtype).itemsize
        _, height, width = self.outputs
        return min(max(1, PIECE_BYTES // bytes_each), height * width)

    def _pieces(self, space: Workspace) -> Iterator[Piece]:
        """The outputs cut up: some rows at a time, or parts of a row."""
        (_, height, width), most = self.outputs, self._most_pixels(space.rows, space.dtype)
        down, across = max(1, most // width), min(most, width)
        for top in range(0, height, down):
            for left in range(0, width, across):
                yield slice(top, min(top + down, height)), slice(left, min(left + across, width))


def _pixels(maps: Array, piece: Piece) -> Array:
    """A piece of maps (K, F, H, W, B) as matrices (K, F, n), in place."""
    part = maps[:, :, *piece]
    return part.reshape(*part.shape[:2], -1, copy=False)
