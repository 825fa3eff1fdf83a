"""Pooling makes maps smaller: it keeps the greatest of neighbours, or the mean of all."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from pipeline.errors import UserError
from pipeline.nn.base import Array, Arrays, Layer, Workspace
from pipeline.nn.conv import Maps, maps_of


@dataclass(frozen=True)
class MaxPool(Layer):
    """The greatest of each 2x2 pixels; of equal ones the first. A last row or column without a partner is left out."""

    maps: Maps

    def __post_init__(self) -> None:
        if min(self.outputs) < 1:
            raise UserError(
                f"conv: maps of {self.maps[1]} x {self.maps[2]} are too small to be pooled. Leave out a p or an s"
            )

    @property
    def outputs(self) -> Maps:
        """The shape of the output maps."""
        channels, height, width = self.maps
        return channels, height // 2, width // 2

    @property
    def per_row(self) -> int:
        return 2 * prod(self.outputs) + 1

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """The greater of two rows, in the place of the first, then of two columns; which ones they were is kept."""
        outputs = space.signal(self.index, prod(self.outputs))
        upper, lower = self._rows(inputs)
        left, right = _columns(upper)
        if training:
            np.greater(lower, upper, out=self._lower(space))
        np.maximum(upper, lower, out=upper)
        if training:
            np.greater(right, left, out=self._right(space))
        np.maximum(left, right, out=maps_of(outputs, self.outputs))
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """The gradient goes to the pixel that was the greatest."""
        upper, lower = self._rows(inputs)
        left, right = _columns(upper)
        gradient = maps_of(upstream, self.outputs)
        np.multiply(gradient, self._right(space), out=right)
        np.subtract(gradient, right, out=left)
        np.multiply(upper, self._lower(space), out=lower)
        upper -= lower
        _, height, width = self.outputs
        maps = maps_of(inputs, self.maps)
        maps[:, :, 2 * height :], maps[:, :, :, 2 * width :] = 0, 0
        return inputs

    def _rows(self, inputs: Array) -> tuple[Array, Array]:
        """The upper and the lower rows of pairs of them, each (K, C, H', 2W', B)."""
        _, height, width = self.outputs
        paired = maps_of(inputs, self.maps)[:, :, : 2 * height, : 2 * width]
        return paired[:, :, ::2], paired[:, :, 1::2]

    def _lower(self, space: Workspace) -> Array:
        channels, height, width = self.outputs
        mask = space.like_signal(self.index, "lower", 2 * prod(self.outputs), "bool")
        return maps_of(mask, (channels, height, 2 * width))

    def _right(self, space: Workspace) -> Array:
        return maps_of(space.like_signal(self.index, "right", prod(self.outputs), "bool"), self.outputs)


def _columns(rows: Array) -> tuple[Array, Array]:
    return rows[:, :, :, ::2], rows[:, :, :, 1::2]


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean of each map, (K, B, C), whatever its size (Lin, Chen and Yan 2013)."""

    maps: Maps

    @property
    def per_row(self) -> int:
        return self.maps[0] + 1

    @property
    def _pixels(self) -> int:
        return prod(self.maps[1:])

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """A product with shares of one pixel each, so that no mean depends on K."""
        outputs = space.signal(self.index, self.maps[0])
        pixels = self._by_pixel(inputs)
        shares = np.full((1, self._pixels), 1 / self._pixels, inputs.dtype)
        np.matmul(shares, pixels, out=outputs.swapaxes(1, 2)[:, :, None])
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """Each pixel has an equal share in the mean."""
        upstream *= 1 / self._pixels
        self._by_pixel(inputs)[:] = upstream.swapaxes(1, 2)[:, :, None]
        return inputs

    def _by_pixel(self, inputs: Array) -> Array:
        """(K, C, H·W, B)."""
        maps = maps_of(inputs, self.maps)
        return maps.reshape(*maps.shape[:2], self._pixels, -1, copy=False)
