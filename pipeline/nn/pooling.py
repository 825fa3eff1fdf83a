"""Pooling layers: the maximum of 2x2 pixels, or the mean of a whole map."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from pipeline.errors import UserError
from pipeline.nn.base import Array, Arrays, Layer, Workspace
from pipeline.nn.conv import Maps, maps_of


@dataclass(frozen=True)
class MaxPool(Layer):
    """The maximum of each 2x2 pixels, of equal pixels the first; an odd last row or column is left out."""

    maps: Maps

    def __post_init__(self) -> None:
        if min(self.outputs) < 1:
            raise UserError(
                f"conv: maps of {self.maps[1]} x {self.maps[2]} are too small to be pooled. Leave out a p or an s"
            )

    @property
    def outputs(self) -> Maps:
        """The shape of the output maps, (C, H', W')."""
        channels, height, width = self.maps
        return channels, height // 2, width // 2

    @property
    def numbers_per_row(self) -> int:
        return 2 * prod(self.outputs) + 1

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """Take the maximum of two rows, in place of the first, then of two columns; store which was greater."""
        outputs = workspace.signal(self.index, prod(self.outputs))
        upper, lower = self._rows(inputs)
        left, right = _columns(upper)
        if training:
            np.greater(lower, upper, out=self._lower(workspace))
        np.maximum(upper, lower, out=upper)
        if training:
            np.greater(right, left, out=self._right(workspace))
        np.maximum(left, right, out=maps_of(outputs, self.outputs))
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Return dx: the gradient goes to the pixel that was the maximum, all others get 0."""
        upper, lower = self._rows(inputs)
        left, right = _columns(upper)
        gradient = maps_of(upstream, self.outputs)
        np.multiply(gradient, self._right(workspace), out=right)
        np.subtract(gradient, right, out=left)
        np.multiply(upper, self._lower(workspace), out=lower)
        upper -= lower
        _, height, width = self.outputs
        maps = maps_of(inputs, self.maps)
        maps[:, :, 2 * height :], maps[:, :, :, 2 * width :] = 0, 0
        return inputs

    def _rows(self, inputs: Array) -> tuple[Array, Array]:
        """Return the upper and the lower rows of all pairs, (K, C, H', 2W', B) each."""
        _, height, width = self.outputs
        paired = maps_of(inputs, self.maps)[:, :, : 2 * height, : 2 * width]
        return paired[:, :, ::2], paired[:, :, 1::2]

    def _lower(self, workspace: Workspace) -> Array:
        channels, height, width = self.outputs
        mask = workspace.like_signal(self.index, "lower", 2 * prod(self.outputs), "bool")
        return maps_of(mask, (channels, height, 2 * width))

    def _right(self, workspace: Workspace) -> Array:
        return maps_of(workspace.like_signal(self.index, "right", prod(self.outputs), "bool"), self.outputs)


def _columns(rows: Array) -> tuple[Array, Array]:
    return rows[:, :, :, ::2], rows[:, :, :, 1::2]


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean of each map, (K, B, C) (Lin, Chen and Yan 2013)."""

    maps: Maps

    @property
    def numbers_per_row(self) -> int:
        return self.maps[0] + 1

    @property
    def _pixels(self) -> int:
        return prod(self.maps[1:])

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """Average over pixels by a product with a row of 1/(H·W), which gives the same bits for any K."""
        outputs = workspace.signal(self.index, self.maps[0])
        pixels = self._by_pixel(inputs)
        shares = np.full((1, self._pixels), 1 / self._pixels, inputs.dtype)
        np.matmul(shares, pixels, out=outputs.swapaxes(1, 2)[:, :, None])
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Return dx: each pixel gets 1/(H·W) of its map's gradient."""
        upstream *= 1 / self._pixels
        self._by_pixel(inputs)[:] = upstream.swapaxes(1, 2)[:, :, None]
        return inputs

    def _by_pixel(self, inputs: Array) -> Array:
        """Return the signal as (K, C, H·W, B), a view."""
        maps = maps_of(inputs, self.maps)
        return maps.reshape(*maps.shape[:2], self._pixels, -1, copy=False)
