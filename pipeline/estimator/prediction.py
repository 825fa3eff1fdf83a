"""What a trained network predicts, from the state of a fitted classifier: its attributes, or what was saved of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from pipeline.data.transform import Transform
from pipeline.nn.network import Architecture, Network, forward, make_network
from pipeline.nn.workspace import EVALUATION_ROWS, Array, Workspace

NUMBERS = ("float64", "float32")
"""The types of rows that are taken as they are."""

State = Mapping[str, Any]


def probabilities(state: State, rows: Array) -> Array:
    """The probability of each class for each of N rows (N, D), (N, C)."""
    network, transform = network_of(state), transform_of(state)
    starts = range(0, len(rows), EVALUATION_ROWS)
    logits = [logits_of(network, transform(rows[start : start + EVALUATION_ROWS])) for start in starts]
    return np.asarray(softmax(np.concatenate(logits).astype("float64"), axis=1))


def logits_of(network: Network, rows: Array) -> Array:
    """The logits (B, C) of at most ``EVALUATION_ROWS`` rows (B, D), computed in a batch of that size.

    The number of rows does not change their bits. Their places in the batch can: some BLAS kernels, OpenBLAS's for
    Haswell among them, add the products of the last rows in another order.
    """
    inputs = np.zeros((EVALUATION_ROWS, rows.shape[1]), network.params.values.dtype)
    inputs[: len(rows)] = rows
    workspace = Workspace(1, EVALUATION_ROWS, inputs.dtype.name)
    return np.array(forward(network, inputs, workspace, training=False)[-1][0, : len(rows)])


def network_of(state: State) -> Network:
    """The trained network, K = 1, built as ``built_`` says: :data:`pipeline.estimator.built.Built`."""
    built = state["built_"]
    architecture = Architecture(
        sizes=(width(state), *built["hidden"], len(state["classes_"])),
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
    """What inputs go through before the network."""
    return Transform(state["offset_"], state["scale_"], state["basis_"])


def width(state: State) -> int:
    """The number of the network's inputs, after preprocessing."""
    basis = state["basis_"]
    return int(state["n_features_in_"] if basis is None else basis.shape[1])
