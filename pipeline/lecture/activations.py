"""Activation functions (1.1 to 1.5): saturation, mean outputs, speed of training, and dead units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.lecture.datasets import load_digits
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, near, shown
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import Array
from pipeline.report.figures.plots import Row, lines
from pipeline.report.style import Plot
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import History, train

CONFIG = TrainConfig(epochs=60, batch_size=100)
SLOPES = {
    "sigmoid": (4.54e-5, 0.25, 4.54e-5),
    "tanh": (8.24e-9, 1.0, 8.24e-9),
    "relu": (0.0, 0.0, 1.0),
    "leaky_relu": (0.01, None, 1.0),
    "elu": (4.54e-5, None, 1.0),
}
"""The slopes at -10, 0 and 10; None if the lecture gives none."""
MEAN_OUTPUTS = {"sigmoid": 0.5, "tanh": 0.0, "relu": 1 / math.sqrt(2 * math.pi), "leaky_relu": 0.395, "elu": 0.161}
INITS = {"relu": "he", "tanh": "xavier", "sigmoid": "xavier"}
RATES, DEAD_RATES = (0.3, 1.0), (0.1, 1.0, 2.0, 3.0)


def demonstrate(seed: int) -> Outcome:
    """Evaluate the functions, then train on the digits."""
    speed, epochs, history = _speed(seed)
    dead, shares = _dead(seed)
    claims = [*_slopes(), *_same_sign(seed), *_mean_outputs(seed), speed, *dead]
    return Outcome(claims, [*epochs, *shares], [_functions(), _learning(history, epochs)], "digits, 64-50-50-50-10")


def value_and_slope(name: str, at: Array) -> tuple[Array, Array]:
    """f and f' at some points in float64, computed by the code of the network."""
    activation: Any = ACTIVATIONS[name]
    values, slope = np.array(at, float), np.zeros(np.shape(at), bool if activation.binary else float)
    activation.forward(values, slope)
    return values, slope.astype(float)


def _slopes() -> Iterator[Claim]:
    at = np.array([-10.0, 0.0, 10.0])
    for name, expected in SLOPES.items():
        slopes = value_and_slope(name, at)[1]
        off = [abs(s - e) / max(e, 1e-12) for s, e in zip(slopes, expected, strict=True) if e is not None]
        yield at_most("1.1", f"{name}: the slope at -10, 0 and 10, relative error", max(off), 2e-3)
        yield at_most(
            "1.1", f"{name}: the slope against centred differences, relative error", _difference_error(name), 1e-7
        )
    greatest = value_and_slope("sigmoid", np.linspace(-5, 5, 10001))[1].max()
    yield shown("1.1", "the slope of sigmoid is at most a quarter", f"{greatest:.6g}", holds=greatest == 0.25)
    x = np.linspace(-8, 8, 4001)
    identity = np.abs(np.tanh(x) - (2 * value_and_slope("sigmoid", 2 * x)[0] - 1)).max()
    yield at_most("1.1", "tanh(x) = 2·sigmoid(2x) - 1, greatest error", identity, 1e-15)


def _difference_error(name: str) -> float:
    """The greatest relative error of the slope against differences of h = 1e-5, between -4 and 4 without 0."""
    x, h = np.concatenate([np.linspace(-4, -0.1, 50), np.linspace(0.1, 4, 50)]), 1e-5
    numeric = (value_and_slope(name, x + h)[0] - value_and_slope(name, x - h)[0]) / (2 * h)
    exact = value_and_slope(name, x)[1]
    return float((np.abs(numeric - exact) / np.maximum(np.abs(exact), 1e-8)).max())


def _same_sign(seed: int) -> Iterator[Claim]:
    rng = np.random.default_rng(seed)
    note = "This holds for one example; in the sum over a minibatch the effect is smaller (notes 1)."
    for inputs, says, least, most in (
        (rng.random((1000, 20)), "positive inputs: the gradients of all weights of a unit have the same sign", 1, 1),
        (rng.standard_normal((1000, 20)), "inputs of mean 0: they do not", 0, 0.0099),
    ):
        gradients = rng.standard_normal((1000, 1)) * inputs  # dL/dw = dL/dz · x, for single examples
        share = ((gradients > 0).all(axis=1) | (gradients < 0).all(axis=1)).mean()
        yield shown("1.2", says, f"{share:.3f} of 1000 examples", holds=least <= share <= most, note=note)


