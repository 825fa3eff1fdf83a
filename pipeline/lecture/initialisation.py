"""Weight initialisation (3.0 to 3.5): ten layers of 500 units, whose signals die, saturate, or get through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.data import Dataset, load_block
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, between, near, shown
from pipeline.lecture.stack import AT_ONCE, EDGES, Layers, Scheme, walk
from pipeline.nn.layers import Workspace
from pipeline.nn.losses import softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, backward, forward, init_network
from pipeline.report.figures.plots import Row, histograms
from pipeline.study.hparams import HyperParams, TrainConfig

SMALL, LARGE, XAVIER = Scheme("tanh", 0.01), Scheme("tanh", 1.0), Scheme("tanh", "xavier")
RELU_XAVIER, RELU_HE = Scheme("relu", "xavier"), Scheme("relu", "he")
EXTRA = (Scheme("relu", 0.01), Scheme("relu", 1.0), Scheme("tanh", "he"), Scheme("sigmoid", "xavier"))
PRINTED = (0.213081, 0.047551, 0.010630, 0.002378, 0.000532, 0.000119)
"""The lecture's own standard deviations of layers 1 to 6, tanh with 0.01."""


def demonstrate(seed: int, *, seeds: int = 40, extra: bool = True) -> Outcome:
    """``seeds`` stacks of each scheme, in lockstep; the claims are about the means over them."""
    schemes = (SMALL, LARGE, XAVIER, RELU_XAVIER, RELU_HE, *(EXTRA if extra else ()))
    found = walk(schemes[:5], seed, seeds=seeds) | walk(schemes[5:], seed, seeds=min(seeds, AT_ONCE))
    rows = [row for scheme in schemes for row in _rows(scheme, found[scheme])]
    claims = [*_zeros(seed), *_claims(found), *(_extras(found) if extra else ())]
    drawn = {scheme.name: found[scheme].counts for scheme in schemes[:5]}
    picture = histograms("histograms", "Ten layers of 500 units", drawn, EDGES, rows)
    data = f"N(0, 1) inputs, 1000 x 500; {seeds} seeds of the weights"
    return Outcome(claims, rows, [picture], data)


def _rows(scheme: Scheme, seen: Layers) -> Iterator[Row]:
    names = ("mean", "std", "beyond", "dead", "dx", "dw")
    means = {name: seen.of(name).mean(axis=0) for name in names}
    spread = seen.of("std").std(axis=0)
    for layer in range(len(means["std"])):
        numbers = {name: float(values[layer]) for name, values in means.items()}
        yield {"scheme": scheme.name, "layer": layer + 1, **numbers, "std_over_seeds": float(spread[layer])}


def _claims(found: Mapping[Scheme, Layers]) -> Iterator[Claim]:
    yield from _collapse(found[SMALL])
    yield from _saturation(found[LARGE])
    std = found[XAVIER].of("std").mean(axis=0)
    yield near("3.3", "Xavier and tanh: the spread of layer 1", std[0], 0.628, 0.005)
    yield near("3.3", "Xavier and tanh: the spread of layer 10", std[-1], 0.228, 0.006)
    yield at_most("3.3", "it falls from layer to layer", float(np.diff(std).max()), 0)
    yield at_most("3.3", "less than 1 % of a layer is saturated", float(found[XAVIER].of("beyond").max()), 0.01)
    std = found[RELU_XAVIER].of("std").mean(axis=0)
    yield between("3.4", "Xavier and ReLU: the spread of layer 10", std[-1], 0.012, 0.040)
    slope = float(np.polyfit(np.arange(10), np.log(std), 1)[0])
    yield near("3.4", "each ReLU layer loses a factor of √2", slope, -0.5 * math.log(2), 0.05)
    yield from _he(found[RELU_HE])
    means = max(float(np.abs(found[s].of("mean").mean(axis=0)).max()) for s in (SMALL, LARGE, XAVIER))
    yield at_most("3.1-3.3", "tanh layers have mean 0, the furthest from it", means, 0.005)


def _collapse(seen: Layers) -> Iterator[Claim]:
    std = seen.of("std").mean(axis=0)
    ratios = std[1:] / std[:-1]
    yield between("3.1", "0.01 and tanh: every layer passes on 0.2236 of its spread (least)", ratios.min(), 0.20, 0.24)
    yield between("3.1", "and the greatest", ratios.max(), 0.20, 0.24)
    yield at_most("3.1", "layer 10 is all but zero", std[-1], 1e-6)
    yield at_most("3.1", "so is the gradient at layer 1", seen.of("dx").mean(axis=0)[0], 1e-5)
    off = float(np.abs(std[:6] / np.array(PRINTED) - 1).max())
    yield at_most("3.1", "the spreads printed in the lecture, layers 1 to 6, to 2 %", off, 0.02)


