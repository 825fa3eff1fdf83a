"""An optimizer moves the parameters against their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from pipeline.nn.base import Array
from pipeline.nn.parameters import Parameters
from pipeline.nn.products import subtract_product
from pipeline.nn.underflow import flush


class Optimizer:
    """An update rule. Its arrays all have K first: numbers are (K, 1), one for each trial, memories (K, P).

    Beside ``learning_rate`` and ``l2`` it is made from its ``numbers``, arrays (K,) in this order. ``memories`` counts
    the arrays like the parameters that it keeps; ``remembers`` names all that a step leaves for the next. L2 is of the loss + ½·l2·ΣW²: l2·W is added to the gradient.
    """

    numbers: ClassVar[tuple[str, ...]] = ()
    memories: ClassVar[int] = 0
    remembers: ClassVar[tuple[str, ...]] = ()
    descends: ClassVar[bool] = False
    """Whether it has :meth:`descend`."""

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, *numbers: Array) -> None:
        self.dtype = params.values.dtype
        self.learning_rate = self.initial_rate = self._column(learning_rate)
        self.l2, self.decays = self._column(l2), bool(np.any(l2))
        for name, value in zip(self.numbers, numbers, strict=True):
            setattr(self, name, self._column(value))

    def _column(self, value: Array) -> Array:
        return np.asarray(value, self.dtype)[:, None]

    @property
    def scale(self) -> Array:
        """What the gradients that it is given are to be multiplied by, (K, 1)."""
        return np.ones_like(self.learning_rate)

    @property
    def memory(self) -> dict[str, Any]:
        """What it remembers of the steps so far, by name; given to another optimizer of its kind, that goes on from there."""
        return {name: getattr(self, name) for name in self.remembers}

    @memory.setter
    def memory(self, memory: Mapping[str, Any]) -> None:
        # None is what SGD has of a velocity without momentum; one that has got momentum since begins at its own, 0.
        vars(self).update({name: value for name, value in memory.items() if value is not None})

    def anneal(self, factors: Array) -> None:
        """Let the learning rates be those of the start times the factors (K,)."""
        self.learning_rate = self.initial_rate * self._column(factors)

    def update(self, params: Parameters, grads: Parameters) -> None:
        """One step, in place; ``grads``, the gradients times :attr:`scale`, are overwritten."""
        raise NotImplementedError

    def descend(self, params: Parameters, grads: Parameters, inputs: Array, upstream: Array) -> None:
        """:meth:`update` where the first layer is dense, and its ``inputs`` (B, D + 1) and ``upstream`` are given in place of its gradient."""
        raise NotImplementedError

    def flush(self, params: Parameters) -> None:
        """Set to 0 what has decayed to nothing of the parameters, and of what is remembered of them."""
        flush(params.values)

    def select(self, members: Array) -> Self:
        """A copy for some of the trials, chosen by an index or a mask over K."""
        other = object.__new__(type(self))
        vars(other).update({n: v[members] if isinstance(v, np.ndarray) else v for n, v in vars(self).items()})
        return other


def add_decay(params: Parameters, grads: Parameters, l2: Array) -> None:
    """Add the gradient of ½·l2·ΣW², l2·W, for l2 (K, 1)."""
    for weights, gradient in zip(params.weights, grads.weights, strict=True):
        np.add(gradient, l2[:, None] * weights, out=gradient)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v ← μ·v - η·g, w ← w + v (Polyak 1964).

    The rate is within the velocity, as in CS231n's notes: where it falls, the velocity remembers the greater steps of before.
    PyTorch's multiplies the velocity instead, which is the same while the rate is constant.

    A step is linear in the gradient, so the gradients come multiplied by the learning rate η: a pass over all of them
    is saved. Without momentum in any trial, no velocity is kept; the numbers are the same. For a large first layer most
    of a step is memory, so :meth:`descend` lets BLAS subtract the gradient from what it moves while it is made.
    """

    numbers: ClassVar[tuple[str, ...]] = ("momentum",)
    remembers: ClassVar[tuple[str, ...]] = ("velocity",)
    descends = True
    momentum: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, momentum: Array) -> None:
        super().__init__(params, learning_rate, l2, momentum)
        self.velocity = np.zeros_like(params.values) if momentum.any() else None

    @property
    def scale(self) -> Array:
        return self.learning_rate

    def update(self, params: Parameters, grads: Parameters) -> None:
        """One step, in place; ``grads``, the gradients times :attr:`scale`, are overwritten. Both may be of the last layers only."""
        if self.decays:
            add_decay(params, grads, self.learning_rate * self.l2)
        if self.velocity is None:
            params.values -= grads.values
            return
        velocity = self.velocity[:, -params.values.shape[1] :]
        velocity *= self.momentum
        velocity -= grads.values
        self._move(params, velocity, grads)

    def descend(self, params: Parameters, grads: Parameters, inputs: Array, upstream: Array) -> None:
        """W ← (1 - η·l2)·W - Xᵀ·dZ, or v ← μ·v - Xᵀ·dZ and W ← W + v, for the first layer; the others as ever."""
        own, decay = params.layers[0], self.learning_rate * self.l2
        if self.velocity is None:
            spared = decay[:, None] * own["b"]
            subtract_product(own["Wb"], inputs, upstream, 1 - decay[:, 0])
            own["b"] += spared
        else:
            moving = params.with_values(self.velocity).layers[0]
            subtract_product(moving["Wb"], inputs, upstream, self.momentum[:, 0])
            if self.decays:
                moving["W"] -= decay[:, None] * own["W"]
            own["Wb"] += moving["Wb"]
        self.update(params.above(1), grads.above(1))

    def flush(self, params: Parameters) -> None:
        super().flush(params)
        if self.velocity is not None:
            flush(self.velocity)

    def _move(self, params: Parameters, velocity: Array, grads: Parameters) -> None:
        params.values += velocity


