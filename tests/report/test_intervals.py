"""Intervals of means: their coverage, and that they are cut to the range of possible means."""

import numpy as np
import pytest
from scipy import stats
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.intervals import (
    DIFFERENCE,
    SHARE,
    is_cut,
    mean_band,
    mean_interval,
    share_interval,
    sign_flip_p,
)
from pipeline.study.spec import Arm

TWO = (Arm("random"), Arm("shifted_grid"))


def test_cutting_costs_no_coverage():
    """For accuracies near 1 over two and three blocks, cut and whole intervals hold the truth in the same cases."""
    rng = np.random.default_rng(0)
    truth = 0.95
    for blocks in (2, 3):
        worlds = rng.beta(19, 1, size=(blocks, 4000))
        (_, low, high), (_, least, most) = mean_band(worlds, within=SHARE), mean_band(worlds)
        assert (most > 1).mean() > 0.2
        held, whole = (low <= truth) & (truth <= high), (least <= truth) & (truth <= most)
        np.testing.assert_array_equal(held, whole)
        assert high.max() <= 1


@pytest.mark.parametrize(("x", "within"), [((0.9, 0.99), SHARE), ((0.01, 0.1), SHARE), ((-0.9, 0.8), DIFFERENCE)])
def test_an_interval_ends_where_no_mean_can_lie(x, within):
    """The t-interval of two blocks reaches beyond the range; it is cut there, and ``is_cut`` says so."""
    whole, cut = mean_interval(np.array(x)), mean_interval(np.array(x), within=within)
    assert whole.low < within[0] or whole.high > within[1]
    assert (cut.low, cut.high) == (max(whole.low, within[0]), min(whole.high, within[1]))
    assert is_cut(np.array(x), within)


def test_an_interval_within_the_range_is_not_cut():
    """An interval within the range is SciPy's to the bit; a single block has none."""
    x = np.linspace(0.9, 0.95, 10)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    found = mean_interval(x, within=SHARE)
    assert (found.low, found.high) == (expected.low, expected.high)
    assert not is_cut(x, SHARE)
    assert not is_cut(np.array([0.9]), SHARE)


def wide(frame, _study, rng):
    """Accuracies that differ much from block to block."""
    return np.full(len(frame), rng.choice([0.75, 0.97])) + 0.01 * rng.normal(size=len(frame))


def test_a_report_over_two_blocks_shows_no_impossible_number():
    """No accuracy is above 100 %, and a note tells of the cut; ten similar blocks need no note."""
    few = Analysis(make_table(wide, blocks=2, arms=TWO, seed=3))
    curve = few.curves["random"].test
    assert mean_band(curve)[2].max() > 1
    assert few.verdict.rule == 0
    assert any("An interval over 2 blocks reached beyond what is possible" in note for note in few.notes)
    assert Analysis(make_table(blocks=10, arms=TWO)).notes == []


@pytest.mark.parametrize("blocks", [2, 10, 16])
def test_sign_flips_are_all_counted_up_to_sixteen_blocks(blocks):
    """If all blocks agree, two of 2^K sign patterns are as extreme."""
    assert sign_flip_p(np.linspace(0.01, 0.02, blocks)) == pytest.approx(2 / 2**blocks)


def test_the_interval_of_a_share_is_wilsons():
    """The ends solve (share - p)² = z² p (1 - p) / n, and all rows right is no certainty."""
    z = stats.norm.ppf(0.975)
    for right, rows in ((345, 359), (0, 20), (20, 20)):
        found = share_interval(right, rows)
        for end in (found.low, found.high):
            assert (right / rows - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / rows, abs=1e-12)
    assert share_interval(20, 20).low < 0.9
