"""Batch norm of convolutional maps: one mean and one variance for each map, over its pixels and the minibatch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Workspace
from pipeline.nn.norms import BatchNorm

PIECE_BYTES = 2**18
"""The bytes of a signal that are processed at a time, so that every pass reads them from the core's cache."""
Part = tuple[int, slice]
"""A trial, and a range of its maps."""


@dataclass(frozen=True)
class MapNorm(BatchNorm):
    """Batch norm with C = ``width`` maps as features and their ``pixels`` as rows (Ioffe and Szegedy 2015, section 3.2).

    Signals are viewed as (K, C, n), where n counts the pixels of a map in all rows, and numbers as (K, C, 1).
    """

    pixels: int = 1

    @property
    def numbers_per_row(self) -> int:
        return self.width * self.pixels + 1

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """y = γ·x̂ + β with x̂ = (x - mean) / √(variance + ε), (K, B, C·H·W); x - mean overwrites the inputs."""
        outputs, moments = workspace.signal(self.index, self.width * self.pixels), self._moments(workspace)
        moments[:] = params["moments"]
        x, y, (mean, variance) = self._by_map(inputs), self._by_map(outputs), _columns(moments)
        gamma, beta = (params[name].swapaxes(1, 2) for name in ("gamma", "beta"))
        scale, inverse_std = (saved.swapaxes(1, 2) for saved in self._saved(workspace))
        for part in self._parts(x):
            if training:
                mean[part] = _sum(x[part]) / x.shape[-1]
            x[part] -= mean[part]
            if training:
                variance[part] = _dot(x[part], x[part]) / x.shape[-1]
            inverse_std[part] = 1 / np.sqrt(variance[part] + self.epsilon)
            scale[part] = gamma[part] * inverse_std[part]
            np.multiply(x[part], scale[part], out=y[part])
            y[part] += beta[part]
        if training:
            self._update_running(params["moments"], moments)
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Compute dγ = Σ dy·x̂, dβ = Σ dy and dx = γ/std · (dy - dβ/n - x̂·dγ/n), with sums over pixels and rows."""
        x, dy = self._by_map(inputs), self._by_map(upstream)
        gamma, beta = (grads[name].swapaxes(1, 2) for name in ("gamma", "beta"))
        scale, inverse_std = (saved.swapaxes(1, 2) for saved in self._saved(workspace))
        for part in self._parts(x):
            gamma[part] = _dot(dy[part], x[part]) * inverse_std[part]
            beta[part] = _sum(dy[part])
            x[part] *= gamma[part] * inverse_std[part] / x.shape[-1]
            dy[part] -= x[part]
            dy[part] -= beta[part] / x.shape[-1]
            dy[part] *= scale[part]
        return upstream

    def _by_map(self, signal: Array) -> Array:
        """Return a signal (K, B, C·H·W) as (K, C, n), a view."""
        return signal.swapaxes(1, 2).reshape(len(signal), self.width, -1, copy=False)

    def _parts(self, x: Array) -> Iterator[Part]:
        most = max(1, PIECE_BYTES // x[0, 0].nbytes)
        for k in range(len(x)):
            for start in range(0, self.width, most):
                yield k, slice(start, start + most)


def _columns(moments: Array) -> tuple[Array, Array]:
    """Return the two rows of (K, 2, C) as (K, C, 1) each."""
    return moments[:, 0, :, None], moments[:, 1, :, None]


def _sum(x: Array) -> Array:
    """Sum maps (c, n) over their pixels, (c, 1); a product with ones gives the same bits for any K."""
    return _dot(x, np.ones(x.shape[1], x.dtype))


def _dot(x: Array, y: Array) -> Array:
    return np.asarray(np.vecdot(x, y)[:, None])
