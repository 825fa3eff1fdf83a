"""A regulariser keeps the weights small; biases and the parameters of norms are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.nn.base import Array
from pipeline.nn.parameters import Parameters


def l2_penalty(params: Parameters, l2: Array) -> Array:
    """½·l2·ΣW² of each trial (K,); its gradient is l2·W, which the optimizers see to."""
    return _over_weights(params, np.square, 0.5 * l2)


def l1_penalty(params: Parameters, l1: Array) -> Array:
    """l1·Σ|W| of each trial (K,). Together with L2 it makes the elastic net."""
    return _over_weights(params, np.abs, l1)


def _over_weights(params: Parameters, measure: Callable[[Array], Array], factor: Array) -> Array:
    """Factor times the sum over all weights of a measure of each, (K,)."""
    total = np.zeros(len(params), params.values.dtype)
    for weights in params.weights:
        total += measure(weights).reshape(len(weights), -1).sum(axis=1)
    return factor * total


def add_l1(params: Parameters, grads: Parameters, l1: Array) -> None:
    """Add the gradient of l1·Σ|W|, l1·sign(W), for l1 (K, 1)."""
    for weights, gradient in zip(params.weights, grads.weights, strict=True):
        np.add(gradient, l1[:, None] * np.sign(weights), out=gradient)


def clip_norm(grads: Parameters, limit: Array) -> None:
    """Scale the gradient of each trial down to the norm of its limit (K, 1), if it is longer (Pascanu et al. 2013)."""
    norm = np.sqrt(np.vecdot(grads.values, grads.values))[:, None]
    grads.values *= _factor(norm, limit)


def limit_norms(params: Parameters, limit: Array) -> None:
    """Scale the weights into each unit down to the norm of its trial's limit (K, 1), if they are longer (Srebro et al. 2005)."""
    for weights in params.weights:
        squares = np.matmul(np.ones((1, weights.shape[1]), weights.dtype), weights * weights)
        np.multiply(weights, _factor(np.sqrt(squares), limit[:, None]), out=weights)


def _factor(norm: Array, limit: Array) -> Array:
    """What brings a norm down to its limit: 1 if it is no longer."""
    return np.asarray(np.minimum(1, limit / np.maximum(norm, np.finfo(norm.dtype).tiny)))


@dataclass(frozen=True)
class Regularisers:
    """What acts beside the optimizer, in the order of a step; each is (K, 1), a number for each trial, or ``None``."""

    clip: Array | None = None
    l1: Array | None = None
    max_norm: Array | None = None

    @property
    def reads_gradients(self) -> bool:
        """Whether it has to see the gradients."""
        return self.clip is not None or self.l1 is not None

    def before(self, params: Parameters, grads: Parameters, scale: Array) -> None:
        """Clip the data's gradient, then add L1's; gradients come multiplied by the optimizer's ``scale``."""
        if self.clip is not None:
            clip_norm(grads, self.clip * scale)
        if self.l1 is not None:
            add_l1(params, grads, self.l1 * scale)

    def after(self, params: Parameters) -> None:
        """Keep the updated weights within their norms."""
        if self.max_norm is not None:
            limit_norms(params, self.max_norm)

    def select(self, members: Array) -> Regularisers:
        """Those of some of the trials, chosen by an index or a mask over K."""
        return replace(self, **{name: value[members] for name, value in vars(self).items() if value is not None})
