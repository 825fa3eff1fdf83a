"""Optimizers: the update rules that move the parameters of K trials against their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from pipeline.nn.arithmetic import flush, subtract_product
from pipeline.nn.base import Array
from pipeline.nn.parameters import Parameters


class Optimizer:
    """An update rule. Its hyperparameters are (K, 1), one number for each trial; its state arrays are (K, P).

    L2 is the penalty ½·l2·ΣW²: l2·W is added to the gradient.

    Parameters
    ----------
    params
        The parameters that it will update.
    learning_rate, l2
        A number for each trial, (K,).
    numbers
        The further ``hyperparameters`` of the rule, (K,) each, in their order.

    """

    hyperparameters: ClassVar[tuple[str, ...]] = ()
    memories: ClassVar[int] = 0
    """The number of its state arrays (K, P)."""
    state_names: ClassVar[tuple[str, ...]] = ()
    """The attributes that a step leaves for the next."""
    can_fuse: ClassVar[bool] = False
    """True if it has :meth:`fused_update`."""

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, *numbers: Array) -> None:
        self.dtype = params.values.dtype
        self.learning_rate = self.initial_rate = self._column(learning_rate)
        self.l2, self.has_decay = self._column(l2), bool(np.any(l2))
        for name, value in zip(self.hyperparameters, numbers, strict=True):
            setattr(self, name, self._column(value))

    def _column(self, value: Array) -> Array:
        return np.asarray(value, self.dtype)[:, None]

    @property
    def scale(self) -> Array:
        """The factor that the gradients passed to :meth:`update` must have, (K, 1)."""
        return np.ones_like(self.learning_rate)

    @property
    def state(self) -> dict[str, Any]:
        """The state after the steps so far, by name; another optimizer of the class can continue from it."""
        return {name: getattr(self, name) for name in self.state_names}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        # Without momentum, SGD's velocity is None. If momentum was set since, the velocity starts at 0.
        vars(self).update({name: value for name, value in state.items() if value is not None})

    def anneal(self, factors: Array) -> None:
        """Set the learning rates to the initial ones times the factors (K,)."""
        self.learning_rate = self.initial_rate * self._column(factors)

    def update(self, params: Parameters, grads: Parameters) -> None:
        """Take one step, in place; ``grads``, the gradients times :attr:`scale`, are overwritten."""
        raise NotImplementedError

    def fused_update(self, params: Parameters, grads: Parameters, inputs: Array, upstream: Array) -> None:
        """Do :meth:`update` without a gradient of the first layer, which is dense.

        Its ``inputs`` (B, D + 1) and ``upstream`` (K, B, H), the gradient of its outputs times :attr:`scale`, are
        passed instead.
        """
        raise NotImplementedError

    def flush(self, params: Parameters) -> None:
        """Set parameters and state that are close to the subnormal numbers to 0."""
        flush(params.values)

    def select(self, members: Array) -> Self:
        """Return a copy for some of the trials, chosen by an index or a mask over K."""
        other = object.__new__(type(self))
        vars(other).update({n: v[members] if isinstance(v, np.ndarray) else v for n, v in vars(self).items()})
        return other


def add_decay(params: Parameters, grads: Parameters, l2: Array) -> None:
    """Add l2·W, the gradient of ½·l2·ΣW², for l2 (K, 1)."""
    for weights, gradient in zip(params.weights, grads.weights, strict=True):
        np.add(gradient, l2[:, None] * weights, out=gradient)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v ← μ·v - η·g, w ← w + v (Polyak 1964).

    The velocity includes the learning rate η, as in CS231n's notes: after η falls, it still has the larger steps
    before. PyTorch multiplies the velocity by η instead, which is the same while η is constant.

    A step is linear in the gradient, so the gradients are passed multiplied by η, which saves a pass over them. If no
    trial has momentum, no velocity is stored; the results are the same. For a large first layer a step is mostly memory
    traffic, so in :meth:`fused_update` BLAS computes the gradient and subtracts it at once.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ("momentum",)
    state_names: ClassVar[tuple[str, ...]] = ("velocity",)
    can_fuse = True
    momentum: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, momentum: Array) -> None:
        super().__init__(params, learning_rate, l2, momentum)
        self.velocity = np.zeros_like(params.values) if momentum.any() else None

    @property
    def scale(self) -> Array:
        return self.learning_rate

    def update(self, params: Parameters, grads: Parameters) -> None:
        """Take one step, in place; both arguments may have only the last layers."""
        if self.has_decay:
            add_decay(params, grads, self.learning_rate * self.l2)
        if self.velocity is None:
            params.values -= grads.values
            return
        velocity = self.velocity[:, -params.values.shape[1] :]
        velocity *= self.momentum
        velocity -= grads.values
        self._move(params, velocity, grads)

    def fused_update(self, params: Parameters, grads: Parameters, inputs: Array, upstream: Array) -> None:
        """W ← (1 - η·l2)·W - Xᵀ·dZ, or v ← μ·v - Xᵀ·dZ and W ← W + v, for the first layer; :meth:`update` for the others."""
        first, decay = params.layers[0], self.learning_rate * self.l2
        if self.velocity is None:
            bias_decay = decay[:, None] * first["b"]  # biases do not decay: it is added back
            subtract_product(first["Wb"], inputs, upstream, 1 - decay[:, 0])
            first["b"] += bias_decay
        else:
            velocity = params.with_values(self.velocity).layers[0]
            subtract_product(velocity["Wb"], inputs, upstream, self.momentum[:, 0])
            if self.has_decay:
                velocity["W"] -= decay[:, None] * first["W"]
            first["Wb"] += velocity["Wb"]
        self.update(params.above(1), grads.above(1))

    def flush(self, params: Parameters) -> None:
        super().flush(params)
        if self.velocity is not None:
            flush(self.velocity)

    def _move(self, params: Parameters, velocity: Array, grads: Parameters) -> None:
        params.values += velocity


class Nesterov(SGD):
    """Nesterov's momentum: v ← μ·v - η·g, w ← w + μ·v - η·g (Sutskever et al. 2013)."""

    can_fuse = False

    def _move(self, params: Parameters, velocity: Array, grads: Parameters) -> None:
        params.values -= grads.values
        params.values += np.multiply(velocity, self.momentum, out=grads.values)


