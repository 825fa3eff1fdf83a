"""Regularisers keep the weights or the gradients small; they do not act on biases and the parameters of norms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.nn.base import Array
from pipeline.nn.parameters import Parameters


def l2_penalty(params: Parameters, l2: Array) -> Array:
    """Return ½·l2·ΣW² of each trial, (K,), for l2 (K,). The optimizers add its gradient, l2·W."""
    total = np.zeros(len(params), params.values.dtype)
    for weights in params.weights:
        total += np.square(weights).reshape(len(weights), -1).sum(axis=1)
    return 0.5 * l2 * total


def add_l1(params: Parameters, grads: Parameters, l1: Array) -> None:
    """Add l1·sign(W), the gradient of l1·Σ|W|, for l1 (K, 1)."""
    for weights, gradient in zip(params.weights, grads.weights, strict=True):
        np.add(gradient, l1[:, None] * np.sign(weights), out=gradient)


def clip_norm(grads: Parameters, limit: Array) -> None:
    """Scale down each trial's gradient to its limit (K, 1) if its norm is greater (Pascanu et al. 2013)."""
    norm = np.sqrt(np.vecdot(grads.values, grads.values))[:, None]
    grads.values *= _factor(norm, limit)


def limit_norms(params: Parameters, limit: Array) -> None:
    """Scale down the weights into a unit to the limit (K, 1) if their norm is greater (Srebro et al. 2005)."""
    for weights in params.weights:
        squares = np.matmul(np.ones((1, weights.shape[1]), weights.dtype), weights * weights)
        np.multiply(weights, _factor(np.sqrt(squares), limit[:, None]), out=weights)


def _factor(norm: Array, limit: Array) -> Array:
    """Return the factor that reduces a norm to its limit, at most 1."""
    return np.asarray(np.minimum(1, limit / np.maximum(norm, np.finfo(norm.dtype).tiny)))


@dataclass(frozen=True)
class Regularisers:
    """The regularisers of gradients and weights: a number for each trial, (K, 1), or None for each."""

    clip: Array | None = None
    l1: Array | None = None
    max_norm: Array | None = None

    @property
    def reads_gradients(self) -> bool:
        """True if it needs the gradients."""
        return self.clip is not None or self.l1 is not None

    def before(self, params: Parameters, grads: Parameters, scale: Array) -> None:
        """Clip the gradients of the loss, then add L1's; the gradients are multiplied by the optimizer's ``scale``."""
        if self.clip is not None:
            clip_norm(grads, self.clip * scale)
        if self.l1 is not None:
            add_l1(params, grads, self.l1 * scale)

    def after(self, params: Parameters) -> None:
        """Limit the norms of the updated weights."""
        if self.max_norm is not None:
            limit_norms(params, self.max_norm)

    def select(self, members: Array) -> Regularisers:
        """Return the regularisers of some of the trials, chosen by an index or a mask over K."""
        return replace(self, **{name: value[members] for name, value in vars(self).items() if value is not None})
