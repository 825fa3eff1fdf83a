"""Several studies side by side: what they say together, and when they do not."""

import numpy as np
import pytest
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.overview import interquartile_mean, overview
from pipeline.study.spec import Arm


def test_the_interquartile_mean_is_that_of_the_middle_half():
    """A quarter of the values of all studies together is left out at each end."""
    found = interquartile_mean([np.array([0.0, 20.0, 1.0, 0.0]), np.array([10.0, 3.0, 0.0, 2.0])])
    assert found.estimate == pytest.approx((0 + 1 + 2 + 3) / 4)
    assert found.low < found.estimate < found.high


def test_studies_of_unlike_contrasts_are_not_averaged():
    """Two studies of the same contrast have a sentence together; with another contrast, each speaks for itself."""
    tables = [
        make_table(arms=(Arm("random"), Arm(other)), blocks=6, trials=6) for other in ("grid", "grid", "shifted_grid")
    ]
    same, unlike = ({str(i): Analysis(tables[i]) for i in places} for places in ((0, 1), (0, 2)))
    assert len(overview(same).sentences) == 2
    assert len(overview(unlike).sentences) == 1