def _saturation(seen: Layers) -> Iterator[Claim]:
    std, beyond, dx = (seen.of(name).mean(axis=0) for name in ("std", "beyond", "dx"))
    yield between("3.2", "1.0 and tanh: the least spread of a layer", std.min(), 0.980, 0.984)
    yield between("3.2", "and the greatest", std.max(), 0.980, 0.984)
    yield between("3.2", "outputs beyond 0.99, the least share of a layer", beyond.min(), 0.89, 0.92)
    yield between("3.2", "and the greatest", beyond.max(), 0.89, 0.92)
    loose = (
        "The slide says that all gradients will be zero. The slope of most units is; the gradient that is passed back "
        "grows from layer to layer."
    )
    yield at_most("3.2", "the slope of the median unit is zero", float(seen.of("slope").max()), 1e-6, note=loose)
    yield at_least("3.2", "the gradient grows on its way back, by a factor a layer", (dx[0] / dx[-1]) ** (1 / 9), 2)


def _he(seen: Layers) -> Iterator[Claim]:
    std, mean = seen.of("std").mean(axis=0), seen.of("mean").mean(axis=0)
    geometric = float(np.exp(np.log(std).mean()))
    yield between("3.5", "He and ReLU: the spread of all layers, geometric mean", geometric, 0.65, 1.05)
    yield between("3.5", "layer 10 against layer 1", std[-1] / std[0], 0.5, 1.6)
    yield near("3.5", "mean over spread, the layer furthest from 0.68", _furthest(mean / std, 0.68), 0.68, 0.08)


def _furthest(values: np.ndarray, expected: float) -> float:
    return float(values[np.abs(values - expected).argmax()])


def _extras(found: Mapping[Scheme, Layers]) -> Iterator[Claim]:
    std = {scheme: found[scheme].of("std").mean(axis=0) for scheme in EXTRA}
    small, large, he, sigmoid = (std[scheme] for scheme in EXTRA)
    yield near("3.x", "0.01 and ReLU: the factor from layer to layer", _factor(small), 0.158, 0.01)
    yield near("3.x", "1.0 and ReLU: the factor from layer to layer", _factor(large), 15.8, 1)
    yield near("3.x", "He and tanh: the spread of layer 10", he[-1], 0.556, 0.01)
    yield near("3.x", "Xavier and sigmoid: the spread of layer 10", sigmoid[-1], 0.118, 0.01)
    dead = found[RELU_XAVIER].of("dead").mean(axis=0)
    yield near("1.5", "ReLU: units of layer 10 that no row turns on, before any training", dead[-1], 0.095, 0.03)
    yield at_most("1.5", "and of layer 1", dead[0], 0.001)


def _factor(std: np.ndarray) -> float:
    return float((std[-1] / std[0]) ** (1 / (len(std) - 1)))


def _zeros(seed: int) -> Iterator[Claim]:
    """Exp 3.0: with zero weights nothing moves; with equal ones all units move alike."""
    config = TrainConfig(epochs=40, batch_size=100, validation=0.1, test=0.1)
    data = load_block("digits", config, seed)
    loss, spread, moved, gradient = _symmetric(data, 0.0)
    yield near("3.0", "all weights 0: the loss after 40 epochs stays at ln C", loss, math.log(10), 0.002)
    yield shown("3.0", "the gradients of the hidden weights are exactly 0", f"{gradient:g}", holds=gradient == 0)
    loss, spread, moved, gradient = _symmetric(data, 0.1)
    yield shown(
        "3.0",
        "all weights 0.1: the units of a layer stay alike, and move",
        f"greatest difference between units {spread:g}, greatest step {moved:.2g}",
        holds=spread < 1e-12 and moved > 1e-3,
    )


def _symmetric(data: Dataset, constant: float) -> tuple[float, float, float, float]:
    """The loss, the greatest difference of units, the greatest move and the greatest hidden gradient, in float64.

    Full batches of gradient descent on a network whose weights all start at a constant; the bias alone may learn.
    """
    trial = HyperParams(learning_rate=0.1)
    shape = Architecture((data.features, *trial.hidden, data.classes), trial.activation)
    network = init_network(shape, ["zeros"], [0], "float64")
    for weights in network.params.weights:
        weights[:] = constant
    start, greatest, mean_loss = network.params.weights[0].copy(), 0.0, math.nan
    inputs, labels = data.train.inputs.astype("float64"), data.train.labels
    space, grads = Workspace(1, len(labels), "float64"), network.params.with_values(network.params.values.copy())
    targets = np.eye(data.classes)[labels]
    for _ in range(40):
        signals = forward(network, inputs, space, training=True)
        losses, _, probabilities = softmax_cross_entropy(signals[-1], labels)
        backward(network, grads, signals, softmax_cross_entropy_gradient(probabilities, targets), space)
        greatest = max(greatest, float(np.abs(grads.weights[0]).max()))
        mean_loss = float(losses.mean())
        network.params.values -= trial.learning_rate * grads.values
    weights = network.params.weights[0][0]
    return mean_loss, float(np.ptp(weights, axis=1).max()), float(np.abs(weights - start[0]).max()), greatest
