"""Gradients, checked along random directions in float64."""

import numpy as np
import pytest

from pipeline.nn.layers import Workspace
from pipeline.nn.losses import softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, Network, backward, forward, init_network

STEP = 1e-5
ROWS, CLASSES, FEATURES = 12, 5, 7


def losses_and_gradient(network, inputs, labels):
    """The mean loss of each trial, and its gradient over all parameters (K, P)."""
    space = Workspace(len(network.params.values), len(labels), "float64")
    signals = forward(network, inputs, space, training=True)
    losses, _, probabilities = softmax_cross_entropy(signals[-1], labels)
    grads = network.params.with_values(np.zeros_like(network.params.values))
    upstream = softmax_cross_entropy_gradient(probabilities, np.eye(CLASSES)[labels])
    backward(network, grads, signals, upstream, space)
    return losses.mean(axis=1), grads.values


def moved(network, direction):
    """The same networks with their parameters moved."""
    return Network(network.layers, network.params.with_values(network.params.values + direction), network.stats)


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_backward_agrees_with_central_differences(activation, batch_norm, trials):
    """The slope of the loss along a random direction is the gradient's, for every trial, to 1e-6."""
    rng = np.random.default_rng(1)
    architecture = Architecture((FEATURES, 9, 8, CLASSES), activation, batch_norm)
    network = init_network(architecture, ["he", "xavier", 0.5][:trials], range(trials), "float64")
    network.params.values += 0.1 * rng.standard_normal(network.params.values.shape)
    inputs, labels = rng.standard_normal((ROWS, FEATURES)), rng.integers(0, CLASSES, ROWS)
    _, gradient = losses_and_gradient(network, inputs, labels)
    direction = rng.standard_normal(gradient.shape)
    ahead, behind = (
        losses_and_gradient(moved(network, sign * STEP * direction), inputs, labels)[0] for sign in (1, -1)
    )
    numeric, analytic = (ahead - behind) / (2 * STEP), (gradient * direction).sum(axis=1)
    assert np.all(np.abs(numeric - analytic) <= 1e-6 * (np.abs(numeric) + np.abs(analytic)))
