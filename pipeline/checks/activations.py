"""Activation statistics: how the signal fares on its way through the layers of a network that has just been initialised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.checks import CheckResult
from pipeline.checks.networks import Init, inits, networks, structures
from pipeline.data import Dataset
from pipeline.nn.layers import Array, Nonlinearity, Workspace
from pipeline.nn.network import forward
from pipeline.study.hparams import HyperParams
from pipeline.study.spec import Study

ROWS = 512
SATURATED = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}
"""Outputs beyond these pass on hardly any gradient."""


@dataclass(frozen=True)
class LayerStatistics:
    """A hidden layer's outputs over the rows: mean, standard deviation, share saturated, share of units that are never on."""

    mean: float
    std: float
    saturated: float
    dead: float


def activation_statistics(study: Study, data: Dataset) -> CheckResult:
    """Look at every structure and initialisation of the space; what is unhealthy is advice, since a search may want to know."""
    schemes, seen, metrics = inits(study), [], {}
    for trial in structures(study):
        for init, layers in zip(schemes, layer_statistics(trial, data, schemes), strict=True):
            name = "-".join([trial.activation, str(init), *(["bn"] if trial.batch_norm else [])])
            metrics[f"check/activation_std/{name}"] = layers[-1].std if layers else 1.0
            if complaint := complaint_of(layers, float(data.train.inputs[:ROWS].std())):
                seen.append(
                    f"{trial.activation} from {init}{' with batch norm' if trial.batch_norm else ''} {complaint}"
                )
    message = "; ".join(seen) or f"healthy in all {len(metrics)} kinds of networks"
    advice = "expect late starts there; He or Xavier, or batch norm, keep the signal" if seen else ""
    return CheckResult("activations at initialisation", passed=True, message=message, advice=advice, metrics=metrics)


@np.errstate(all="ignore")  # what explodes beyond the numbers of its type is told as it is, not warned of
def layer_statistics(trial: HyperParams, data: Dataset, schemes: list[Init]) -> list[list[LayerStatistics]]:
    """For each initialisation, the statistics of each hidden layer, over the first rows of the training split."""
    network = networks(trial, data, schemes, data.train.inputs.dtype.name)
    inputs = data.train.inputs[:ROWS]
    space = Workspace(len(schemes), len(inputs), inputs.dtype.name)
    signals = forward(network, inputs, space, training=True)
    hidden = [signals[i + 1] for i, layer in enumerate(network.layers) if isinstance(layer, Nonlinearity)]
    return [[_statistics(outputs[k], trial.activation) for outputs in hidden] for k in range(len(schemes))]


def _statistics(outputs: Array, activation: str) -> LayerStatistics:
    """Of one layer's outputs (B, H)."""
    low, high = SATURATED.get(activation, (-np.inf, np.inf))
    beyond = (outputs < low) | (outputs > high)
    dead = (outputs <= 0).all(axis=0).mean() if activation == "relu" else 0.0
    return LayerStatistics(*(float(x) for x in (outputs.mean(), outputs.std(), beyond.mean(), dead)))


def complaint_of(layers: list[LayerStatistics], input_std: float) -> str:
    """What is unhealthy, if anything: a signal below a tenth or above ten times, half saturated, or a fifth of the units dead.

    The last hidden layer is compared with the first, a single one with the inputs.
    """
    if not layers:
        return ""
    first, last = layers[0].std if len(layers) > 1 else input_std, layers[-1].std
    ratio = last / (first or 1.0) if np.isfinite(last) else np.inf
    saturated, dead = max(layer.saturated for layer in layers), max(layer.dead for layer in layers)
    said = {
        f"collapses to {ratio:.2g} of its spread": ratio < 0.1,
        f"explodes to {ratio:.2g} times its spread": ratio > 10,
        f"saturates {saturated:.0%} of a layer": saturated > 0.5,
        f"has {dead:.0%} dead units in a layer": dead > 0.2,
    }
    return ", ".join(words for words, unhealthy in said.items() if unhealthy)
