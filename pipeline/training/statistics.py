"""Statistics of the layers, taken as trials train: of one step an epoch, and of the hidden units over the validation rows.

They only look: a trial trains to the same bits with them as without, and each trial's are its own, whatever its company.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import Array, Layer, Nonlinearity, Workspace
from pipeline.nn.parameters import Parameters

STATISTICS = ("update_ratio", "gradient_norm", "dead", "saturated")
SATURATED = {"tanh": 1 - 0.99**2, "sigmoid": 0.01 * 0.99}
"""Slopes below these are of outputs within 0.01 of an end, which pass on hardly any gradient."""


class Gauge:
    """Measures one step: made between the gradients and the update, read after it."""

    def __init__(self, params: Parameters, grads: Parameters, scale: Array) -> None:
        """Note the weights and, of the gradients times ``scale`` (K, 1), the norm in each layer."""
        self.gradient_norm = norms(grads.weights) / scale
        self.before = params.with_values(params.values.copy())

    def read(self, params: Parameters) -> dict[str, Array]:
        """|update|/|W| and |gradient| of each layer's weights, (K, L).

        The ratio is NaN where the weights were all 0, and the gradient where it came multiplied by a learning rate of 0.
        """
        weights = norms(self.before.weights)
        self.before.values -= params.values
        ratio = np.divide(norms(self.before.weights), weights, where=weights > 0, out=np.full_like(weights, np.nan))
        return {"update_ratio": ratio, "gradient_norm": self.gradient_norm}


def norms(weights: Sequence[Array]) -> Array:
    """The Euclidean norm of each layer's weights (K, D, H), as (K, L): the root of the squares' sum, unit by unit."""
    by_unit = (values.swapaxes(1, 2) for values in weights)  # as they lie in memory
    return np.stack([np.sqrt(np.vecdot(rows, rows).sum(axis=1)) for rows in by_unit], axis=1)


class Units:
    """Counts over the rows of an evaluation how the units of K networks' hidden layers fare.

    A ReLU is dead if it is on for no row (CS231n, notes 1); an output of tanh or sigmoid is saturated within 0.01 of an
    end. No other activation has either.
    """

    def __init__(self, layers: Sequence[Layer], trials: int) -> None:
        self.hidden = [layer for layer in layers if isinstance(layer, Nonlinearity)]
        self.on = [np.zeros((trials, layer.width), bool) for layer in self.hidden]
        self.beyond = np.zeros((trials, len(self.hidden)))
        self.rows = 0

    def see(self, start: int, workspace: Workspace) -> None:
        """Look at the slopes that a forward pass of the networks from ``start`` on has left in its workspace."""
        self.rows += workspace.rows if start == 0 else 0
        for i, layer in enumerate(self.hidden):
            slope = workspace.like_signal(layer.index, "slope", layer.width)
            members = slice(start, start + len(slope))
            if _is_relu(layer):
                self.on[i][members] |= slope.any(axis=1)
            elif limit := _limit(layer):
                self.beyond[members, i] += np.count_nonzero(slope < limit, axis=(1, 2))

    def read(self, *, seen: bool = True) -> dict[str, Array]:
        """The share of dead units and of saturated outputs in each hidden layer, (K, L - 1).

        NaN where there can be none, or nothing was ``seen``.
        """
        dead, saturated = np.full((2, *self.beyond.shape), np.nan)
        for i, layer in enumerate(self.hidden if seen else ()):
            if _is_relu(layer):
                dead[:, i] = (~self.on[i]).mean(axis=1)
            elif _limit(layer):
                saturated[:, i] = self.beyond[:, i] / (self.rows * layer.width)
        return {"dead": dead, "saturated": saturated}


def _is_relu(layer: Nonlinearity) -> bool:
    return layer.activation is ACTIVATIONS["relu"]


def _limit(layer: Nonlinearity) -> float:
    return next((slope for name, slope in SATURATED.items() if layer.activation is ACTIVATIONS[name]), 0.0)
