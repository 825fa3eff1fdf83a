"""K networks of one architecture: a stack of layers, and all of their parameters in one flat array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from pipeline.errors import UserError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.conv_text import image_of, parse_conv_layer
from pipeline.nn.initializers import draw_weights
from pipeline.nn.layers import (
    Array,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    MapNorm,
    Maxout,
    MaxPool,
    Nonlinearity,
    PReLU,
)
from pipeline.nn.parameters import Parameters
from pipeline.nn.workspace import Workspace

__all__ = [
    "Architecture",
    "Network",
    "Parameters",
    "backward",
    "forward",
    "init_network",
    "make_network",
    "with_ones",
]

CACHE_WAYS, PAGE_BYTES = 8, 4096
"""So many numbers that lie whole pages apart, as those of a feature of CIFAR-10 do, are kept in the nearest cache at a time."""


@dataclass(frozen=True)
class Architecture:
    """What the networks of a group have in common. ``sizes`` runs from the inputs D over the hidden sizes to the classes C.

    ``conv`` are blocks of convolutions before the hidden layers, of inputs that are images of ``shape``.
    """

    sizes: tuple[int, ...]
    activation: str
    batch_norm: bool = False
    layer_norm: bool = False
    dropout: bool = False
    conv: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    def layers(self) -> tuple[Layer, ...]:
        """Dense, norms if any, the activation and dropout for each hidden layer; a dense layer of logits at the end.

        Before them, if there are convolutions, their blocks and the mean of each map. Raises :class:`UserError` where they
        do not go with the inputs.
        """
        fan_in, *hidden, classes = self.sizes
        stack: list[Layer] = []
        if self.conv:
            stack += self._convolutions()
            fan_in = parse_conv_layer(self.conv[-1]).filters
        for width in hidden:
            stack += self._hidden(len(stack), fan_in, width)
            fan_in = width
        return (*stack, Dense(len(stack), fan_in, classes, first=not stack))

    def _hidden(self, start: int, fan_in: int, width: int) -> list[Layer]:
        sums = 2 * width if self.activation == "maxout" else width
        stack: list[Layer] = [Dense(start, fan_in, sums, first=start == 0)]
        if self.batch_norm:
            stack.append(BatchNorm(start + len(stack), sums))
        if self.layer_norm:
            stack.append(LayerNorm(start + len(stack), sums))
        stack.append(self._nonlinearity(start + len(stack), width))
        if self.dropout:
            stack.append(Dropout(start + len(stack), width))
        return stack

    def _convolutions(self) -> list[Layer]:
        """A convolution, batch norm if any, pooling and the activation for each block; the mean of each map at the end.

        Pooling comes first since for an activation that rises the order makes no difference but in the work.
        """
        maps, channels_last = image_of(self.shape)
        if prod(maps) != self.sizes[0]:
            raise UserError(f"conv: got rows of {self.sizes[0]} features; expected {prod(maps)}, images {self.shape}")
        stack: list[Layer] = []
        for block in map(parse_conv_layer, self.conv):
            filters = 2 * block.filters if self.activation == "maxout" else block.filters
            first = not stack
            conv = Conv(len(stack), maps, filters, block.stride, first=first, channels_last=first and channels_last)
            stack, maps = [*stack, conv], conv.outputs
            if self.batch_norm:
                stack.append(MapNorm(len(stack), filters, pixels=prod(maps[1:])))
            if block.pooled:
                pool = MaxPool(len(stack), maps)
                stack, maps = [*stack, pool], pool.outputs
            maps = (block.filters, *maps[1:])
            stack.append(self._nonlinearity(len(stack), prod(maps)))
        return [*stack, GlobalAveragePool(len(stack), maps)]

    def _nonlinearity(self, index: int, width: int) -> Layer:
        activation = ACTIVATIONS[self.activation]
        if activation is None:
            return {"prelu": PReLU, "maxout": Maxout}[self.activation](index, width)
        return Nonlinearity(index, activation, width)


@dataclass
class Network:
    """K trials' parameters and running statistics, on the layers that they share.

    ``generators``, one for each trial, are what dropout draws from.
    """

    layers: tuple[Layer, ...]
    params: Parameters
    stats: Parameters
    generators: Sequence[np.random.Generator] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        pairs = zip(self.params.layers, self.stats.layers, strict=True)
        self.arrays = [{**trained, **kept} for trained, kept in pairs]

    def select(self, members: Array | slice) -> Network:
        """Some of the trials: a copy of those that an index or a mask over K chooses, a view of a slice."""
        generators = [self.generators[k] for k in np.arange(len(self))[members]] if self.generators else ()
        return Network(self.layers, self.params.select(members), self.stats.select(members), generators)

    def __len__(self) -> int:
        """K."""
        return len(self.params)


def make_network(architecture: Architecture, trials: int, dtype: str = "float32") -> Network:
    """K networks whose weights and biases are 0, norms γ = 1, β = 0, and running statistics mean 0, variance 1."""
    layers = architecture.layers()
    params = Parameters.zeros([(layer.trained, layer.trained_in) for layer in layers], trials, dtype)
    stats = Parameters.zeros([(layer.kept, layer.kept_in) for layer in layers], trials, dtype)
    network = Network(layers, params, stats)
    for layer, arrays in zip(layers, network.arrays, strict=True):
        for name, value in layer.initial.items():
            arrays[name][:] = value
    return network


def init_network(
    architecture: Architecture,
    inits: Sequence[str | float],
    seeds: Sequence[int],
    dtype: str = "float32",
    dropout: Sequence[float] = (),
) -> Network:
    """Draw the weights of K networks, each from its own scheme and seed, so that none depends on its company.

    ``dropout`` gives the share of units that each trial silences, and is needed if the architecture has dropout.
    """
    network = make_network(architecture, len(seeds), dtype)
    for k, (init, seed) in enumerate(zip(inits, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        for layer, arrays in zip(network.layers, network.arrays, strict=True):
            if "W" in layer.trained:
                arrays["W"][k] = draw_weights(rng, init, *layer.trained["W"], field=layer.field)
    if architecture.dropout:
        network.generators = [np.random.default_rng([seed, 1]) for seed in seeds]
        set_dropout(network, dropout)
    return network


def set_dropout(network: Network, dropout: Sequence[float]) -> None:
    """Set the share of units (K,) that each trial silences, in all layers of dropout that there are."""
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        if isinstance(layer, Dropout):
            arrays["keep"][:, 0, 0] = 1 - np.asarray(dropout)


def with_ones(inputs: Array, dtype: str, memory: Array | None = None) -> Array:
    """Rows (B, D) as the first layer reads them: (B, D + 1), the last feature of ones, in memory the minibatch innermost.

    They are laid out in ``memory``, a flat array of that type and of B·(D + 1) numbers or more, if it is given.
    """
    rows, features = inputs.shape
    shape = (features + 1, rows)
    columns = np.empty(shape, dtype) if memory is None else memory[: prod(shape)].reshape(shape)
    at_once = max(rows, 1) if inputs.strides[0] % PAGE_BYTES else CACHE_WAYS
    for start in range(0, rows, at_once):
        part = slice(start, start + at_once)
        columns[:features, part] = inputs[part].T
    columns[features] = 1
    return columns.T


def forward(network: Network, inputs: Array, space: Workspace, *, training: bool) -> list[Array]:
    """Every layer's inputs, and the logits (K, B, C) at the end, for inputs (B, D) shared by the trials.

    Inputs that went through :func:`with_ones` are taken as they are. Layers work in place where they can: an entry may
    hold what a later layer made of it.
    """
    if inputs.shape[-1] == network.layers[0].reads:
        inputs = with_ones(inputs, space.dtype)
    space.generators = network.generators
    signals = [inputs]
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        signals.append(layer.forward(arrays, signals[-1], space, training=training))
    return signals


def backward(
    network: Network, grads: Parameters, signals: Sequence[Array], upstream: Array, space: Workspace, down_to: int = 0
) -> Array:
    """Fill ``grads`` from the signals of a training-mode :func:`forward` and dL/d(logits); all of these are overwritten.

    Those of the layers below ``down_to`` are left alone; the gradient of its inputs is returned.
    """
    for i in reversed(range(down_to, len(network.layers))):
        upstream = network.layers[i].backward(network.arrays[i], grads.layers[i], signals[i], upstream, space)
    return upstream
