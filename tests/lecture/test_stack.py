"""The lecture's stack of random layers."""

import numpy as np
import pytest

from pipeline.lecture.stack import Scheme, walk


def test_a_small_stack_collapses_and_saturates():
    """The spreads follow the formulas: after the first layer each has a factor of scale times √fan-in."""
    schemes = [Scheme("tanh", 0.01), Scheme("tanh", 1.0), Scheme("relu", "he")]
    layers = walk(schemes, 0, seeds=2, rows=200, units=100, depth=4)
    small, large, he = (layers[scheme].of("std").mean(axis=0) for scheme in schemes)
    np.testing.assert_allclose(small[1:] / small[:-1], 0.01 * np.sqrt(100), rtol=0.05)
    assert layers[schemes[1]].of("beyond").min() > 0.7
    assert (large > 0.9).all()
    assert he[0] == pytest.approx(0.826, abs=0.03)
    assert layers[schemes[0]].of("dx").shape == (2, 4)
    assert layers[schemes[0]].counts.shape == (4, 30)
