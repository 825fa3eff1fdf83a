"""The sections of a report: what each says of a table."""

import pytest
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.sections import sections


@pytest.mark.parametrize(("trials", "explained"), [(36, True), (12, False)])
def test_the_full_grid_is_explained_only_where_there_is_one(trials, explained):
    """The accuracy that the full grid found is a target, and is explained, if every point was visited."""
    (section,) = [section for section in sections(Analysis(make_table(trials=trials))) if section.key == "targets"]
    assert any("full grid" in sentence for sentence in section.prose) == explained
