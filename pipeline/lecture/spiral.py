"""The spiral (9): classes that a hidden layer separates and a linear classifier cannot."""

from __future__ import annotations

import math

import numpy as np

from pipeline.data import Dataset, Split
from pipeline.lecture.networks import fit_network
from pipeline.lecture.outcome import Outcome, between, near
from pipeline.nn.layers import Array, Workspace
from pipeline.nn.network import Network, forward
from pipeline.report.figures.plots import Row, decision_regions
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import evaluate, train

POINTS, CLASSES = 100, 3
LINEAR = HyperParams(learning_rate=1.0, l2=1e-3, init=0.01, hidden=())
HIDDEN = HyperParams(learning_rate=1.0, l2=1e-3, init=0.01, hidden=(100,))
WIDE = np.linspace(-1.3, 1.3, 120)


def demonstrate(seed: int, *, linear_epochs: int = 200, hidden_epochs: int = 10000) -> Outcome:
    """Train both classifiers by gradient descent with full batches, as the notes do."""
    rows = spiral(seed)
    data = Dataset(rows, rows, rows, CLASSES)
    planes_of, table, claims = {}, [], []
    for name, trial, epochs in (("linear", LINEAR, linear_epochs), ("100 hidden units", HIDDEN, hidden_epochs)):
        config = TrainConfig(epochs=epochs, batch_size=len(rows))
        first = float(train([trial], data, TrainConfig(epochs=1, batch_size=len(rows))).first_loss[0])
        network = fit_network(trial, data, config)
        loss, right, *_ = evaluate(network, rows)
        row: Row = {"network": name, "first_loss": first, "data_loss": float(loss[0]), "accuracy": float(right.mean())}
        table.append(row)
        planes_of[f"{name}: {right.mean():.0%}"] = _plane(network)
        claims.append(near("9", f"{name}: the first loss is ln 3", first, math.log(3), 0.02))
    linear, hidden = (float(row["accuracy"]) for row in table)
    claims.append(between("9", "linear: the training accuracy (0.49 in the notes)", linear, 0.45, 0.58))
    claims.append(between("9", "100 hidden units: the training accuracy (0.98 in the notes)", hidden, 0.97, 1))
    extent = (float(WIDE[0]), float(WIDE[-1]), float(WIDE[0]), float(WIDE[-1]))
    figure = decision_regions("spiral", "The spiral", planes_of, rows, extent=extent, rows=table)
    return Outcome(claims, table, [figure], f"{CLASSES} arms of {POINTS} points in the plane")


def spiral(seed: int) -> Split:
    """Points (N, 2) on the arms of a spiral, with noise in the angle, labelled by arm (CS231n, case study)."""
    rng = np.random.default_rng(seed)
    radius = np.linspace(0, 1, POINTS)
    arms = [np.linspace(4 * j, 4 * (j + 1), POINTS) + 0.2 * rng.standard_normal(POINTS) for j in range(CLASSES)]
    inputs = np.concatenate([np.stack([radius * np.sin(t), radius * np.cos(t)], axis=1) for t in arms])
    return Split(inputs.astype("float32"), np.repeat(np.arange(CLASSES), POINTS))


def _plane(network: Network) -> Array:
    """The class that the network predicts at every point of a grid."""
    xs, ys = np.meshgrid(WIDE, WIDE)
    inputs = np.stack([xs.ravel(), ys.ravel()], axis=1).astype("float32")
    logits = forward(network, inputs, Workspace(1, len(inputs), "float32"), training=False)[-1]
    return np.asarray(logits[0].argmax(axis=1).reshape(xs.shape))
