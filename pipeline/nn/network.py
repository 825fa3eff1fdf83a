"""K networks of one architecture: a stack of layers, and all of their parameters in one flat array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import draw_weights
from pipeline.nn.layers import Array, Arrays, BatchNorm, Dense, Layer, Nonlinearity, Shapes, Workspace


@dataclass(frozen=True)
class Architecture:
    """What the networks of a group have in common. ``sizes`` runs from the inputs D over the hidden sizes to the classes C."""

    sizes: tuple[int, ...]
    activation: str
    batch_norm: bool

    def layers(self) -> tuple[Layer, ...]:
        """Dense, batch norm if any, and the activation for each hidden layer; a dense layer of logits at the end."""
        stack: list[Layer] = []
        for i, (fan_in, fan_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            stack.append(Dense(fan_in, fan_out, i, first=i == 0))
            if i < len(self.sizes) - 2:
                stack += [BatchNorm(fan_out, i)] if self.batch_norm else []
                stack.append(Nonlinearity(ACTIVATIONS[self.activation], fan_out))
        return tuple(stack)


Names = tuple[tuple[int, str, tuple[int, ...]], ...]
"""The layer, name and shape of every array of a trial, in the order in which they lie."""


class Parameters:
    """Named arrays of K trials that live in one flat array ``values`` (K, P), so that an update is a few calls.

    ``layers[i][name]`` is a view of it, (K, ...). The first ``decayed`` columns are the weights, which L2 decays.
    """

    def __init__(self, values: Array, names: Names, layers: int, decayed: int = 0) -> None:
        self.values, self.names, self.decayed = values, names, decayed
        self.layers: list[Arrays] = [{} for _ in range(layers)]
        start = 0
        for layer, name, shape in names:
            stop = start + math.prod(shape)
            self.layers[layer][name] = values[:, start:stop].reshape(-1, *shape)
            start = stop

    @classmethod
    def zeros(cls, layers: Sequence[Layer], trials: int, dtype: str) -> Parameters:
        """What the layers train, all zero."""
        weights = _names([layer.weights for layer in layers])
        names = weights + _names([layer.offsets for layer in layers])
        return cls(np.zeros((trials, _size(names)), dtype), names, len(layers), decayed=_size(weights))

    def with_values(self, values: Array) -> Parameters:
        """The same names over other values (K', P)."""
        return Parameters(values, self.names, len(self.layers), self.decayed)

    def select(self, members: Array) -> Parameters:
        """A copy of some of the trials, chosen by an index or a mask over K."""
        return self.with_values(self.values[members])


def _names(shapes: Sequence[Shapes]) -> Names:
    return tuple((i, name, shape) for i, named in enumerate(shapes) for name, shape in named.items())


def _size(names: Names) -> int:
    return sum(math.prod(shape) for _, _, shape in names)


@dataclass
class Network:
    """K trials' parameters and running statistics, on the layers that they share."""

    layers: tuple[Layer, ...]
    params: Parameters
    stats: Parameters

    def __post_init__(self) -> None:
        self.arrays = [trained | kept for trained, kept in zip(self.params.layers, self.stats.layers, strict=True)]

    def select(self, members: Array) -> Network:
        """A copy of some of the trials, chosen by an index or a mask over K."""
        return Network(self.layers, self.params.select(members), self.stats.select(members))


def init_network(
    architecture: Architecture, inits: Sequence[str | float], seeds: Sequence[int], dtype: str = "float32"
) -> Network:
    """Draw K networks, each from its own scheme and seed, so that none depends on its company.

    Biases start at 0, batch norm at γ = 1, β = 0, and its running statistics at mean 0, variance 1.
    """
    layers = architecture.layers()
    params = Parameters.zeros(layers, len(seeds), dtype)
    names = _names([layer.statistics for layer in layers])
    stats = Parameters(np.zeros((len(seeds), _size(names)), dtype), names, len(layers))
    for k, (init, seed) in enumerate(zip(inits, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        for layer, views in zip(layers, params.layers, strict=True):
            if isinstance(layer, Dense):
                views["W"][k] = draw_weights(rng, init, layer.fan_in, layer.fan_out)
    for views, kept in zip(params.layers, stats.layers, strict=True):
        if "gamma" in views:
            views["gamma"][:] = 1
            kept["variance"][:] = 1
    return Network(layers, params, stats)


def forward(network: Network, inputs: Array, space: Workspace, *, training: bool) -> list[Array]:
    """Every layer's inputs, and the logits (K, B, C) at the end, for inputs (B, D) shared by the trials or (K, B, D).

    Layers work in place where they can: an entry may hold what a later layer made of it.
    """
    signals = [inputs]
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        signals.append(layer.forward(arrays, signals[-1], space, training=training))
    return signals


def backward(network: Network, grads: Parameters, signals: Sequence[Array], upstream: Array, space: Workspace) -> None:
    """Fill ``grads`` from the signals of a training-mode :func:`forward` and dL/d(logits), which is overwritten."""
    for i in reversed(range(len(network.layers))):
        upstream = network.layers[i].backward(network.arrays[i], grads.layers[i], signals[i], upstream, space)


def l2_penalty(params: Parameters, l2: Array) -> Array:
    """½·l2·ΣW² of each trial (K,), over the weights; biases and batch norm's parameters are left out."""
    weights = params.values[:, : params.decayed]
    penalty: Array = 0.5 * l2 * np.square(weights).sum(axis=1)
    return penalty
