"""Statistics of the layers: of one step in each epoch, and of the hidden units on the validation rows.

Measuring does not change the bits of a trial, and a trial's statistics do not depend on the other trials of its group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import Array, Layer, Nonlinearity, Workspace
from pipeline.nn.parameters import Parameters

SATURATED = {"tanh": 1 - 0.99**2, "sigmoid": 0.01 * 0.99}
"""For outputs within 0.01 of a bound of the activation, the slope is below this, and almost no gradient passes."""


class StepStatistics:
    """Measures one step: it is made between the gradients and the update, and read after the update."""

    def __init__(self, params: Parameters, grads: Parameters, scale: Array) -> None:
        """Copy the weights, and compute the norm of each layer's gradients, which are multiplied by ``scale`` (K, 1)."""
        self.gradient_norm = norms(grads.weights) / scale
        self.before = params.with_values(params.values.copy())

    def read(self, params: Parameters) -> dict[str, Array]:
        """Return |update|/|W| and |gradient| of each layer's weights, (K, L).

        The ratio is NaN where all weights were 0, and the gradient where ``scale`` is 0.
        """
        weights = norms(self.before.weights)
        self.before.values -= params.values
        ratio = np.divide(norms(self.before.weights), weights, where=weights > 0, out=np.full_like(weights, np.nan))
        return {"update_ratio": ratio, "gradient_norm": self.gradient_norm}


def norms(weights: Sequence[Array]) -> Array:
    """Return the Euclidean norm of each layer's weights (K, D, H) as (K, L), summed unit by unit."""
    by_unit = (values.swapaxes(1, 2) for values in weights)  # the order in memory
    return np.stack([np.sqrt(np.vecdot(rows, rows).sum(axis=1)) for rows in by_unit], axis=1)


class UnitStatistics:
    """Counts dead units and saturated outputs of K networks' hidden layers over the rows of an evaluation.

    A ReLU is dead if its output is 0 for every row (CS231n, notes 1). An output of tanh or sigmoid is saturated within
    0.01 of a bound. Other activations have neither.
    """

    def __init__(self, layers: Sequence[Layer], trials: int) -> None:
        self.hidden = [layer for layer in layers if isinstance(layer, Nonlinearity)]
        self.on = [np.zeros((trials, layer.width), bool) for layer in self.hidden]
        self.beyond = np.zeros((trials, len(self.hidden)))
        self.rows = 0

    def count(self, start: int, workspace: Workspace) -> None:
        """Count in the slopes that a forward pass of the networks from ``start`` on left in its workspace."""
        self.rows += workspace.rows if start == 0 else 0
        for i, layer in enumerate(self.hidden):
            slope = workspace.like_signal(layer.index, "slope", layer.width)
            members = slice(start, start + len(slope))
            if _is_relu(layer):
                self.on[i][members] |= slope.any(axis=1)
            elif limit := _limit(layer):
                self.beyond[members, i] += np.count_nonzero(slope < limit, axis=(1, 2))

    def read(self, *, counted: bool = True) -> dict[str, Array]:
        """Return the shares of dead units and of saturated outputs in each hidden layer, (K, L - 1).

        NaN where the activation has none, and everywhere if nothing was ``counted``.
        """
        dead, saturated = np.full((2, *self.beyond.shape), np.nan)
        for i, layer in enumerate(self.hidden if counted else ()):
            if _is_relu(layer):
                dead[:, i] = (~self.on[i]).mean(axis=1)
            elif _limit(layer):
                saturated[:, i] = self.beyond[:, i] / (self.rows * layer.width)
        return {"dead": dead, "saturated": saturated}


def _is_relu(layer: Nonlinearity) -> bool:
    return layer.activation is ACTIVATIONS["relu"]


def _limit(layer: Nonlinearity) -> float:
    return next((slope for name, slope in SATURATED.items() if layer.activation is ACTIVATIONS[name]), 0.0)
