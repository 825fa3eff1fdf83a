"""Dimensions and spaces: their grids, and the mistakes that are refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.study.space import Categorical, Float, SearchSpace


def test_a_grid_runs_from_end_to_end():
    """Levels are even on the declared scale and include both ends; choices are always complete."""
    assert Float(1e-3, 10, log=True, levels=5).grid() == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10])
    assert Float(0, 1, levels=3).grid() == [0, 0.5, 1]
    assert Float(1, 100, log=True, levels=1).grid() == pytest.approx([10])
    assert Categorical("a", "b").grid(shift=0.3) == ["a", "b"]


@given(
    low=st.floats(1e-9, 1e3),
    decades=st.floats(0.1, 9),
    log=st.booleans(),
    levels=st.integers(1, 12),
    shift=st.floats(0, 1, exclude_max=True),
)
def test_no_level_leaves_its_range(low, decades, log, levels, shift):
    """Shifted or not, the levels are distinct, in order and within the range, to the last bit."""
    dimension = Float(low, low * 10**decades, log=log, levels=levels)
    for grid in (dimension.grid(), dimension.grid(shift)):
        assert len(set(grid)) == levels
        assert grid == sorted(grid)
        assert dimension.low <= grid[0]
        assert grid[-1] <= dimension.high


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Float(1, 0.1), "low must be below high"),
        (lambda: Float(1, 1), "low must be below high"),
        (lambda: Float(0, 1, log=True), "a log scale needs low > 0"),
        (lambda: Float(math.nan, 1), "low: got nan"),
        (lambda: Float(0, math.inf), "high: got inf"),
        (lambda: Float(0, 1, levels=0), "levels: got 0"),
        (lambda: Float(0.1, 1, log="no"), "log: got 'no'; expected True or False"),
        (lambda: Float(0.1, 1, log=1), "log: got 1; expected True or False"),
        (Categorical, "at least one choice"),
        (lambda: Categorical(1, 1.0), "given twice"),
        (lambda: Categorical([64, 32]), "expected text, a number"),
        (SearchSpace, "nothing to search"),
        (lambda: SearchSpace(learning_rat=Float(0, 1)), "unknown hyperparameter 'learning_rat'"),
        (lambda: SearchSpace(seed=Float(0, 1)), "unknown hyperparameter 'seed'"),
        (lambda: SearchSpace(l2=(0, 1)), r"expected Float\(...\) or Categorical\(...\)"),
        (lambda: SearchSpace(l2=Float(0, 1, levels=10**6)), "levels: got 1000000; expected .* at most 100,000"),
    ],
)
def test_a_wrong_dimension_is_refused(make, says):
    """A wrong range, choice or name is a ValueError that names the value."""
    with pytest.raises(ValueError, match=says):
        make()
