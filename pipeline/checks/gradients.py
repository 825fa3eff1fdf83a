"""The gradient check: the gradient of every parameter array equals differences of the loss, in float64."""

from __future__ import annotations

import numpy as np

from pipeline.checks import CheckResult
from pipeline.checks.probe_networks import kind_of, networks, structures
from pipeline.data import Dataset, Split
from pipeline.nn.layers import Array, Workspace
from pipeline.nn.losses import softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Network, backward, forward
from pipeline.nn.parameters import Parameters
from pipeline.study.hparams import HyperParams
from pipeline.study.spec import Study

CHECKED_ROWS, DIRECTIONS = 12, 3
STEPS = (1e-6, 1e-7)
"""Steps of the differences; the smaller error counts. A long step has less rounding error, a short one crosses fewer kinks."""
TOLERANCE = 1e-5
"""A right float64 gradient has an error below 1e-6, a wrong one above 1e-3 (median of three directions: one may cross a kink)."""
FLOOR = 1e-4
"""Slopes far below it count as 0, such as those of biases before batch norm; differences are exact to 1e-10 of the loss."""


def gradient_check(study: Study, data: Dataset) -> CheckResult:
    """Check each parameter array of each structure along random directions (CS231n's centred differences)."""
    errors: dict[str, float] = {}
    for trial in structures(study):
        for name, error in gradient_errors(trial, data).items():
            place = f"{name} of {kind_of(trial)}"
            errors[place] = max(error, errors.get(place, 0))
    worst = max(errors, key=errors.__getitem__)
    passed = errors[worst] <= TOLERANCE
    message = f"relative error at most {errors[worst]:.1e}, in {worst}; {len(errors)} kinds of parameters"
    advice = "" if passed else f"look at the backward pass of {worst}"
    return CheckResult("gradient", passed, message, advice, {"check/gradient_error": errors[worst]})


def gradient_errors(trial: HyperParams, data: Dataset) -> dict[str, float]:
    """The relative errors of the gradients of all parameter arrays, by names such as ``W0``.

    An error is |a - n| / (|a| + |n|); NaN counts as 1. Each direction changes one array, and is one of K networks that are evaluated together.
    """
    rows = Split(data.train.inputs[:CHECKED_ROWS].astype("float64"), data.train.labels[:CHECKED_ROWS])
    network = networks(trial, data, ["he"], "float64")
    rng = np.random.default_rng(0)
    network.params.values += 0.1 * rng.standard_normal(
        network.params.values.shape
    )  # moves biases, γ and β away from 0 and 1
    names, directions = _directions(network.params, rng)
    loss, gradient = loss_and_gradient(network, rows, data.classes)
    analytic = (gradient * directions).sum(axis=1)
    floor = FLOOR * max(1.0, float(loss[0]))
    errors = [
        _relative_error(analytic, _slopes(network, directions, step, rows, data.classes), floor) for step in STEPS
    ]
    medians = np.median(np.min(errors, axis=0).reshape(-1, DIRECTIONS), axis=1)
    return dict(zip(names, medians.tolist(), strict=True))


def _slopes(network: Network, directions: Array, step: float, rows: Split, classes: int) -> Array:
    """The slope of the loss along each direction, by a centred difference."""
    ahead, behind = (loss_and_gradient(_moved(network, sign * step * directions), rows, classes)[0] for sign in (1, -1))
    return np.asarray((ahead - behind) / (2 * step))


def _relative_error(analytic: Array, numeric: Array, floor: float) -> Array:
    error: Array = np.abs(analytic - numeric) / np.maximum(np.abs(analytic) + np.abs(numeric), floor)
    return np.asarray(np.nan_to_num(error, nan=1.0))


def _directions(params: Parameters, rng: np.random.Generator) -> tuple[list[str], Array]:
    """The names of the arrays, and :data:`DIRECTIONS` random directions (K, P) along each, in the order of the arrays."""
    masks = []
    for layer, name, _ in params.names:
        mask = params.with_values(np.zeros_like(params.values[:1]))
        mask.layers[layer][name][:] = 1
        masks.append(mask.values)
    repeated = np.repeat(np.concatenate(masks), DIRECTIONS, axis=0)
    return [f"{name}{layer}" for layer, name, _ in params.names], repeated * rng.standard_normal(repeated.shape)


def _moved(network: Network, step: Array) -> Network:
    copies = network.select(np.zeros(len(step), int))
    copies.params.values += step
    return copies


def loss_and_gradient(network: Network, rows: Split, classes: int) -> tuple[Array, Array]:
    """The mean loss (K,) of each network, and its gradient (K, P) with respect to all parameters."""
    space = Workspace(len(network.params.values), len(rows), "float64")
    signals = forward(network, rows.inputs, space, training=True)
    losses, _, probabilities = softmax_cross_entropy(signals[-1], rows.labels)
    grads = network.params.with_values(np.zeros_like(network.params.values))
    upstream = softmax_cross_entropy_gradient(probabilities, np.eye(classes)[rows.labels])
    backward(network, grads, signals, upstream, space)
    return losses.mean(axis=1), grads.values
