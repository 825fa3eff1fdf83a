"""Minibatches: how the rows of a split are divided."""

import pytest

from pipeline.training.minibatches import training_cuts


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 4, 1]),
        (129, 64, [64, 65]),
        (143, 64, [64, 79]),
        (144, 64, [64, 64, 16]),
        (64, 64, [64]),
        (70, 64, [70]),
        (3, 64, [3]),
    ],
)
def test_a_small_rest_joins_the_last_minibatch(count, size, sizes):
    """Every row is in one minibatch, and a last one of less than a quarter of the size joins the one before."""
    parts = training_cuts(count, size)
    assert [part.stop - part.start for part in parts] == sizes
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
