"""Weight initialisation (3.0 to 3.5): ten layers of 500 units, whose signals vanish, saturate, or pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.checks.gradients import loss_and_gradient
from pipeline.data import Dataset, Split, load_block
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, between, near, shown
from pipeline.lecture.stack import AT_ONCE, EDGES, Layers, Scheme, walk
from pipeline.nn.network import init_network
from pipeline.report.figures.plots import Row, histograms
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.memory import architecture

SMALL, LARGE, XAVIER = Scheme("tanh", 0.01), Scheme("tanh", 1.0), Scheme("tanh", "xavier")
RELU_XAVIER, RELU_HE = Scheme("relu", "xavier"), Scheme("relu", "he")
EXTRA = (Scheme("relu", 0.01), Scheme("relu", 1.0), Scheme("tanh", "he"), Scheme("sigmoid", "xavier"))
PRINTED = (0.213081, 0.047551, 0.010630, 0.002378, 0.000532, 0.000119)
"""The lecture's standard deviations of layers 1 to 6, for tanh with 0.01."""


def demonstrate(seed: int, *, seeds: int = 40, extra: bool = True) -> Outcome:
    """Send signals through ``seeds`` stacks of each scheme in lockstep; the claims are about means over the stacks."""
    schemes = (SMALL, LARGE, XAVIER, RELU_XAVIER, RELU_HE, *(EXTRA if extra else ()))
    layers = walk(schemes[:5], seed, seeds=seeds) | walk(schemes[5:], seed, seeds=min(seeds, AT_ONCE))
    rows = [row for scheme in schemes for row in _rows(scheme, layers[scheme])]
    claims = [*_equal_weights(seed), *_claims(layers), *(_extras(layers) if extra else ())]
    counts = {scheme.name: layers[scheme].counts for scheme in schemes[:5]}
    figure = histograms("histograms", "Ten layers of 500 units", counts, EDGES, rows)
    return Outcome(claims, rows, [figure], f"N(0, 1) inputs, 1000 x 500; {seeds} seeds of the weights")


def _rows(scheme: Scheme, layers: Layers) -> Iterator[Row]:
    names = ("mean", "std", "beyond", "dead", "dx", "dw")
    means = {name: layers.of(name).mean(axis=0) for name in names}
    spread = layers.of("std").std(axis=0)
    for layer in range(len(means["std"])):
        numbers = {name: float(values[layer]) for name, values in means.items()}
        yield {"scheme": scheme.name, "layer": layer + 1, **numbers, "std_over_seeds": float(spread[layer])}


def _claims(layers: Mapping[Scheme, Layers]) -> Iterator[Claim]:
    yield from _collapse(layers[SMALL])
    yield from _saturation(layers[LARGE])
    std = layers[XAVIER].of("std").mean(axis=0)
    yield near("3.3", "Xavier and tanh: the spread of layer 1", std[0], 0.628, 0.005)
    yield near("3.3", "Xavier and tanh: the spread of layer 10", std[-1], 0.228, 0.006)
    yield at_most(
        "3.3", "Xavier and tanh: the spread falls from layer to layer, greatest change", np.diff(std).max(), 0
    )
    yield at_most(
        "3.3", "Xavier and tanh: the greatest saturated share of a layer", layers[XAVIER].of("beyond").max(), 0.01
    )
    std = layers[RELU_XAVIER].of("std").mean(axis=0)
    yield between("3.4", "Xavier and ReLU: the spread of layer 10", std[-1], 0.012, 0.040)
    slope = np.polyfit(np.arange(10), np.log(std), 1)[0]
    yield near(
        "3.4",
        "Xavier and ReLU: each layer loses a factor of √2, as a slope of ln(spread)",
        slope,
        -0.5 * math.log(2),
        0.05,
    )
    yield from _he(layers[RELU_HE])
    greatest = max(np.abs(layers[s].of("mean").mean(axis=0)).max() for s in (SMALL, LARGE, XAVIER))
    yield at_most("3.1-3.3", "tanh: the greatest mean of a layer, in absolute value", greatest, 0.005)


def _collapse(layers: Layers) -> Iterator[Claim]:
    std = layers.of("std").mean(axis=0)
    ratios = std[1:] / std[:-1]
    yield between("3.1", "0.01 and tanh: a layer passes on 0.2236 of its spread; the least", ratios.min(), 0.20, 0.24)
    yield between(
        "3.1", "0.01 and tanh: a layer passes on 0.2236 of its spread; the greatest", ratios.max(), 0.20, 0.24
    )
    yield at_most("3.1", "0.01 and tanh: the spread of layer 10 is nearly 0", std[-1], 1e-6)
    yield at_most("3.1", "0.01 and tanh: the gradient at layer 1 is nearly 0", layers.of("dx").mean(axis=0)[0], 1e-5)
    off = np.abs(std[:6] / np.array(PRINTED) - 1).max()
    yield at_most("3.1", "the spreads printed in the lecture for layers 1 to 6, relative error", off, 0.02)


