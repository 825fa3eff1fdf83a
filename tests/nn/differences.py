"""The gradient of networks along random directions in float64: by backward, and by centred differences of the loss."""

import numpy as np

from pipeline.nn.layers import Workspace
from pipeline.nn.losses import smooth, softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Network, backward, forward, init_network

STEP, DIRECTIONS = 1e-6, 5
RIGHT, WRONG = 1e-6, 1e-3
"""Relative errors (CS231n): a right float64 gradient is below the first, a fault above the second."""


def draw(architecture, trials, dropout):
    """Return networks without parameters at 0 or 1, which could hide faults."""
    network = init_network(architecture, ["he", "xavier", 0.5][:trials], range(trials), "float64", dropout[:trials])
    network.params.values += 0.1 * np.random.default_rng(2).standard_normal(network.params.values.shape)
    return network


def objective(network, inputs, labels, smoothing=0.0, weights=None):
    """Return the mean weighted loss (K,) with smoothed labels, and its gradient over all parameters (K, P)."""
    workspace = Workspace(len(network), len(labels), "float64")
    network.generators = [np.random.default_rng(k) for k in range(len(network))]  # the same dropout every time
    signals = forward(network, inputs, workspace, training=True)
    classes = range(signals[-1].shape[-1])
    by_class = [softmax_cross_entropy(signals[-1].copy(), np.full_like(labels, c))[0] for c in classes]
    losses, _, probabilities = softmax_cross_entropy(signals[-1], labels)
    share = np.full((len(network), 1, 1), smoothing)
    upstream = softmax_cross_entropy_gradient(probabilities, smooth(np.eye(len(classes))[labels], share), 1.0, weights)
    grads = network.params.with_values(np.zeros_like(network.params.values))
    backward(network, grads, signals, upstream, workspace)
    by_row = (1 - smoothing) * losses + smoothing * np.mean(by_class, axis=0)
    return (by_row if weights is None else by_row * weights).mean(axis=1), grads.values


def moved(network, step):
    """Return copies of the networks with their parameters moved by a step; statistics are copied, since forward moves them."""
    params = network.params.with_values(network.params.values + step)
    return Network(network.layers, params, network.stats.select([*range(len(network))]))


def greatest_error(network, inputs, labels, smoothing=0.0, weights=None):
    """Return |a - n| / (|a| + |n|) of the slopes along random directions, by medians over them; the greatest of the trials.

    The step is so small that kinks are rarely crossed, and the medians leave out those that are.
    """
    directions = np.random.default_rng(3).standard_normal((DIRECTIONS, *network.params.values.shape))
    analytic = (objective(moved(network, 0), inputs, labels, smoothing, weights)[1] * directions).sum(axis=-1)
    ends = [
        [objective(moved(network, sign * STEP * d), inputs, labels, smoothing, weights)[0] for sign in (1, -1)]
        for d in directions
    ]
    numeric = np.array([ahead - behind for ahead, behind in ends]) / (2 * STEP)
    assert np.all(np.median(np.abs(numeric), axis=0) > 1e-3)  # there is a slope to be right about
    error = np.median(np.abs(analytic - numeric), axis=0) / np.median(np.abs(analytic) + np.abs(numeric), axis=0)
    return error.max()