class Adagrad(Optimizer):
    """c ← c + g², w ← w - η·g / (√c + ε) (Duchi, Hazan and Singer 2011)."""

    hyperparameters: ClassVar[tuple[str, ...]] = ("epsilon",)
    memories = 1
    state_names: ClassVar[tuple[str, ...]] = ("squares",)
    epsilon: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, *numbers: Array) -> None:
        super().__init__(params, learning_rate, l2, *numbers)
        self.squares = np.zeros_like(params.values)

    def update(self, params: Parameters, grads: Parameters) -> None:
        """Take one step, in place; ``grads`` are overwritten."""
        if self.has_decay:
            add_decay(params, grads, self.l2)
        g = grads.values
        self._accumulate(g * g)
        root = np.sqrt(self.squares)
        root += self.epsilon
        g *= self.learning_rate
        g /= root
        params.values -= g

    def flush(self, params: Parameters) -> None:
        super().flush(params)
        flush(self.squares, squared=True)

    def _accumulate(self, square: Array) -> None:
        self.squares += square


class RMSProp(Adagrad):
    """c ← ρ·c + (1 - ρ)·g², w ← w - η·g / (√c + ε) (Tieleman and Hinton 2012)."""

    hyperparameters: ClassVar[tuple[str, ...]] = ("epsilon", "rho")
    rho: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, epsilon: Array, rho: Array) -> None:
        super().__init__(params, learning_rate, l2, epsilon, rho)
        self.share = self._column(1 - rho)

    def _accumulate(self, square: Array) -> None:
        self.squares *= self.rho
        square *= self.share
        self.squares += square


class Adam(Optimizer):
    """m ← β₁·m + (1 - β₁)·g, v ← β₂·v + (1 - β₂)·g², w ← w - η·m̂ / (√v̂ + ε) (Kingma and Ba 2014).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) correct the bias of m and v, which start at 0; t counts the steps from 1.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ("beta1", "beta2", "epsilon")
    memories = 2
    state_names: ClassVar[tuple[str, ...]] = ("mean", "square", "steps")
    beta1: Array
    beta2: Array
    epsilon: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, *numbers: Array) -> None:
        super().__init__(params, learning_rate, l2, *numbers)
        self.mean, self.square = np.zeros_like(params.values), np.zeros_like(params.values)
        # in float32, 1 - β would be wrong in the fifth digit
        self.betas = np.stack(numbers[:2], axis=1).astype("float64")
        self.share1, self.share2 = (self._column(1 - beta) for beta in self.betas.T)
        self.steps = 0

    def update(self, params: Parameters, grads: Parameters) -> None:
        """Take one step, in place; ``grads`` are overwritten."""
        self._decay(params, grads)
        self.steps += 1
        g, (start1, start2) = grads.values, (self._column(start) for start in 1 - self.betas.T**self.steps)
        self.mean *= self.beta1
        self.mean += self.share1 * g
        self.square *= self.beta2
        g *= g
        g *= self.share2
        self.square += g
        root = np.sqrt(self.square, out=g)
        root /= np.sqrt(start2)
        root += self.epsilon
        step = np.divide(self.mean, root, out=root)
        step *= self.learning_rate / start1
        params.values -= step

    def flush(self, params: Parameters) -> None:
        super().flush(params)
        flush(self.mean)
        flush(self.square, squared=True)

    def _decay(self, params: Parameters, grads: Parameters) -> None:
        if self.has_decay:
            add_decay(params, grads, self.l2)


class AdamW(Adam):
    """Adam with decoupled weight decay: W ← (1 - η·l2)·W before the step (Loshchilov and Hutter 2017)."""

    def _decay(self, params: Parameters, grads: Parameters) -> None:
        for weights in params.weights:
            np.multiply(weights, (1 - self.learning_rate * self.l2)[:, None], out=weights)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}
"""Every optimizer by its name in studies."""


def make_optimizer(name: str, params: Parameters, hyperparameters: Mapping[str, Array]) -> Optimizer:
    """Return an optimizer of :data:`OPTIMIZERS`; ``hyperparameters`` are arrays (K,) by name, and may have further names."""
    optimizer_class = OPTIMIZERS[name]
    names = ("learning_rate", "l2", *optimizer_class.hyperparameters)
    return optimizer_class(params, *(hyperparameters[hyperparameter] for hyperparameter in names))
