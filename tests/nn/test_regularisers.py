"""Regularisers: limits above and below the norms, and biases, which do not change."""

import numpy as np

from pipeline.nn.network import Architecture, init_network
from pipeline.nn.regularisers import Regularisers, clip_norm, limit_norms


def draw():
    """Return the parameters of three networks."""
    return init_network(Architecture((6, 5, 4), "relu"), ["large"] * 3, range(3), "float64").params


def test_a_long_gradient_is_scaled_to_its_limit():
    """Its direction stays; shorter gradients, zeros and those without a limit keep their bits."""
    grads = draw()
    grads.values[1] = 0
    before = grads.values.copy()
    clip_norm(grads, np.array([[0.5], [0.5], [np.inf]]))
    norm = np.linalg.norm(before[0])
    np.testing.assert_allclose(grads.values[0], before[0] * 0.5 / norm, rtol=1e-12)
    np.testing.assert_array_equal(grads.values[1:], before[1:])


def test_the_weights_into_a_unit_are_kept_within_their_norm():
    """Columns longer than the limit are scaled to it; the others and all biases do not change."""
    params = draw()
    params.layers[0]["b"][:] = 9
    before = params.select(slice(None)).with_values(params.values.copy())
    limit_norms(params, np.array([[2.0], [1e9], [0.1]]))
    for k, limit in enumerate([2.0, 1e9, 0.1]):
        for now, was in zip(params.weights, before.weights, strict=True):
            long = np.linalg.norm(was[k], axis=0) > limit
            np.testing.assert_allclose(np.linalg.norm(now[k][:, long], axis=0), limit, rtol=1e-12)
            np.testing.assert_array_equal(now[k][:, ~long], was[k][:, ~long])
    np.testing.assert_array_equal(params.layers[0]["b"], 9)


def test_the_data_gradient_is_clipped_and_not_the_penalty():
    """L1's gradient is added after clipping, and both are multiplied by the optimizer's scale."""
    params, grads = draw(), draw()
    scale = np.full((3, 1), 0.1)
    both = Regularisers(clip=np.full((3, 1), 1.0), l1=np.full((3, 1), 0.01))
    both.before(params, grads, scale)
    added = grads.values - draw().values * 0.1 / np.linalg.norm(draw().values, axis=1, keepdims=True)
    expected = draw().with_values(np.zeros_like(params.values))
    for gradient, weights in zip(expected.weights, params.weights, strict=True):
        gradient[:] = 0.001 * np.sign(weights)
    np.testing.assert_allclose(added, expected.values, atol=1e-12)


def test_without_regularisers_nothing_changes():
    """Without limits, nothing changes; selecting trials keeps their limits."""
    params, grads = draw(), draw()
    nothing = Regularisers()
    nothing.before(params, grads, np.ones((3, 1)))
    nothing.after(params)
    np.testing.assert_array_equal(params.values, grads.values)
    assert nothing.select(np.array([True, False, True])) == nothing
    np.testing.assert_array_equal(Regularisers(clip=np.arange(3.0)[:, None]).select(np.array([2])).clip, [[2.0]])
