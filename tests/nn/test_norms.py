"""Norms: the statistics of their outputs, and the running statistics."""

import numpy as np
import pytest

from pipeline.nn.layers import BatchNorm, LayerNorm, Workspace
from pipeline.nn.parameters import Parameters

ROWS, WIDTH, TRIALS = 200, 6, 3
EPSILON = 1e-5


@pytest.fixture
def inputs():
    """(K, B, H) of standard deviation 5 and mean 12."""
    return 12 + 5 * np.random.default_rng(0).standard_normal((TRIALS, ROWS, WIDTH))


def params_of(layer, gamma=1.0, beta=0.0):
    """Return γ and β for every trial and feature, and initial statistics."""
    layouts = [(layer.param_shapes, layer.param_views)], [(layer.stat_shapes, layer.stat_views)]
    params, stats = (Parameters.zeros(layout, TRIALS, "float64").layers[0] for layout in layouts)
    arrays = {**params, **stats}
    for name, value in {**layer.initial_values, "gamma": gamma, "beta": beta}.items():
        arrays[name][:] = value
    return arrays


def run(layer, params, inputs, *, training=True):
    """Return the outputs (K, B, H)."""
    workspace = Workspace(TRIALS, inputs.shape[1], "float64")
    return layer.forward(params, inputs.copy(), workspace, training=training).copy()


@pytest.mark.parametrize(("layer", "axis"), [(BatchNorm(0, WIDTH), 1), (LayerNorm(0, WIDTH), 2)])
def test_outputs_have_mean_beta_and_standard_deviation_gamma(layer, axis, inputs):
    """Batch norm over the rows of a minibatch, layer norm over the features of a row; the std is γ·√(v / (v + ε))."""
    outputs = run(layer, params_of(layer, gamma=3.0, beta=-2.0), inputs)
    variance = inputs.var(axis=axis)
    np.testing.assert_allclose(outputs.mean(axis=axis), -2, atol=1e-8)
    np.testing.assert_allclose(outputs.std(axis=axis), 3 * np.sqrt(variance / (variance + EPSILON)), rtol=1e-10)


def test_a_variance_below_epsilon_is_not_amplified():
    """If all rows are nearly equal, the output's std is √(v / (v + ε)), not 1."""
    inputs = 1e-4 * np.random.default_rng(0).standard_normal((TRIALS, ROWS, WIDTH))
    assert run(BatchNorm(0, WIDTH), params_of(BatchNorm(0, WIDTH)), inputs).std() < 0.05


def test_batch_norm_can_learn_to_do_nothing(inputs):
    """γ = √(variance + ε) and β = mean return the inputs, up to rounding."""
    layer = BatchNorm(0, WIDTH)
    params = params_of(layer)
    params["gamma"][:] = np.sqrt(inputs.var(axis=1, keepdims=True) + EPSILON)
    params["beta"][:] = inputs.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(run(layer, params, inputs), inputs, atol=1e-10)


def test_running_statistics_follow_the_minibatches(inputs):
    """Each training step moves them a tenth of the way to the minibatch's mean and variance; testing moves nothing."""
    layer, params = BatchNorm(0, WIDTH), params_of(BatchNorm(0, WIDTH))
    run(layer, params, inputs)
    np.testing.assert_allclose(params["mean"], 0.1 * inputs.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(params["variance"], 0.9 + 0.1 * inputs.var(axis=1, keepdims=True))
    before = {name: value.copy() for name, value in params.items()}
    run(layer, params, inputs, training=False)
    assert all(np.array_equal(params[name], before[name]) for name in params)


def test_testing_uses_the_running_statistics(inputs):
    """After training on one distribution, rows of another are normalised by the first one's statistics."""
    layer, params = BatchNorm(0, WIDTH), params_of(BatchNorm(0, WIDTH), gamma=2.0, beta=1.0)
    for _ in range(200):
        run(layer, params, inputs)
    expected = 1 + 2 * (inputs + 3 - inputs.mean(axis=1, keepdims=True)) / np.sqrt(
        inputs.var(axis=1, keepdims=True) + EPSILON
    )
    np.testing.assert_allclose(run(layer, params, inputs + 3, training=False), expected, rtol=1e-6, atol=1e-7)


def test_a_test_row_does_not_depend_on_the_other_rows(inputs):
    """In test mode, a row's output does not depend on the other rows; in training it does."""
    layer, params = BatchNorm(0, WIDTH), params_of(BatchNorm(0, WIDTH))
    some = inputs[:, :10]
    np.testing.assert_array_equal(
        run(layer, params, inputs, training=False)[:, :10], run(layer, params, some, training=False)
    )
    assert np.abs(run(layer, params, inputs)[:, :10] - run(layer, params, some)).max() > 0.1


def test_layer_norm_is_the_same_in_training_and_testing(inputs):
    """It has no running statistics."""
    layer = LayerNorm(0, WIDTH)
    trained, tested = (run(layer, params_of(layer), inputs, training=training) for training in (True, False))
    np.testing.assert_array_equal(trained, tested)
    assert not layer.stat_shapes
