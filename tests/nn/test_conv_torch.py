"""Convolutional networks compared with PyTorch in float64: outputs, gradients and running statistics; skipped without it."""

import numpy as np
import pytest

from pipeline.nn.conv_text import parse_conv, parse_conv_layer
from pipeline.nn.layers import Workspace
from pipeline.nn.losses import softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, backward, forward, init_network

torch = pytest.importorskip("torch", reason="PyTorch is not installed; these tests compare with it")
F = torch.nn.functional

TRIALS, ROWS, SHAPE, CLASSES = 2, 5, (3, 9, 8), 4
RNG = np.random.default_rng(0)
INPUTS, LABELS = RNG.standard_normal((ROWS, 216)), RNG.integers(0, CLASSES, ROWS)
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
ACTIVATIONS = {"relu": F.relu, "tanh": torch.tanh}


def theirs(network, k, conv, activation, *, norm):
    """Return PyTorch's loss of trial k, its parameters' tensors by layer and name, and the norms' running statistics."""
    params = [
        {name: torch.tensor(values[k], requires_grad=True) for name, values in layer.items() if name != "Wb"}
        for layer in network.params.layers
    ]
    layers, statistics = iter([p for p in params if p]), []
    x, channels = torch.tensor(INPUTS).reshape(ROWS, *SHAPE), SHAPE[0]
    for spec in map(parse_conv_layer, conv):
        p = next(layers)
        weights = p["W"].T.reshape(spec.filters, channels, 3, 3)
        x, channels = F.conv2d(x, weights, p["b"][0], stride=spec.stride, padding=1), spec.filters
        if norm:
            p, mean, variance = next(layers), torch.zeros(channels).double(), torch.ones(channels).double()
            x = F.batch_norm(x, mean, variance, p["gamma"][0], p["beta"][0], training=True, momentum=0.1, eps=1e-5)
            statistics.append(mean)
        x = ACTIVATIONS[activation](x)
        x = F.max_pool2d(x, 2) if spec.pooled else x
    p = next(layers)
    logits = x.mean(dim=(2, 3)) @ p["W"] + p["b"]
    return F.cross_entropy(logits, torch.tensor(LABELS)), params, statistics


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("conv", ["4", "4px5p", "4sx5", "3x4sp"])
def test_a_convolutional_network(conv, activation, norm):
    """Loss, all gradients and running means are PyTorch's, with stride, pooling of odd maps and batch norm."""
    parts = parse_conv(conv)
    architecture = Architecture((216, CLASSES), activation, batch_norm=norm, conv=parts, shape=SHAPE)
    network = init_network(architecture, ["he"] * TRIALS, range(TRIALS), "float64")
    network.params.values += 0.1 * RNG.standard_normal(network.params.values.shape)
    expected = [theirs(network, k, parts, activation, norm=norm) for k in range(TRIALS)]
    workspace, grads = (
        Workspace(TRIALS, ROWS, "float64"),
        network.params.with_values(np.zeros_like(network.params.values)),
    )
    signals = forward(network, INPUTS, workspace, training=True)
    losses, _, probabilities = softmax_cross_entropy(signals[-1], LABELS)
    backward(network, grads, signals, softmax_cross_entropy_gradient(probabilities, np.eye(CLASSES)[LABELS]), workspace)
    for k, (loss, params, statistics) in enumerate(expected):
        loss.backward()
        np.testing.assert_allclose(losses[k].mean(), loss.item(), **CLOSE)
        for ours, tensors in zip(grads.layers, params, strict=True):
            for name, tensor in tensors.items():
                np.testing.assert_allclose(ours[name][k], tensor.grad, **CLOSE)
        means = [arrays["mean"][k, 0] for arrays in network.stats.layers if "mean" in arrays]
        np.testing.assert_allclose(np.concatenate(means or [[]]), np.concatenate(statistics or [[]]), **CLOSE)
