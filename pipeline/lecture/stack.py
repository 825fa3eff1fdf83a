"""The lecture's stack of ten random layers: signals and gradients for many seeds in lockstep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.layers import Array, Dense, Nonlinearity, Workspace
from pipeline.nn.network import Architecture, Network, forward, init_network
from pipeline.nn.parameters import Parameters

EDGES = np.linspace(-1, 1, 31)
AT_ONCE = 4
"""Seeds that are computed together; the signals of more take too much memory."""


@dataclass(frozen=True)
class Scheme:
    """An activation and the standard deviation of the weights: a number, or a name of ``INITIALIZERS``."""

    activation: str
    init: str | float
    batch_norm: bool = False

    @property
    def name(self) -> str:
        """The scheme in words."""
        return f"{self.activation}, {self.init}{', batch norm' if self.batch_norm else ''}"

    def scale(self, units: int) -> float:
        """The standard deviation of the weights between layers of ``units`` units."""
        return INITIALIZERS[self.init](units, units) if isinstance(self.init, str) else self.init


@dataclass
class Layers:
    """Statistics of each layer by name: lists of arrays (K, L) over seeds, and the histograms (L, bins) of the first seed.

    ``beyond`` is the share of outputs with |h| > 0.99, ``slope`` the median of 1 - h² (the slope of tanh), and ``dead`` the
    share of units that are 0 for all rows. ``dx`` and ``dw`` are the standard deviations of the gradients of a layer's inputs
    and weights, for a standard normal gradient of the last outputs; they are computed for the first few seeds only.
    """

    statistics: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))
    counts: Array = field(default_factory=lambda: np.zeros(0))

    def of(self, name: str) -> Array:
        """A statistic over all seeds, (K, L)."""
        return np.concatenate(self.statistics[name])


def walk(
    schemes: Sequence[Scheme], seed: int, *, seeds: int, rows: int = 1000, units: int = 500, depth: int = 10
) -> dict[Scheme, Layers]:
    """Send N(0, 1) inputs through the stacks of all schemes, and return the statistics of each scheme.

    Each seed has its own inputs and draws of the weights; all schemes scale the same draws.
    """
    layers = {scheme: Layers() for scheme in schemes}
    for start in range(0, seeds, AT_ONCE):
        members = [seed * 1000 + k for k in range(start, min(seeds, start + AT_ONCE))]
        inputs = np.random.default_rng([seed, start]).standard_normal((rows, units)).astype("float32")
        for kind in dict.fromkeys((scheme.activation, scheme.batch_norm) for scheme in schemes):
            network = init_network(Architecture((units, *[units] * depth, 1), *kind), [1.0] * len(members), members)
            drawn = network.params.values.copy()
            space = Workspace(len(members), rows, "float32")
            for scheme in schemes:
                if (scheme.activation, scheme.batch_norm) == kind:
                    _scale(network, drawn, scheme.scale(units))
                    _measure(layers[scheme], network, inputs, space, first=start == 0)
    return layers


def _scale(network: Network, drawn: Array, scale: float) -> None:
    """Scale the standard normal weights to those of a scheme; other parameters are not scaled."""
    network.params.values[:] = drawn
    for weights in network.params.weights:
        np.multiply(weights, np.float32(scale), out=weights)


def _measure(layers: Layers, network: Network, inputs: Array, space: Workspace, *, first: bool) -> None:
    signals = forward(network, inputs, space, training=True)
    hidden = [signals[i + 1] for i, layer in enumerate(network.layers) if isinstance(layer, Nonlinearity)]
    for name, statistic in STATISTICS.items():
        layers.statistics[name].append(np.stack([statistic(outputs) for outputs in hidden], axis=1))
    if first:
        layers.counts = np.array([np.histogram(outputs[0], EDGES)[0] for outputs in hidden])
        grads = network.params.with_values(np.zeros_like(network.params.values))
        layers.statistics["dx"].append(np.array(list(_backwards(network, grads, signals, space))[::-1]).T)
        dense = [arrays["W"] for arrays in grads.layers if "W" in arrays][:-1]
        layers.statistics["dw"].append(np.stack([_std(w) for w in dense], axis=1))


def _std(values: Array) -> Array:
    """The standard deviation over all but the first axis, (K,)."""
    return np.array([value.std(dtype="float64") for value in values])


def _mean(values: Array) -> Array:
    return np.asarray(values.mean(axis=(1, 2), dtype="float64"))


def _median_slope(outputs: Array) -> Array:
    """The median of 1 - h² over every fiftieth row."""
    return np.asarray(np.median(1 - outputs[:, ::50].astype("float64") ** 2, axis=(1, 2)))


STATISTICS: dict[str, Callable[[Array], Array]] = {
    "mean": _mean,
    "std": _std,
    "beyond": lambda outputs: (np.abs(outputs) > 0.99).mean(axis=(1, 2)),
    "slope": _median_slope,
    "dead": lambda outputs: (outputs <= 0).all(axis=1).mean(axis=1),
}
"""The statistics (K,) of a layer's outputs (K, B, H), by their names in :class:`Layers`."""


def _backwards(
    network: Network, grads: Parameters, signals: Sequence[Array], space: Workspace
) -> Iterator[list[float]]:
    """The standard deviation of each layer's input gradient (K,), from the last hidden layer to the first."""
    *hidden, _ = range(len(network.layers))
    upstream = np.random.default_rng(0).standard_normal(signals[-2].shape).astype("float32")
    for i in reversed(hidden):
        layer, arrays = network.layers[i], network.arrays[i]
        if isinstance(layer, Dense):
            # The first layer does not compute the gradient of its inputs.
            inner = upstream @ arrays["W"].swapaxes(-1, -2) if layer.first else None
            upstream = layer.backward(arrays, grads.layers[i], signals[i], upstream, space)
            yield list(_std(upstream if inner is None else inner))
        else:
            upstream = layer.backward(arrays, grads.layers[i], signals[i], upstream, space)
