"""Predictions from the state of a fitted classifier: its attributes, or those that were saved.

Registered models carry this module and its imports, so it does not import scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from pipeline.data.rows import dense
from pipeline.data.transform import Transform
from pipeline.nn.network import Architecture, Network, forward, make_network
from pipeline.nn.workspace import EVALUATION_ROWS, Array, Workspace

NUMBERS = ("float64", "float32")
"""The dtypes of rows that are not converted."""

State = Mapping[str, Any]
"""The fitted attributes of a classifier, by name."""


def probabilities(state: State, rows: Any) -> Array:
    """Return the probability of each class, (N, C), for rows (N, D), which may be sparse."""
    return np.asarray(softmax(all_logits(state, rows), axis=1))


def log_probabilities(state: State, rows: Any) -> Array:
    """Return the logarithms of :func:`probabilities`, finite even where a probability is 0 in float64."""
    return np.asarray(log_softmax(all_logits(state, rows), axis=1))


def all_logits(state: State, rows: Any) -> Array:
    """Return the logits (N, C) of rows (N, D) in float64, computed for ``EVALUATION_ROWS`` of them at a time."""
    network, transform = network_of(state), transform_of(state)
    starts = range(0, rows.shape[0], EVALUATION_ROWS)
    logits = [logits_of(network, transform(dense(rows[start : start + EVALUATION_ROWS]))) for start in starts]
    return np.concatenate(logits).astype("float64")


def logits_of(network: Network, rows: Array) -> Array:
    """Return the logits (B, C) of at most ``EVALUATION_ROWS`` rows (B, D), computed in a batch of that size.

    The number of rows does not change the bits of a logit. The position of a row in the batch can: some BLAS kernels,
    such as OpenBLAS's for Haswell, add the products of the last rows in another order.
    """
    inputs = np.zeros((EVALUATION_ROWS, rows.shape[1]), network.params.values.dtype)
    inputs[: len(rows)] = rows
    workspace = Workspace(1, EVALUATION_ROWS, inputs.dtype.name)
    return np.array(forward(network, inputs, workspace, training=False)[-1][0, : len(rows)])


def network_of(state: State) -> Network:
    """Return the trained network, K = 1, built from ``built_``, a :data:`pipeline.estimator.settings.Built`."""
    built = state["built_"]
    architecture = Architecture(
        sizes=(input_size(state), *built["hidden"], len(state["classes_"])),
        activation=built["activation"],
        batch_norm=built["batch_norm"],
        layer_norm=built["layer_norm"],
        dropout=built["dropout"] > 0,
        conv=tuple(built["conv"]),
        shape=tuple(built["image_shape"]),
    )
    network = make_network(architecture, 1, built["dtype"])
    network.params.values[0], network.stats.values[0] = state["parameters_"], state["statistics_"]
    return network


def transform_of(state: State) -> Transform:
    """Return the preprocessing of the inputs."""
    return Transform(state["offset_"], state["scale_"], state["basis_"])


def input_size(state: State) -> int:
    """Return the number of inputs of the network, after preprocessing."""
    basis = state["basis_"]
    return int(state["n_features_in_"] if basis is None else basis.shape[1])
