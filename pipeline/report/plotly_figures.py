"""The report's first figure for other interfaces, as Plotly's JSON: how good the best model is after n trials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.report.analysis import Analysis
from pipeline.report.curves import Curve
from pipeline.report.formatting import capital, count, label
from pipeline.report.intervals import SHARE, mean_band
from pipeline.report.style import Dash, Looks

DIGITS = 4  # of a share of rows: finer than any figure shows


def figures(analysis: Analysis) -> dict[str, str]:
    """Each figure by its name, which is a valid HTML id."""
    return {"best_after_n": json.dumps(best_after_n(analysis), separators=(",", ":"))}


def best_after_n(analysis: Analysis) -> dict[str, Any]:
    """Test accuracy of the choice after n trials: a line and a band for each arm, with its validation accuracy dotted."""
    curves = [analysis.curves[arm.name] for arm in analysis.arms]
    blocks = count(max(len(curve.blocks) for curve in curves), "block")
    return {
        "data": [trace for curve in curves for trace in _traces(curve, analysis.looks)],
        "layout": {
            "title": {"text": f"Your best model after n trials: test accuracy, mean over {blocks}"},
            "xaxis": {"title": {"text": "trials"}, "type": "log", "dtick": float(np.log10(2))},
            "yaxis": {"title": {"text": "accuracy of the chosen model"}, "tickformat": "~%"},
        },
    }


def _traces(curve: Curve, looks: Looks) -> Iterator[dict[str, Any]]:
    """The band, for two blocks and more, the line and, dotted, what validation promised; one click hides all three."""
    colour, dash = looks[curve.arm.name]
    mean, low, high = mean_band(curve.test, within=SHARE)
    name = capital(label(curve.arm))
    shared = {"x": curve.budgets.tolist(), "mode": "lines", "legendgroup": curve.arm.name}
    quiet = shared | {"showlegend": False, "hoverinfo": "skip"}
    if len(curve.blocks) > 1:
        edge = {"shape": "hv", "width": 0}
        yield quiet | {"y": _rounded(high), "line": edge}
        yield quiet | {"y": _rounded(low), "line": edge, "fill": "tonexty", "fillcolor": _faint(colour)}
    yield shared | {"y": _rounded(mean), "name": name, "line": {"shape": "hv", "color": colour, "dash": _dashes(dash)}}
    promised = {"shape": "hv", "color": colour, "dash": "dot", "width": 1}
    yield quiet | {"y": _rounded(curve.validation.mean(axis=0)), "name": f"{name}, validation", "line": promised}


def _rounded(values: np.ndarray) -> list[float]:
    rounded: list[float] = np.round(values, DIGITS).tolist()
    return rounded


def _faint(colour: str) -> str:
    """A colour, ``#rrggbb``, through which others show."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _dashes(dash: Dash) -> str:
    """Matplotlib's dash as Plotly writes it."""
    return ",".join(f"{2 * length}px" for length in dash[1]) or "solid"