class Nesterov(SGD):
    """Nesterov's momentum, looking ahead to where the velocity leads: v ← μ·v - η·g, w ← w + μ·v - η·g (Sutskever et al. 2013)."""

    descends = False

    def _move(self, params: Parameters, velocity: Array, grads: Parameters) -> None:
        params.values -= grads.values
        params.values += np.multiply(velocity, self.momentum, out=grads.values)


class Adagrad(Optimizer):
    """c ← c + g², w ← w - η·g / (√c + ε) (Duchi, Hazan and Singer 2011)."""

    numbers: ClassVar[tuple[str, ...]] = ("epsilon",)
    memories = 1
    remembers: ClassVar[tuple[str, ...]] = ("squares",)
    epsilon: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, *numbers: Array) -> None:
        super().__init__(params, learning_rate, l2, *numbers)
        self.squares = np.zeros_like(params.values)

    def update(self, params: Parameters, grads: Parameters) -> None:
        """One step, in place; ``grads`` are overwritten."""
        if self.decays:
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

    numbers: ClassVar[tuple[str, ...]] = ("epsilon", "rho")
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

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) undo that m and v start at 0; t counts the steps from 1.
    """

    numbers: ClassVar[tuple[str, ...]] = ("beta1", "beta2", "epsilon")
    memories = 2
    remembers: ClassVar[tuple[str, ...]] = ("mean", "square", "steps")
    beta1: Array
    beta2: Array
    epsilon: Array

    def __init__(self, params: Parameters, learning_rate: Array, l2: Array, *numbers: Array) -> None:
        super().__init__(params, learning_rate, l2, *numbers)
        self.mean, self.square = np.zeros_like(params.values), np.zeros_like(params.values)
        self.betas = np.stack(numbers[:2], axis=1).astype(
            "float64"
        )  # 1 - β in float32 would be wrong in the fifth digit
        self.share1, self.share2 = (self._column(1 - beta) for beta in self.betas.T)
        self.steps = 0

    def update(self, params: Parameters, grads: Parameters) -> None:
        """One step, in place; ``grads`` are overwritten."""
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
        if self.decays:
            add_decay(params, grads, self.l2)


class AdamW(Adam):
    """Adam with decoupled weight decay: W ← (1 - η·l2)·W beside the step (Loshchilov and Hutter 2017)."""

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
"""Every optimizer by the name that studies call it."""


def make_optimizer(name: str, params: Parameters, hyperparameters: Mapping[str, Array]) -> Optimizer:
    """The optimizer of that name, from arrays (K,) that include its learning rate, L2 and :attr:`Optimizer.numbers`."""
    kind = OPTIMIZERS[name]
    return kind(params, *(hyperparameters[number] for number in ("learning_rate", "l2", *kind.numbers)))
