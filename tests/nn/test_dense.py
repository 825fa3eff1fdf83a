"""Dense layers: the memory layout of their arrays, and that it does not change their results."""

import numpy as np
import pytest

from pipeline.nn.layers import Dense, Workspace
from pipeline.nn.network import with_ones
from pipeline.nn.parameters import Parameters

TRIALS, ROWS, FAN_IN, FAN_OUT = 3, 8, 5, 4
RNG = np.random.default_rng(0)


def drawn(layer):
    """Return random parameters of a dense layer."""
    params = Parameters.zeros([(layer.param_shapes, layer.param_views)], TRIALS, "float64")
    params.values[:] = RNG.standard_normal(params.values.shape)
    return params


def test_weights_and_biases_are_views_of_the_flat_values():
    """W and b are the parts of Wb, and changing them changes the flat values."""
    params = drawn(Dense(0, FAN_IN, FAN_OUT))
    (arrays,) = params.layers
    np.testing.assert_array_equal(np.concatenate([arrays["W"], arrays["b"]], axis=1), arrays["Wb"])
    assert arrays["Wb"].shape == (TRIALS, FAN_IN + 1, FAN_OUT)
    arrays["W"][:], arrays["b"][:] = 1, 2
    assert np.count_nonzero(params.values == 1) == TRIALS * FAN_IN * FAN_OUT
    assert np.count_nonzero(params.values == 2) == TRIALS * FAN_OUT


@pytest.mark.parametrize("limit", [0, 10**6], ids=["as they lie", "row by row"])
def test_the_first_layer_is_its_definition_for_any_layout_of_its_inputs(limit, monkeypatch):
    """Z = X·W + b, dW = Xᵀ·dZ and db = Σ dZ, for products that count as small and as large."""
    monkeypatch.setattr("pipeline.nn.dense.SMALL_PRODUCT", limit)
    layer = Dense(0, FAN_IN, FAN_OUT, first=True)
    params, grads = drawn(layer), drawn(layer)
    inputs, upstream = RNG.standard_normal((ROWS, FAN_IN)), RNG.standard_normal((TRIALS, ROWS, FAN_OUT))
    workspace, (arrays,), (gradients,) = Workspace(TRIALS, ROWS, "float64"), params.layers, grads.layers
    batch = with_ones(inputs, "float64")
    outputs = layer.forward(arrays, batch, workspace, training=True)
    np.testing.assert_allclose(outputs, inputs @ arrays["W"] + arrays["b"], rtol=1e-12)
    layer.backward(arrays, gradients, batch, upstream.copy(), workspace)
    np.testing.assert_allclose(gradients["W"], np.einsum("bd,kbh->kdh", inputs, upstream), rtol=1e-12)
    np.testing.assert_allclose(gradients["b"], upstream.sum(axis=1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("features", [7, 1024, 3072], ids=["short rows", "rows of one page", "rows of three pages"])
def test_a_minibatch_is_transposed_for_rows_of_any_length(features):
    """Every row and its one are laid out with the minibatch innermost, in new memory and in memory that is passed."""
    inputs = RNG.standard_normal((21, features), dtype="float32")
    memory = np.empty(25 * (features + 1), "float32")
    for batch in (with_ones(inputs, "float32"), with_ones(inputs, "float32", memory)):
        np.testing.assert_array_equal(batch, np.column_stack([inputs, np.ones(21)]))
        assert batch.flags.f_contiguous
    assert np.shares_memory(batch, memory)
