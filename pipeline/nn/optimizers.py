"""An optimizer moves the parameters against their gradients."""

from __future__ import annotations

import numpy as np

from pipeline.nn.layers import Array
from pipeline.nn.network import Parameters


class SGD:
    """Stochastic gradient descent on loss + ½·l2·ΣW², with momentum: v ← μ·v - η·g, w ← w + v (Polyak 1964).

    ``learning_rate``, ``l2`` and ``momentum`` are (K,), one for each trial. Without momentum in any trial, no
    velocity is kept; the numbers are the same.
    """

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, momentum: Array) -> None:
        dtype = params.values.dtype
        self.learning_rate, self.l2, self.momentum = (
            value[:, None].astype(dtype) for value in (learning_rate, l2, momentum)
        )
        self.velocity = np.zeros_like(params.values) if momentum.any() else None
        self._scratch = np.empty_like(params.values)

    def update(self, params: Parameters, grads: Parameters) -> None:
        """One step, in place; ``grads`` is overwritten."""
        step = grads.values
        decay = np.multiply(params.values[:, : params.decayed], self.l2, out=self._scratch[:, : params.decayed])
        step[:, : params.decayed] += decay
        step *= self.learning_rate
        if self.velocity is not None:
            self.velocity *= self.momentum
            self.velocity -= step
            params.values += self.velocity
        else:
            params.values -= step

    def select(self, members: Array) -> SGD:
        """A copy for some of the trials, chosen by an index or a mask over K."""
        copy = object.__new__(SGD)
        copy.learning_rate, copy.l2, copy.momentum = (
            value[members] for value in (self.learning_rate, self.l2, self.momentum)
        )
        copy.velocity = None if self.velocity is None else self.velocity[members]
        copy._scratch = self._scratch[members]
        return copy
