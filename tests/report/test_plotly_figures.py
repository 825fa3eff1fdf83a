"""The report's Plotly figure: Plotly accepts it, and its numbers are those of the report."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.figures.tuning import STEEP, curve_table
from pipeline.report.plotly_figures import figures


def plotly_figure(table):
    """Return the figure as Plotly reads it; Plotly rejects unknown properties."""
    (text,) = figures(Analysis(table)).values()
    return go.Figure(json.loads(text))


def test_the_lines_are_the_reports(table):
    """Each arm has one entry in the legend, and its line, validation and band are the report's numbers to four digits."""
    analysis = Analysis(table)
    rows = curve_table(list(analysis.curves.values()))
    figure = plotly_figure(table)
    assert len([trace for trace in figure.data if trace.showlegend is None]) == len(analysis.arms) > 1
    for name, curve in rows.groupby("arm"):
        high, low, line, validation = (trace for trace in figure.data if trace.legendgroup == name)
        assert list(line.x) == curve["trials"].tolist()
        for trace, column in ((high, "test_high"), (low, "test_low"), (line, "test"), (validation, "validation")):
            assert np.allclose(trace.y, curve[column], atol=5e-5, rtol=0)
        assert line.line.color == analysis.styles[name][0]


def test_one_block_has_no_band():
    """With a single block there is no band, and every number of the figure is finite."""
    figure = plotly_figure(make_table(blocks=1))
    assert not [trace for trace in figure.data if trace.fill]
    assert all(np.isfinite(trace.y).all() for trace in figure.data)


@pytest.mark.parametrize("blocks", [2, 10])
def test_the_axis_shows_the_lines(blocks):
    """The vertical axis fits the lines after the first trials, however wide the bands of two blocks are."""
    figure = plotly_figure(make_table(blocks=blocks))
    low, high = figure.layout.yaxis.range
    drawn = [trace for trace in figure.data if trace.line.width != 0]
    late = np.concatenate([np.asarray(trace.y)[np.asarray(trace.x) >= max(trace.x) ** STEEP] for trace in drawn])
    assert low < late.min() < late.max() < high
    assert high - low == pytest.approx(1.1 * np.ptp(late), abs=1e-3)
