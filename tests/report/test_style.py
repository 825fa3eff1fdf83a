"""The style of figures: colours of arms, and labels that do not touch."""

import pytest

from pipeline.report.style import STYLES, arm_styles, spread
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
