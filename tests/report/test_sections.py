"""The sections of a report: what each says of a table."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.sections import make_sections
from pipeline.study.spec import Arm


@pytest.mark.parametrize(("trials", "explained"), [(36, True), (12, False)])
def test_the_full_grid_is_explained_only_where_there_is_one(trials, explained):
    """The accuracy that the full grid found is a target, and is explained, if every point was visited."""
    (section,) = [section for section in make_sections(Analysis(make_table(trials=trials))) if section.key == "targets"]
    assert any("full grid" in sentence for sentence in section.prose) == explained


def test_an_interval_and_a_p_that_disagree_are_explained():
    """Where only the interval excludes 0, and the sign flips do not, the section says why no difference counts as detected."""
    rng = np.random.default_rng(0)
    table = make_table(
        lambda frame, _, rng: 0.8 + 0.02 * rng.uniform(size=len(frame)),
        arms=(Arm("random"), Arm("shifted_grid")),
        blocks=6,
        n_val=0,
    )
    shift = dict(enumerate([0.03, 0.02, 0.025, 0.03, 0.02, -0.002]))
    moved = table.frame["block"].map(shift) * (table.frame["arm"] == "random")
    frame = table.frame.assign(
        **{"test/accuracy": 0.8 + moved, "best/val_accuracy": 0.8 + 1e-4 * rng.uniform(size=len(moved))}
    )
    analysis = Analysis(replace(table, frame=frame))
    difference = analysis.comparison.difference
    assert (difference.excludes_zero, difference.p < 0.05, difference.detected) == (True, False, False)
    (section,) = (section for section in make_sections(analysis) if section.key == "difference")
    assert "The interval and the sign flips do not agree" in section.prose[1]


def test_with_many_arms_only_the_contrast_has_bands():
    """Six arms have two bands, those of the contrast, and one sentence about the arms whose trials have an order."""
    arms = tuple(map(Arm, ("random", "shifted_grid", "tpe", "sobol", "halton", "cmaes")))
    analysis = Analysis(make_table(arms=arms, blocks=6, trials=8))
    section = make_sections(analysis)[0]
    assert "both for the two arms that the verdict is about" in section.plots[0].aid
    assert section.plots[0].svg.count("FillBetween") == 2
    (sentence,) = section.prose
    assert sentence.startswith("The lines of TPE, the Sobol sequence, the Halton sequence and CMA-ES are each the mean")
