"""All arms against each other: each pair's p is corrected for the number of pairs that have one."""

import numpy as np
import pytest
from synthetic import ARMS, make_frame, make_study

from pipeline.report.analysis import Analysis
from pipeline.report.table import TrialsTable

BLOCKS = 8


def pairs(grid_blocks=BLOCKS):
    """The pairs of three arms that differ on test data by unequal amounts; the textbook grid has only its first blocks."""
    study = make_study(arms=ARMS, blocks=BLOCKS)
    frame = make_frame(study, test_noise=0.004)
    lower = frame["arm"].map({"random": 0.0, "shifted_grid": 0.003, "grid": 0.01})
    frame = frame.assign(**{"test/accuracy": frame["test/accuracy"] - lower})
    return Analysis(TrialsTable(frame[(frame["arm"] != "grid") | (frame["block"] < grid_blocks)], study)).pairs


def test_p_is_corrected_by_the_method_of_benjamini_and_yekutieli():
    """The i-th smallest of m is multiplied by m (1 + 1/2 + ... + 1/m) / i; it stays below the next one and below 1."""
    found = pairs()
    p = np.array([pair.comparison.evidence.p for pair in found])
    assert len(set(p)) == 3
    raised = np.sort(p) * 3 * (1 + 1 / 2 + 1 / 3) / np.array([1, 2, 3])
    expected = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1)
    assert expected[0] < 1
    assert [pair.corrected_p for pair in found] == pytest.approx(expected[np.argsort(np.argsort(p))])


def test_a_pair_of_too_few_blocks_has_no_p_and_is_not_counted():
    """With five blocks of the grid the pair without it is the only one that has a p, which is then not raised."""
    first, *with_grid = pairs(grid_blocks=5)
    assert first.corrected_p == first.comparison.evidence.p
    assert [len(pair.comparison.blocks) for pair in with_grid] == [5, 5]
    assert np.isnan([pair.corrected_p for pair in with_grid]).all()
    assert np.isfinite([pair.corrected_p for pair in pairs(grid_blocks=6)]).all()


def test_the_probability_of_improvement_is_that_of_the_first_arm():
    """Random search scores higher than the grid in every block, so it is more likely to win."""
    _, random_grid, _ = pairs()
    assert (random_grid.comparison.first.name, random_grid.comparison.second.name) == ("random", "grid")
    assert random_grid.comparison.evidence.interval.estimate > 0
    assert random_grid.improvement.interval.estimate > 0.5
