"""Dropout silences units at random while a network trains, so that none of them leans on another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace


@dataclass(frozen=True)
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): a unit passes on its input with probability ``keep``, divided by it.

    Its expected output is its input, so that testing leaves everything as it is. Every trial draws from its own
    generator, whatever its company.
    """

    width: int

    @property
    def kept(self) -> Shapes:
        return {"keep": (1, 1)}

    @property
    def per_row(self) -> int:
        return self.width

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """h·m, the mask m being 1/keep where a unit is kept and 0 elsewhere."""
        if not training:
            return inputs
        mask = self._mask(space)
        for k, generator in enumerate(space.generators):
            generator.random(dtype=mask.dtype.type, out=mask[k].T)
        np.less(mask, params["keep"], out=mask)
        mask /= params["keep"]
        inputs *= mask
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """dh·m."""
        upstream *= self._mask(space)
        return upstream

    def _mask(self, space: Workspace) -> Array:
        return space.like_signal(self.index, "mask", self.width)
