"""The style of figures: colours of arms, and labels that do not touch."""

import numpy as np
import pytest

from pipeline.report.style import STYLES, arm_styles, canvas, limit_y, spread
from pipeline.study.spec import Arm


def test_labels_are_a_gap_apart_and_below_the_top():
    """Rising heights move apart by the gap at least, and none rises above the top."""
    placed = spread([0.9, 0.95, 0.97, 0.98], gap=0.07, top=1.0)
    assert placed == pytest.approx([0.79, 0.86, 0.93, 1.0])
    assert spread([0.1, 0.5], gap=0.07, top=1.0) == [0.1, 0.5]


def test_an_arm_has_the_style_of_its_sampler_unless_that_is_taken():
    """The first arm of a sampler has the sampler's colour; a second one has another that is free."""
    chosen = arm_styles([Arm("random"), Arm("again", "random"), Arm("tpe")])
    assert chosen["random"] == STYLES["random"]
    assert chosen["tpe"] == STYLES["tpe"]
    assert len(set(chosen.values())) == 3


@pytest.mark.parametrize("band", [(0.0, 1.0), (0.89, 0.99), (np.nan, np.nan)], ids=["wide", "narrow", "none"])
def test_lines_have_at_least_two_fifths_of_the_axis(band):
    """Bands of few blocks reach from 0 to 1 and may leave the axis; the lines keep their room in it."""
    _, (ax,) = canvas()
    line = np.array([0.90, 0.98])
    limit_y(ax, [line], [np.full(2, end) for end in band])
    low, high = ax.get_ylim()
    assert low < line[0]
    assert high > line[1]
    assert np.ptp(line) / (high - low) > 0.4
