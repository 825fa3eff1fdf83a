"""The simulation of random and grid search."""

import numpy as np
import pytest

from pipeline.lecture.random_against_grid import best_of_each


def test_the_best_of_a_grid_is_that_of_its_points():
    """For a peak wider than the square, the best of a grid is the value at its nearest level."""
    grid, random = best_of_each(np.random.default_rng(0), 2000, 9, 10.0)
    assert grid.mean() == pytest.approx(1 + 0.02 * 5 / 6, abs=2e-3)
    assert random.mean() == pytest.approx(1 + 0.02 * 0.9, abs=2e-3)
