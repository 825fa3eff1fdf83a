"""Dimensions and spaces: their grids, and the mistakes that are refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.study.space import Categorical, Float, Int, SearchSpace


def test_a_grid_runs_from_end_to_end():
    """Levels are even on the declared scale and include both ends; choices are the first ones, by default all."""
    assert Float(1e-3, 10, log=True, levels=5).grid() == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10])
    assert Float(0, 1, levels=3).grid() == [0, 0.5, 1]
    assert Float(1, 100, log=True, levels=1).grid() == pytest.approx([10])
    assert Categorical("a", "b").grid(shift=0.3) == ["a", "b"]
    assert Categorical("a", "b", "c", levels=2).grid(shift=0.3) == ["a", "b"]


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


@given(
    st.integers(-50, 50), st.integers(1, 300), st.integers(1, 9), st.integers(1, 12), st.floats(0, 0.999), st.booleans()
)
def test_levels_of_whole_numbers_are_whole_and_distinct(low, width, step, levels, shift, log):
    """Shifted or not, a grid has its number of different whole numbers, on the steps of the range, in order."""
    low, step = (abs(low) + 1, 1) if log else (low, step)
    dimension = Int(low, low + width * step, log=log, levels=levels, step=step)
    for grid in (dimension.grid(), dimension.grid(shift)):
        assert len(grid) == dimension.levels == min(levels, width + 1)
        assert set(grid) <= set(range(dimension.low, dimension.high + 1, step))
        assert grid == sorted(set(grid))
        assert all(type(value) is int for value in grid)


def test_a_grid_of_whole_numbers_runs_from_end_to_end_on_its_scale():
    """Levels are those of the real range, rounded; few values are all levels; shifts reach both ends alike."""
    assert Int(4, 256, log=True, levels=4).grid() == [4, 16, 64, 256]
    assert Int(10, 100, step=10, levels=4).grid() == [10, 40, 70, 100]
    assert Int(1, 2).grid() == [1, 2]
    firsts = [Int(1, 10, levels=1).grid((shift + 0.5) / 100)[0] for shift in range(100)]
    assert {firsts.count(value) for value in range(1, 11)} == {10}


def test_a_space_comes_back_from_a_record():
    """A space is read as it was written; a record names the levels of choices only where a grid leaves some out."""
    choices = {"init": Categorical("he", "small"), "schedule": Categorical("constant", "cosine", levels=1)}
    space = SearchSpace(hidden=Int(8, 64, log=True, levels=4), warmup=Int(0, 4, step=2), l2=Float(0, 1), **choices)
    assert dict(SearchSpace.from_json(space.to_json())) == dict(space)
    assert space.grid_size == 4 * 3 * 3 * 2
    assert space.to_json()["init"] == {"type": "Categorical", "choices": ("he", "small")}


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
        (lambda: Int(1, 2.5), "high: got 2.5; expected a whole number"),
        (lambda: Int(3, 3), "low must be below high"),
        (lambda: Int(0, 3, log=True), "a log scale needs low > 0"),
        (lambda: Int(1, 9, log=True, step=2), "a log scale has steps of 1"),
        (lambda: Int(1, 10, step=2), "expected a multiple of step=2. Give high=9"),
        (lambda: Int(1, 3, levels=0), "levels: got 0"),
        (Categorical, "at least one choice"),
        (lambda: Categorical("a", "b", levels=3), "levels: got 3"),
        (lambda: Categorical(1, 1.0), "given twice"),
        (lambda: Categorical([64, 32]), "expected text, a number"),
        (SearchSpace, "nothing to search"),
        (SearchSpace(learning_rat=Float(0, 1)).check_names, "unknown hyperparameter 'learning_rat'"),
        (SearchSpace(seed=Float(0, 1)).check_names, "unknown hyperparameter 'seed'"),
        (lambda: SearchSpace(l2=(0, 1)), r"expected Float\(...\), Int\(...\) or Categorical\(...\)"),
        (lambda: SearchSpace(l2=Float(0, 1, levels=10**6)), "levels: got 1000000; expected .* at most 100,000"),
    ],
)
def test_a_wrong_dimension_is_refused(make, says):
    """A wrong range, choice or name is a ValueError that names the value."""
    with pytest.raises(ValueError, match=says):
        make()
