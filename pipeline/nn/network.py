"""K networks of one architecture: a stack of layers, their parameters in one flat array, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from pipeline.errors import UserError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.conv_text import image_of, parse_conv_layer
from pipeline.nn.initializers import Init, draw_weights
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

CACHE_WAYS, PAGE_BYTES = 8, 4096
"""The first-level cache keeps this number of values at addresses that are whole pages apart, as in a column of CIFAR-10."""


@dataclass(frozen=True)
class Architecture:
    """The structure that the networks of a group have in common.

    ``sizes`` has the inputs D, the hidden sizes and the classes C. ``conv`` lists the convolutions before the hidden
    layers, in the text form of studies; their inputs are images of ``shape``.
    """

    sizes: tuple[int, ...]
    activation: str
    batch_norm: bool = False
    layer_norm: bool = False
    dropout: bool = False
    conv: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    def layers(self) -> tuple[Layer, ...]:
        """Return the stack: for each hidden layer dense, norms, activation and dropout; then a dense layer of logits.

        Convolutions, and the mean of each map, come before them. Raises :class:`UserError` if the convolutions do not
        fit the inputs.
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
        """Return convolution, batch norm, pooling and activation for each part of ``conv``, then the mean of each map.

        Pooling comes before the activation: for increasing activations the results are equal, and it is less work.
        """
        maps, channels_last = image_of(self.shape)
        if prod(maps) != self.sizes[0]:
            raise UserError(f"conv: got rows of {self.sizes[0]} features; expected {prod(maps)}, images {self.shape}")
        stack: list[Layer] = []
        for spec in map(parse_conv_layer, self.conv):
            filters = 2 * spec.filters if self.activation == "maxout" else spec.filters
            first = not stack
            conv = Conv(len(stack), maps, filters, spec.stride, first=first, channels_last=first and channels_last)
            stack, maps = [*stack, conv], conv.outputs
            if self.batch_norm:
                stack.append(MapNorm(len(stack), filters, pixels=prod(maps[1:])))
            if spec.pooled:
                pool = MaxPool(len(stack), maps)
                stack, maps = [*stack, pool], pool.outputs
            maps = (spec.filters, *maps[1:])
            stack.append(self._nonlinearity(len(stack), prod(maps)))
        return [*stack, GlobalAveragePool(len(stack), maps)]

    def _nonlinearity(self, index: int, width: int) -> Layer:
        activation = ACTIVATIONS[self.activation]
        if activation is None:
            return {"prelu": PReLU, "maxout": Maxout}[self.activation](index, width)
        return Nonlinearity(index, activation, width)


@dataclass
class Network:
    """The parameters and running statistics of K trials, and the layers that the trials share.

    ``arrays[i]`` has those of layer i by name. Dropout draws from ``generators``, one for each trial.
    """

    layers: tuple[Layer, ...]
    params: Parameters
    stats: Parameters
    generators: Sequence[np.random.Generator] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        pairs = zip(self.params.layers, self.stats.layers, strict=True)
        self.arrays = [{**params, **stats} for params, stats in pairs]

    def select(self, members: Array | slice) -> Network:
        """Return some of the trials: a copy for an index or a mask over K, a view for a slice."""
        generators = [self.generators[k] for k in np.arange(len(self))[members]] if self.generators else ()
        return Network(self.layers, self.params.select(members), self.stats.select(members), generators)

    def __len__(self) -> int:
        """K."""
        return len(self.params)


def make_network(architecture: Architecture, trials: int, dtype: str = "float32") -> Network:
    """Return K networks whose arrays are 0, except γ and running variances, which are 1, and PReLU's slopes, 0.25."""
    layers = architecture.layers()
    params = Parameters.zeros([(layer.param_shapes, layer.param_views) for layer in layers], trials, dtype)
    stats = Parameters.zeros([(layer.stat_shapes, layer.stat_views) for layer in layers], trials, dtype)
    network = Network(layers, params, stats)
    for layer, arrays in zip(layers, network.arrays, strict=True):
        for name, value in layer.initial_values.items():
            arrays[name][:] = value
    return network


def init_network(
    architecture: Architecture,
    inits: Sequence[Init],
    seeds: Sequence[int],
    dtype: str = "float32",
    dropout: Sequence[float] = (),
) -> Network:
    """Draw the weights of K networks, so that no network depends on the others.

    Each has its own initializer (or its name, or a standard deviation), its own seed, and its own share of units to drop.
    ``dropout`` may be left out if the architecture has none.
    """
    network = make_network(architecture, len(seeds), dtype)
    for k, (init, seed) in enumerate(zip(inits, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        for layer, arrays in zip(network.layers, network.arrays, strict=True):
            if "W" in layer.param_shapes:
                arrays["W"][k] = draw_weights(
                    rng, init, *layer.param_shapes["W"], receptive_field=layer.receptive_field
                )
    if architecture.dropout:
        network.generators = [np.random.default_rng([seed, 1]) for seed in seeds]
        set_dropout(network, dropout)
    return network


def set_dropout(network: Network, dropout: Sequence[float]) -> None:
    """Set the share of units (K,) that each trial drops, in all dropout layers."""
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        if isinstance(layer, Dropout):
            arrays["keep"][:, 0, 0] = 1 - np.asarray(dropout)


def with_ones(inputs: Array, dtype: str, memory: Array | None = None) -> Array:
    """Copy rows (B, D) into the first layer's layout, (B, D + 1).

    The last feature is ones, and the minibatch is innermost in memory. The copy is in ``memory`` if it is given, a flat
    array of that dtype with at least B·(D + 1) numbers.
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


def forward(network: Network, inputs: Array, workspace: Workspace, *, training: bool) -> list[Array]:
    """Return the inputs of every layer and, as the last entry, the logits (K, B, C).

    ``inputs`` are rows (B, D) that the trials share, or (B, D + 1) from :func:`with_ones`. Layers work in place where
    they can, so an entry may have been overwritten by a later layer.
    """
    if inputs.shape[-1] == network.layers[0].input_size:
        inputs = with_ones(inputs, workspace.dtype)
    workspace.generators = network.generators
    signals = [inputs]
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        signals.append(layer.forward(arrays, signals[-1], workspace, training=training))
    return signals


def backward(
    network: Network,
    grads: Parameters,
    signals: Sequence[Array],
    upstream: Array,
    workspace: Workspace,
    down_to: int = 0,
) -> Array:
    """Fill ``grads`` of the layers from ``down_to`` on, and return the gradient of that layer's inputs.

    ``signals`` and ``workspace`` are from :func:`forward` in training mode, and ``upstream`` is dL/d(logits), (K, B,
    C). All of them are overwritten.
    """
    for i in reversed(range(down_to, len(network.layers))):
        upstream = network.layers[i].backward(network.arrays[i], grads.layers[i], signals[i], upstream, workspace)
    return upstream