def _saturation(layers: Layers) -> Iterator[Claim]:
    std, beyond, dx = (layers.of(name).mean(axis=0) for name in ("std", "beyond", "dx"))
    yield between("3.2", "1.0 and tanh: the least spread of a layer", std.min(), 0.980, 0.984)
    yield between("3.2", "1.0 and tanh: the greatest spread of a layer", std.max(), 0.980, 0.984)
    yield between("3.2", "1.0 and tanh: the least share of outputs beyond 0.99 in a layer", beyond.min(), 0.89, 0.92)
    yield between("3.2", "1.0 and tanh: the greatest share of outputs beyond 0.99 in a layer", beyond.max(), 0.89, 0.92)
    note = (
        "The slide says that all gradients will be zero. That is true of most slopes, but the gradient grows backwards."
    )
    yield at_most("3.2", "1.0 and tanh: the median slope is 0", layers.of("slope").max(), 1e-6, note=note)
    yield at_least(
        "3.2",
        "1.0 and tanh: the factor by which the gradient grows backwards per layer",
        (dx[0] / dx[-1]) ** (1 / 9),
        2,
    )


def _he(layers: Layers) -> Iterator[Claim]:
    std, mean = layers.of("std").mean(axis=0), layers.of("mean").mean(axis=0)
    yield between("3.5", "He and ReLU: the geometric mean of the spreads", np.exp(np.log(std).mean()), 0.65, 1.05)
    yield between("3.5", "He and ReLU: the spread of layer 10 divided by that of layer 1", std[-1] / std[0], 0.5, 1.6)
    furthest = max(mean / std, key=lambda ratio: abs(ratio - 0.68))
    yield near("3.5", "He and ReLU: mean divided by spread, the layer furthest from 0.68", furthest, 0.68, 0.08)


def _extras(layers: Mapping[Scheme, Layers]) -> Iterator[Claim]:
    small, large, he, sigmoid = (layers[scheme].of("std").mean(axis=0) for scheme in EXTRA)
    yield near("3.x", "0.01 and ReLU: the factor from layer to layer", _factor(small), 0.158, 0.01)
    yield near("3.x", "1.0 and ReLU: the factor from layer to layer", _factor(large), 15.8, 1)
    yield near("3.x", "He and tanh: the spread of layer 10", he[-1], 0.556, 0.01)
    yield near("3.x", "Xavier and sigmoid: the spread of layer 10", sigmoid[-1], 0.118, 0.01)
    dead = layers[RELU_XAVIER].of("dead").mean(axis=0)
    yield near("1.5", "Xavier and ReLU: the share of dead units in layer 10 before training", dead[-1], 0.095, 0.03)
    yield at_most("1.5", "Xavier and ReLU: the share of dead units in layer 1 before training", dead[0], 0.001)


def _factor(std: np.ndarray) -> float:
    return float((std[-1] / std[0]) ** (1 / (len(std) - 1)))


def _equal_weights(seed: int) -> Iterator[Claim]:
    """3.0: weights of 0 do not change; with other equal weights, all units of a layer stay equal."""
    config = TrainConfig(epochs=40, batch_size=100, validation=0.1, test=0.1)
    data = load_block("digits", config, seed)
    loss, _, _, gradient = _symmetric(data, 0.0)
    yield near("3.0", "all weights 0: the loss after 40 epochs is ln C", loss, math.log(10), 0.002)
    yield shown("3.0", "all weights 0: the gradients of hidden weights are 0", f"{gradient:g}", holds=gradient == 0)
    _, difference, change, _ = _symmetric(data, 0.1)
    observed = f"greatest difference between units {difference:g}, greatest step {change:.2g}"
    holds = difference < 1e-12 and change > 1e-3
    yield shown("3.0", "all weights 0.1: the units of a layer stay equal, and change", observed, holds=holds)


def _symmetric(data: Dataset, constant: float) -> tuple[float, float, float, float]:
    """Train a network with equal initial weights by full batches in float64.

    Returns the loss, the greatest difference between units, the greatest change of a weight and the greatest gradient of a
    hidden weight.
    """
    trial = HyperParams(learning_rate=0.1)
    network = init_network(architecture(trial, data.features, data.classes), ["zeros"], [0], "float64")
    for weights in network.params.weights:
        weights[:] = constant
    start, greatest, mean_loss = network.params.weights[0].copy(), 0.0, math.nan
    rows = Split(data.train.inputs.astype("float64"), data.train.labels)
    for _ in range(40):
        losses, gradient = loss_and_gradient(network, rows, data.classes)
        greatest = max(greatest, float(np.abs(network.params.with_values(gradient).weights[0]).max()))
        mean_loss = float(losses[0])
        network.params.values -= trial.learning_rate * gradient
    weights = network.params.weights[0][0]
    return mean_loss, float(np.ptp(weights, axis=1).max()), float(np.abs(weights - start[0]).max()), greatest
