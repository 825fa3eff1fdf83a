"""The difference after n trials: what is longer than its axis does not press on it."""

import numpy as np
from synthetic import RANDOM, SHIFTED

from pipeline.report.comparison import Comparison
from pipeline.report.figures.tuning import difference_figure
from pipeline.report.intervals import Interval


def test_an_interval_that_is_longer_than_the_axis_is_cut_at_it():
    """Two blocks that end alike and an interval of the whole range of accuracies leave the axes their room."""
    test = np.array([[0.001, 0.0005], [-0.001, 0.0]])
    compared = Comparison(RANDOM, SHIFTED, (0, 1), np.array([1, 2]), test, test, test[:, -1])
    assert difference_figure(compared, 0.0005, Interval(0.0, -1.0, 1.0)).png
