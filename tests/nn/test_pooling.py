"""Max pooling and the mean of maps."""

import numpy as np

from pipeline.nn.layers import GlobalAveragePool, MaxPool, Workspace


def signal(images):
    """Return images (N, C, H, W) as the signal of one trial."""
    return np.ascontiguousarray(images.reshape(1, len(images), -1).swapaxes(1, 2)).swapaxes(1, 2)


def test_pooling_keeps_the_maximum_of_each_four():
    """An odd last row or column is left out, and of equal pixels the first gets the gradient."""
    layer, workspace = MaxPool(0, (2, 5, 4)), Workspace(1, 3, "float64")
    images = np.random.default_rng(0).integers(0, 3, (3, 2, 5, 4)).astype(float)
    inputs = signal(images)
    outputs = layer.forward({}, inputs, workspace, training=True)
    expected = images[:, :, :4].reshape(3, 2, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(3, 2, 2, 2, 4)
    np.testing.assert_array_equal(outputs[0].reshape(3, 2, 2, 2), expected.max(axis=-1))
    gradient = layer.backward({}, {}, inputs, np.ones_like(outputs), workspace)[0].reshape(3, 2, 5, 4)
    assert gradient.sum() == outputs.size
    assert not gradient[:, :, 4].any()
    first = images[0, 0, :2, :2].ravel() == images[0, 0, :2, :2].max()
    assert gradient[0, 0, :2, :2].ravel()[first].max() == 1


def test_the_mean_of_a_map_is_its_mean():
    """Each map becomes one number, its mean."""
    images = np.random.default_rng(0).standard_normal((6, 3, 4, 5))
    outputs = GlobalAveragePool(0, (3, 4, 5)).forward({}, signal(images), Workspace(1, 6, "float64"), training=True)
    np.testing.assert_allclose(outputs[0], images.mean(axis=(2, 3)))
