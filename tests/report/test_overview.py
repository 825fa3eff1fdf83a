"""Several studies side by side: when they have a sentence together, and its mean."""

import numpy as np
import pytest
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.overview import interquartile_mean, overview
from pipeline.study.spec import Arm


def test_the_interquartile_mean_is_that_of_the_middle_half():
    """A quarter of all values is left out at each end."""
    interval = interquartile_mean([np.array([0.0, 20.0, 1.0, 0.0]), np.array([10.0, 3.0, 0.0, 2.0])])
    assert interval.estimate == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert interval.low < interval.estimate < interval.high


def test_studies_of_different_contrasts_are_not_averaged():
    """Two studies of the same contrast have a sentence together; studies of different contrasts do not."""
    tables = [
        make_table(arms=(Arm("random"), Arm(other)), blocks=6, trials=6) for other in ("grid", "grid", "shifted_grid")
    ]
    same, unlike = ({str(i): Analysis(tables[i]) for i in places} for places in ((0, 1), (0, 2)))
    assert len(overview(same).sentences) == 2
    assert len(overview(unlike).sentences) == 1
