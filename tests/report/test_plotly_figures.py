"""The report's figure for other interfaces: Plotly draws it, and its numbers are those of the report's own."""

import json

import numpy as np
import plotly.graph_objects as go
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.figures.tuning import curve_table
from pipeline.report.plotly_figures import figures


def drawn(table):
    """The figure as Plotly reads it, which refuses what it does not know."""
    (text,) = figures(Analysis(table)).values()
    return go.Figure(json.loads(text))


def test_the_lines_are_the_reports(table):
    """Each arm has one entry in the legend, and its line, validation and band are the report's numbers to four digits."""
    found = Analysis(table)
    rows = curve_table(list(found.curves.values()))
    figure = drawn(table)
    assert len([trace for trace in figure.data if trace.showlegend is None]) == len(found.arms) > 1
    for name, own in rows.groupby("arm"):
        high, low, line, promised = (trace for trace in figure.data if trace.legendgroup == name)
        assert list(line.x) == own["trials"].tolist()
        for trace, column in ((high, "test_high"), (low, "test_low"), (line, "test"), (promised, "validation")):
            assert np.allclose(trace.y, own[column], atol=5e-5, rtol=0)
        assert line.line.color == found.looks[name][0]


def test_one_block_has_no_band():
    """Where there is a single block, no interval is drawn, and no number is missing from what is."""
    figure = drawn(make_table(blocks=1))
    assert not [trace for trace in figure.data if trace.fill]
    assert all(np.isfinite(trace.y).all() for trace in figure.data)
