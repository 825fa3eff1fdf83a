"""The dense layer: every unit has a weight for each input, and a bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace

SMALL_PRODUCT = 10**6
"""Up to this number of multiplications, OpenBLAS does not copy the matrices first, so their layout affects its speed."""


@dataclass(frozen=True)
class Dense(Layer):
    """Z = X·W + b, computed as one product of X with a feature of ones and W above b.

    Their shapes are (K, B, D + 1) and (K, D + 1, H). The ``first`` layer computes no gradient of its inputs. They
    already have the ones, (B, D + 1), and the trials share them.
    """

    fan_in: int
    fan_out: int
    first: bool = False

    @property
    def param_shapes(self) -> Shapes:
        return {"W": (self.fan_in, self.fan_out), "b": (1, self.fan_out)}

    def param_views(self, values: Array) -> Arrays:
        """Return views of W above b, (K, D + 1, H); in memory each unit's weights and bias are contiguous."""
        whole = values.reshape(-1, self.fan_out, self.fan_in + 1).swapaxes(1, 2)
        return {"W": whole[:, :-1], "b": whole[:, -1:], "Wb": whole}

    @property
    def input_size(self) -> int:
        return self.fan_in

    @property
    def numbers_per_row(self) -> int:
        return self.fan_out + 1

    def fuses_update(self, rows: int) -> bool:
        """Return True if this is the first layer and its product is large."""
        return self.first and self._large(rows)

    def _large(self, rows: int) -> bool:
        return rows * (self.fan_in + 1) * self.fan_out > SMALL_PRODUCT

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """Z = X·W + b, (K, B, H)."""
        outputs = workspace.signal(self.index, self.fan_out)
        np.matmul(self._with_ones(inputs, workspace), params["Wb"], out=outputs)
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Compute dW = Xᵀ·dZ and db = Σ dZ over the rows; dX = dZ·Wᵀ overwrites X."""
        rows = self._by_row(inputs, workspace) if self.first else workspace.with_ones(inputs)
        np.matmul(rows.swapaxes(-1, -2), upstream, out=grads["Wb"])
        if not self.first:
            np.matmul(upstream, params["W"].swapaxes(-1, -2), out=inputs)
        return inputs

    def _by_row(self, inputs: Array, workspace: Workspace) -> Array:
        """Return the shared inputs, copied row by row if the product is small: it then takes half the time."""
        if self._large(len(inputs)):
            return inputs
        rows = workspace.scratch(self.index, "by row", *inputs.shape)
        rows[:] = inputs
        return rows

    def _with_ones(self, inputs: Array, workspace: Workspace) -> Array:
        return inputs if self.first else workspace.with_ones(inputs)
