"""Initialisation: the scale of each scheme, and the signals of ten layers."""

import numpy as np
import pytest

from pipeline.nn.initializers import INITIALIZERS, Initializer, draw_weights
from pipeline.nn.layers import Nonlinearity, Workspace
from pipeline.nn.network import Architecture, forward, init_network

SCALES = {
    "zeros": 0.0,
    "small": 0.01,
    "large": 1.0,
    "xavier": (1 / 400) ** 0.5,
    "glorot": (2 / 1000) ** 0.5,
    "he": (2 / 400) ** 0.5,
    "orthogonal": (1 / 600) ** 0.5,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_have_the_scale_of_their_scheme(name):
    """The standard deviation of 400 x 600 weights is the formula's, within one per cent, and their mean is 0."""
    weights = draw_weights(np.random.default_rng(0), name, 400, 600)
    assert weights.std() == pytest.approx(SCALES[name], rel=0.01)
    assert INITIALIZERS[name](400, 600) == pytest.approx(SCALES[name])
    assert abs(weights.mean()) <= 0.01 * SCALES[name]


@pytest.mark.parametrize("name", ["glorot", 0.1, "orthogonal"])
def test_a_factor_and_a_distribution_keep_the_rule(name):
    """Uniform weights have the rule's standard deviation and a sharp end; a factor multiplies the same draws."""
    scale = SCALES.get(name, name)
    plain, doubled, uniform = (
        draw_weights(np.random.default_rng(0), Initializer(name, *settings), 400, 600)
        for settings in ((), (2.0,), (1.0, "uniform"))
    )
    np.testing.assert_array_equal(doubled, 2 * plain)
    assert uniform.std() == pytest.approx(scale, rel=0.01)
    if name == "orthogonal":
        np.testing.assert_array_equal(uniform, plain)
    else:
        assert 0.99 * 3**0.5 * scale < np.abs(uniform).max() <= 3**0.5 * scale < np.abs(plain).max()


def test_a_number_is_the_standard_deviation():
    """A number as initialisation scales the same normal draws."""
    one, two = (draw_weights(np.random.default_rng(0), scale, 30, 20) for scale in (0.1, 0.2))
    np.testing.assert_array_equal(2 * one, two)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (20, 20)])
def test_orthogonal_weights_are_orthonormal(shape):
    """The rows, or the columns if those are fewer, are orthonormal, and no sign is preferred."""
    weights = draw_weights(np.random.default_rng(0), "orthogonal", *shape)
    gram = weights.T @ weights if shape[0] >= shape[1] else weights @ weights.T
    np.testing.assert_allclose(gram, np.eye(20), atol=1e-12)
    assert 0.4 < (weights > 0).mean() < 0.6


def test_a_trial_draws_the_same_weights_alone():
    """A network's weights depend on its own scheme and seed only."""
    architecture = Architecture((7, 5, 3), "relu")
    group = init_network(architecture, ["he", "orthogonal", 0.1], [4, 5, 6])
    for k, (init, seed) in enumerate(zip(["he", "orthogonal", 0.1], [4, 5, 6], strict=True)):
        alone = init_network(architecture, [init], [seed])
        np.testing.assert_array_equal(group.params.values[k], alone.params.values[0])


def stack(activation, init, inputs, **structure):
    """Return the outputs of each of ten layers of 500 units."""
    network = init_network(Architecture((500,) * 11 + (10,), activation, **structure), [init], [0], inputs.dtype.name)
    workspace = Workspace(1, len(inputs), inputs.dtype.name)
    signals = forward(network, inputs, workspace, training=True)
    return [signals[i + 1][0] for i, layer in enumerate(network.layers) if isinstance(layer, Nonlinearity)]


@pytest.fixture(scope="module")
def noise():
    """1000 rows of 500 from N(0, 1)."""
    return np.random.default_rng(0).standard_normal((1000, 500)).astype("float32")


LECTURE = [0.213081, 0.047551, 0.010630, 0.002378, 0.000532, 0.000119]
"""The standard deviations that the lecture prints for tanh and weights of 0.01, of the first six layers."""


def test_small_weights_collapse(noise):
    """tanh with 0.01: each layer keeps 0.01·√500 of the one before, as the lecture prints."""
    stds = [h.std() for h in stack("tanh", "small", noise)]
    assert stds[:6] == pytest.approx(LECTURE, rel=0.02)
    assert stds[-1] < 1e-6


def test_large_weights_saturate(noise):
    """tanh with 1.0: all layers have standard deviation 0.982, and nine in ten units are beyond 0.99."""
    for h in stack("tanh", "large", noise):
        assert 0.980 < h.std() < 0.984
        assert 0.89 < (np.abs(h) > 0.99).mean() < 0.92


def test_xavier_suits_tanh(noise):
    """tanh with 1/√in: standard deviations fall from 0.628 to 0.228, and under one per cent of units are saturated."""
    layers = stack("tanh", "xavier", noise)
    stds = [h.std() for h in layers]
    assert stds[0] == pytest.approx(0.628, abs=0.005)
    assert stds[-1] == pytest.approx(0.228, abs=0.006)
    assert stds == sorted(stds, reverse=True)
    assert all((np.abs(h) > 0.99).mean() < 0.01 for h in layers)


def test_he_suits_relu_and_xavier_does_not(noise):
    """ReLU loses a factor of √2 a layer with 1/√in, and keeps its spread with √(2/in)."""
    xavier, he = ([h.std() for h in stack("relu", init, noise)] for init in ("xavier", "he"))
    assert 0.012 < xavier[-1] < 0.040
    assert np.polyfit(range(10), np.log(xavier), 1)[0] == pytest.approx(-0.347, abs=0.05)
    assert 0.65 < np.exp(np.mean(np.log(he))) < 1.05
    assert 0.5 < he[-1] / he[0] < 1.6


@pytest.mark.parametrize(("activation", "std"), [("tanh", 0.628), ("relu", 0.585)])
def test_batch_norm_removes_the_effect_of_the_initialisation(activation, std, noise):
    """With batch norm, all ten layers have the same standard deviation for any scale of the weights."""
    for init in ("small", "large", "xavier", "he"):
        assert [h.std() for h in stack(activation, init, noise, batch_norm=True)] == pytest.approx(
            [std] * 10, abs=0.005
        )
