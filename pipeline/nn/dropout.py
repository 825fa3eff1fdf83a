"""Dropout: units are set to 0 at random during training, so that no unit relies on a particular other one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace


@dataclass(frozen=True)
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): a unit is kept with probability ``keep`` and then divided by it.

    The expected output equals the input, so testing changes nothing. Every trial draws from its own generator, so its
    masks do not depend on the other trials of its group.
    """

    width: int

    @property
    def stat_shapes(self) -> Shapes:
        return {"keep": (1, 1)}

    @property
    def numbers_per_row(self) -> int:
        return self.width

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """h·m, where the mask m (K, B, H) is 1/keep for units that are kept and 0 for the others."""
        if not training:
            return inputs
        mask = self._mask(workspace)
        for k, generator in enumerate(workspace.generators):
            generator.random(dtype=mask.dtype.type, out=mask[k].T)
        np.less(mask, params["keep"], out=mask)
        mask /= params["keep"]
        inputs *= mask
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Return dh·m."""
        upstream *= self._mask(workspace)
        return upstream

    def _mask(self, workspace: Workspace) -> Array:
        return workspace.like_signal(self.index, "mask", self.width)
