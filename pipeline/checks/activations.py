"""Activation statistics: how the signal changes through the layers of an untrained network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.checks import CheckResult
from pipeline.checks.probe_networks import Init, inits, kind_of, networks, structures
from pipeline.data import Dataset
from pipeline.diagnosis.rules_slow_start import better_init
from pipeline.nn.layers import Array, Nonlinearity, Workspace
from pipeline.nn.network import forward
from pipeline.study.hparams import HyperParams
from pipeline.study.spec import Study

STATISTICS_ROWS = 512
"""The most rows that the statistics are computed from."""
SATURATED = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}
"""Outputs beyond these limits pass on nearly no gradient."""


@dataclass(frozen=True)
class LayerStatistics:
    """A hidden layer's outputs: their mean, standard deviation, share saturated, and share of units that are always 0."""

    mean: float
    std: float
    saturated: float
    dead: float


def activation_statistics(study: Study, data: Dataset) -> CheckResult:
    """Check the activations of every structure and initialisation of the space.

    A fault gives advice and no failure, because a study may search bad initialisations on purpose.
    """
    schemes, faults, metrics = inits(study), {}, {}
    for trial in structures(study):
        for init, layers in zip(schemes, layer_statistics(trial, data, schemes), strict=True):
            name = "-".join([trial.activation, str(init), *["bn"] * trial.batch_norm, *["ln"] * trial.layer_norm])
            metrics[f"check/activation_std/{name}"] = layers[-1].std if layers else 1.0
            if fault := signal_fault(layers, float(data.train.inputs[:STATISTICS_ROWS].std())):
                sentence = f"{kind_of(trial)} from {init} {fault}"
                faults[sentence] = init, trial.batch_norm
    kinds = f" in all {len(metrics)} kinds of networks" if len(metrics) > 1 else ""
    return CheckResult(
        "activations at initialisation",
        passed=True,
        message="; ".join(faults) or f"healthy{kinds}",
        advice=_advice(list(faults.values())),
        metrics=metrics,
    )


def _advice(faulty: list[tuple[Init, bool]]) -> str:
    """Return what to expect of networks with a fault, given by init and batch norm, and what they do not use yet."""
    if not faulty:
        return ""
    init = better_init([init for init, _ in faulty])
    ways = [init, "" if all(batch_norm for _, batch_norm in faulty) else "batch norm"]
    keep = f"; {', or '.join(filter(None, ways))} may keep the signal" if any(ways) else ""
    return f"expect late starts there{keep}"


@np.errstate(all="ignore")  # a signal that overflows is reported, without NumPy's warnings
def layer_statistics(trial: HyperParams, data: Dataset, schemes: list[Init]) -> list[list[LayerStatistics]]:
    """The statistics of each hidden layer for each initialisation, over the first training rows."""
    network = networks(trial, data, schemes, data.train.inputs.dtype.name)
    inputs = data.train.inputs[:STATISTICS_ROWS]
    space = Workspace(len(schemes), len(inputs), inputs.dtype.name)
    signals = forward(network, inputs, space, training=True)
    hidden = [signals[i + 1] for i, layer in enumerate(network.layers) if isinstance(layer, Nonlinearity)]
    return [[_statistics(outputs[k], trial.activation) for outputs in hidden] for k in range(len(schemes))]


def _statistics(outputs: Array, activation: str) -> LayerStatistics:
    """The statistics of one layer's outputs (B, H)."""
    low, high = SATURATED.get(activation, (-np.inf, np.inf))
    beyond = (outputs < low) | (outputs > high)
    dead = (outputs <= 0).all(axis=0).mean() if activation == "relu" else 0.0
    return LayerStatistics(*(float(x) for x in (outputs.mean(), outputs.std(), beyond.mean(), dead)))


def signal_fault(layers: list[LayerStatistics], input_std: float) -> str:
    """The faults of a signal, an empty text without any.

    A fault is a spread below a tenth or above ten times that of the first hidden layer (of the inputs, if there is only
    one), over half of a layer saturated, or over a fifth of its units dead.
    """
    if not layers:
        return ""
    first, last = layers[0].std if len(layers) > 1 else input_std, layers[-1].std
    ratio = last / (first or 1.0) if np.isfinite(last) else np.inf
    saturated, dead = max(layer.saturated for layer in layers), max(layer.dead for layer in layers)
    faults = {
        f"collapses to {ratio:.2g} of its spread": ratio < 0.1,
        f"explodes to {ratio:.2g} times its spread": ratio > 10,
        f"saturates {saturated:.0%} of a layer": saturated > 0.5,
        f"has {dead:.0%} dead units in a layer": dead > 0.2,
    }
    return ", ".join(fault for fault, present in faults.items() if present)