def _mean_outputs(seed: int) -> Iterator[Claim]:
    z = np.random.default_rng(seed).standard_normal(400_000)
    means = {name: value_and_slope(name, z)[0].mean() for name in MEAN_OUTPUTS}
    for name, mean in MEAN_OUTPUTS.items():
        yield near("1.4", f"{name}: the mean output of N(0, 1)", means[name], mean, 0.01)
    order = sorted(means, key=lambda name: abs(means[name]))
    expected = ["tanh", "elu", "leaky_relu", "relu", "sigmoid"]
    yield shown("1.4", "the order of the distance of the mean output from 0", ", ".join(order), holds=order == expected)


def _speed(seed: int) -> tuple[Claim, list[Row], History]:
    base = HyperParams(hidden=(50, 50, 50), seed=seed)
    trials = [replace(base, activation=a, init=i, learning_rate=rate) for rate in RATES for a, i in INITS.items()]
    history = train(trials, load_digits(seed), CONFIG, order_seed=seed)
    rows: list[Row] = [
        {"activation": t.activation, "learning_rate": t.learning_rate, "epochs_to_5_percent": _first_epoch(history, k)}
        for k, t in enumerate(trials)
    ]
    epochs = {(r["activation"], r["learning_rate"]): r["epochs_to_5_percent"] for r in rows}
    note = "The lecture's factor of six is ReLU against tanh in AlexNet. A small network learns as fast with tanh, so sigmoid is tested."
    ratio = epochs["sigmoid", 0.3] / epochs["relu", 0.3]
    slower = f"at 0.3: ReLU {epochs['relu', 0.3]:g}, sigmoid {epochs['sigmoid', 0.3]:g} epochs to 5 % training error"
    return (
        at_least("1.3", f"sigmoid needs five times the epochs of ReLU ({slower})", ratio, 5, note=note),
        rows,
        history,
    )


def _first_epoch(history: History, k: int) -> float:
    """The first epoch with a training error of at most 5 %; or infinity."""
    reached = np.flatnonzero(history.curves["train/accuracy"][k] >= 0.95)
    return float(reached[0] + 1) if reached.size else math.inf


def _dead(seed: int) -> tuple[list[Claim], list[Row]]:
    config = replace(CONFIG, epochs=20)
    base = HyperParams(hidden=(100, 100))
    trials = [replace(base, learning_rate=rate, seed=s) for rate in DEAD_RATES for s in range(seed, seed + 3)]
    history = train(trials, load_digits(seed), config, order_seed=seed)
    dead = np.array([_last(history.layer_statistics["dead"][k, :, 1]) for k in range(len(trials))]).reshape(-1, 3)
    shares = [float(np.nanmean(row)) if np.isfinite(row).any() else math.nan for row in dead]
    rows: list[Row] = [{"learning_rate": r, "dead_share_layer_2": s} for r, s in zip(DEAD_RATES, shares, strict=True)]
    low, _, mid, high = shares
    claims = [
        at_most("1.5", "the share of dead ReLUs in layer 2 at a rate of 0.1", low, 0.02),
        shown(
            "1.5",
            "the share of dead ReLUs rises with the rate",
            ", ".join(f"{s:.2f}" for s in shares),
            holds=low < mid < high,
        ),
        at_least("1.5", "the share of dead ReLUs in layer 2 at a rate of 3", high, 0.4),
    ]
    return claims, rows


def _last(values: Array) -> float:
    """The last finite value, or NaN."""
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else math.nan


def _functions() -> Plot:
    x = np.linspace(-4, 4, 200)
    curves = {name: value_and_slope(name, x) for name in SLOPES}
    panels = {label: {n: (x, pair[i]) for n, pair in curves.items()} for i, label in enumerate(("f(x)", "slope"))}
    return lines("functions", "Activation functions and their slopes", panels, x="x", y="", limits=(-1.2, 4))


def _learning(history: History, rows: list[Row]) -> Plot:
    epochs = np.arange(1, history.curves["train/accuracy"].shape[1] + 1)
    errors = 1 - history.curves["train/accuracy"]
    names = list(INITS)
    panels = {
        f"learning rate {rate:g}": {name: (epochs, errors[i * len(names) + j]) for j, name in enumerate(names)}
        for i, rate in enumerate(RATES)
    }
    return lines("convergence", "Training error by activation", panels, x="epoch", y="training error", rows=rows)
