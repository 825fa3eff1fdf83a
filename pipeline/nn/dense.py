"""A dense layer gives every unit a weight for each input, and a bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace

SMALL_PRODUCT = 10**6
"""Multiplications up to which OpenBLAS takes matrices as they lie; larger ones it lays out for itself."""


@dataclass(frozen=True)
class Dense(Layer):
    """Outputs = inputs·W + b, as one product of the inputs and a feature of ones with W and b, which lie side by side.

    The ``first`` layer owes nobody the gradient of its inputs, which come with their ones, (B, D + 1), and are shared by
    the trials.
    """

    fan_in: int
    fan_out: int
    first: bool = False

    @property
    def trained(self) -> Shapes:
        return {"W": (self.fan_in, self.fan_out), "b": (1, self.fan_out)}

    def trained_in(self, values: Array) -> Arrays:
        """W above b, in memory one unit's weights and its bias after the other's."""
        whole = values.reshape(-1, self.fan_out, self.fan_in + 1).swapaxes(1, 2)
        return {"W": whole[:, :-1], "b": whole[:, -1:], "Wb": whole}

    @property
    def reads(self) -> int:
        return self.fan_in

    @property
    def per_row(self) -> int:
        return self.fan_out + 1

    def descends(self, rows: int) -> bool:
        """Large weights of the first layer are stepped by the very product that makes their gradient."""
        return self.first and self._large(rows)

    def _large(self, rows: int) -> bool:
        return rows * (self.fan_in + 1) * self.fan_out > SMALL_PRODUCT

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Z = X·W + b."""
        outputs = space.signal(self.index, self.fan_out)
        np.matmul(self._with_ones(inputs, space), params["Wb"], out=outputs)
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """From Z = X·W + b: dW = Xᵀ·dZ, db = Σ over rows of dZ, dX = dZ·Wᵀ, in the place of X."""
        rows = self._by_row(inputs, space) if self.first else space.with_ones(inputs)
        np.matmul(rows.swapaxes(-1, -2), upstream, out=grads["Wb"])
        if not self.first:
            np.matmul(upstream, params["W"].swapaxes(-1, -2), out=inputs)
        return inputs

    def _by_row(self, inputs: Array, space: Workspace) -> Array:
        """The shared inputs, laid out row by row if the product is small: those take half the time without a transpose."""
        if self._large(len(inputs)):
            return inputs
        rows = space.scratch(self.index, "by row", *inputs.shape)
        rows[:] = inputs
        return rows

    def _with_ones(self, inputs: Array, space: Workspace) -> Array:
        return inputs if self.first else space.with_ones(inputs)
