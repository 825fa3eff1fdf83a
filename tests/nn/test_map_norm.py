"""Batch norm of maps."""

import numpy as np
import pytest

from pipeline.nn.layers import MapNorm, Workspace


def signal(images):
    """Return images (N, C, H, W) as the signal of one trial."""
    return np.ascontiguousarray(images.reshape(1, len(images), -1).swapaxes(1, 2)).swapaxes(1, 2)


@pytest.mark.parametrize("piece", [1, 2**18])
def test_a_map_is_normed_over_pixels_and_minibatch(piece, monkeypatch):
    """Each map has mean β and standard deviation γ over its pixels in all rows; testing uses the running statistics."""
    monkeypatch.setattr("pipeline.nn.map_norm.PIECE_BYTES", piece)
    layer, workspace = MapNorm(0, 3, pixels=20), Workspace(1, 50, "float64")
    images = 5 + 3 * np.random.default_rng(0).standard_normal((50, 3, 4, 5))
    params = {"gamma": np.full((1, 1, 3), 2.0), "beta": np.full((1, 1, 3), -1.0), "moments": np.ones((1, 2, 3))}
    outputs = layer.forward(params, signal(images), workspace, training=True)[0].reshape(50, 3, -1)
    np.testing.assert_allclose(outputs.mean(axis=(0, 2)), -1, atol=1e-12)
    np.testing.assert_allclose(outputs.std(axis=(0, 2)), 2, rtol=1e-5)
    mean, variance = images.mean(axis=(0, 2, 3)), images.var(axis=(0, 2, 3))
    np.testing.assert_allclose(params["moments"][0], [0.9 + 0.1 * mean, 0.9 + 0.1 * variance])
    tested = layer.forward(params, signal(images), workspace, training=False)[0].reshape(images.shape)
    running = params["moments"][0][:, None, :, None, None]
    np.testing.assert_allclose(tested, 2 * (images - running[0]) / np.sqrt(running[1] + 1e-5) - 1)
