"""Activations: their values and slopes at known points, and their outputs on noise."""

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import Maxout, PReLU, Workspace

ELEMENTWISE = [name for name, activation in ACTIVATIONS.items() if activation]


def apply(name, values):
    """Return f and f' of some numbers, in float64."""
    z = np.array(values, float)
    slope = np.empty(z.shape, bool if ACTIVATIONS[name].binary else float)
    ACTIVATIONS[name].forward(z, slope)
    return z, slope.astype(float)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_slopes_agree_with_differences(name):
    """Away from kinks, f' agrees with differences of f to 1e-7."""
    points = np.concatenate([np.linspace(-6, -0.01, 50), np.linspace(0.01, 6, 50)])
    numeric = (apply(name, points + 1e-5)[0] - apply(name, points - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(apply(name, points)[1], numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "slopes"),
    [
        ("sigmoid", [4.54e-5, 0.25, 4.54e-5]),
        ("tanh", [8.24e-9, 1, 8.24e-9]),
        ("relu", [0, 0, 1]),
        ("leaky_relu", [0.01, 0.01, 1]),
        ("elu", [4.54e-5, 1, 1]),
    ],
)
def test_slopes_at_the_lectures_points(name, slopes):
    """At -10, 0 and 10: where sigmoid and tanh saturate, and where a ReLU is off."""
    np.testing.assert_allclose(apply(name, [-10, 0, 10])[1], slopes, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sigmoid", [0.1192029220, 0.2689414214, 0.7310585786, 0.8807970780]),
        ("leaky_relu", [-0.02, -0.01, 1, 2]),
        ("elu", [-0.8646647168, -0.6321205588, 1, 2]),
        ("gelu", [-0.0454023059, -0.1588080094, 0.8411919906, 1.9545976941]),
        ("silu", [-0.2384058440, -0.2689414214, 0.7310585786, 1.7615941560]),
    ],
)
def test_values_as_published(name, values):
    """At -2, -1, 1 and 2, to nine digits; GELU is its tanh form (Hendrycks and Gimpel 2016), as in GPT-2."""
    np.testing.assert_allclose(apply(name, [-2, -1, 1, 2])[0], values, rtol=0, atol=1e-9)


def test_prelu_begins_at_a_quarter():
    """The initial slope below 0 is that of He et al. (2015)."""
    assert PReLU(0, 3).initial_values == {"a": 0.25}


def test_sigmoid_is_a_scaled_tanh():
    """2·σ(2x) - 1 = tanh(x), and the greatest slope of σ is a quarter."""
    x = np.linspace(-5, 5, 101)
    assert np.abs(2 * apply("sigmoid", 2 * x)[0] - 1 - apply("tanh", x)[0]).max() < 1e-15
    assert apply("sigmoid", x)[1].max() == 0.25


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_no_activation_overflows_or_hides_a_nan(name):
    """Inputs of ±1e30 give finite outputs, and NaN stays NaN, so that divergence is detected."""
    with np.errstate(over="ignore", invalid="ignore"):
        outputs, _ = apply(name, [-1e30, 1e30, np.nan])
    assert np.isfinite(outputs[:2]).all()
    assert np.isnan(outputs[2])


MEANS = {"sigmoid": 0.5, "tanh": 0.0, "relu": 0.399, "leaky_relu": 0.395, "prelu": 0.3, "elu": 0.161, "maxout": 0.564}
"""The mean output on N(0, 1)."""


def outputs_on_noise(name):
    """Return the outputs for 200,000 numbers from N(0, 1)."""
    noise = np.random.default_rng(0).standard_normal((1, 2, 200_000))
    if name in ("prelu", "maxout"):
        workspace = Workspace(1, noise.shape[-1] // 2, "float64")
        layer = PReLU(0, 2) if name == "prelu" else Maxout(0, 1)
        rows = noise.reshape(1, 2, -1, 2)[0].swapaxes(0, 1)[None, :, 0]
        return layer.forward({"a": np.full((1, 1, 2), 0.25)}, np.ascontiguousarray(rows), workspace, training=True)
    return apply(name, noise)[0]


@pytest.mark.parametrize("name", MEANS)
def test_outputs_of_noise_have_the_known_mean(name):
    """The mean output is the published one, such as 1/√(2π) for ReLU and 1/√π for maxout of two pieces."""
    assert outputs_on_noise(name).mean() == pytest.approx(MEANS[name], abs=0.01)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 4, 5)])
def test_a_relu_is_the_same_in_any_shape_and_order_of_memory(shape):
    """It gives max(0, z), the slope 1 where z > 0, and keeps NaN, for any shape, in C and in Fortran order."""
    values = np.random.default_rng(0).standard_normal(shape)
    values[..., :1] = np.nan
    for z in (values.copy(), values.T.copy().T):
        slope = np.empty_like(z, bool)
        ACTIVATIONS["relu"].forward(z, slope)
        np.testing.assert_array_equal(z, np.where(values < 0, 0, values))
        np.testing.assert_array_equal(slope, values > 0)
