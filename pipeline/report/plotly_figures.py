"""The report's first figure for other interfaces, as Plotly's JSON: the score of the chosen model after n trials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import label
from pipeline.report.curves import Curve
from pipeline.report.figures.tuning import late_values
from pipeline.report.formatting import capital, count
from pipeline.report.intervals import mean_band
from pipeline.report.style import ArmStyles, Dash, y_limits

DIGITS = 4  # decimals of a value; no figure shows more


def figures(analysis: Analysis) -> dict[str, str]:
    """Return each figure as JSON by its name, which is a valid HTML id."""
    return {"best_after_n": json.dumps(best_after_n(analysis), separators=(",", ":"))}


def best_after_n(analysis: Analysis) -> dict[str, Any]:
    """Return the test value of the choice after n trials: line and band by arm, validation value dotted."""
    curves = [analysis.curves[arm.name] for arm in analysis.arms]
    lines = [(curve, values.mean(axis=0)) for curve in curves for values in (curve.test, curve.validation)]
    limits = y_limits(late_values(lines))  # the lines', since the band of two blocks may be wider than all values
    metric = analysis.study.objective
    blocks = count(max(len(curve.blocks) for curve in curves), "block")
    return {
        "data": [trace for curve in curves for trace in _traces(curve, analysis.styles)],
        "layout": {
            "title": {
                "text": f"Your best model after n trials: test {metric.title}, mean over {blocks}",
                "font": {"size": 12},  # the dashboard's panel is half a page wide
            },
            "legend": {"orientation": "h", "y": -0.25},
            "xaxis": {"title": {"text": "trials"}, "type": "log", "dtick": float(np.log10(2))},
            "yaxis": {
                "title": {"text": f"{metric.title} of the chosen model"},
                **({"tickformat": "~%"} if metric.is_share else {}),
                "range": _rounded(np.array(limits)),
            },
        },
    }


def _traces(curve: Curve, styles: ArmStyles) -> Iterator[dict[str, Any]]:
    """Yield the band of two or more blocks, the line, and the validation value dotted; one click hides all three."""
    colour, dash = styles[curve.arm.name]
    mean, low, high = mean_band(curve.test, within=curve.metric.range)
    name = capital(label(curve.arm))
    shared = {"x": curve.budgets.tolist(), "mode": "lines", "legendgroup": curve.arm.name}
    unlisted = shared | {"showlegend": False, "hoverinfo": "skip"}
    if len(curve.blocks) > 1:
        edge = {"shape": "hv", "width": 0}
        yield unlisted | {"y": _rounded(high), "line": edge}
        yield unlisted | {"y": _rounded(low), "line": edge, "fill": "tonexty", "fillcolor": _translucent(colour)}
    yield shared | {"y": _rounded(mean), "name": name, "line": {"shape": "hv", "color": colour, "dash": _dashes(dash)}}
    dotted = {"shape": "hv", "color": colour, "dash": "dot", "width": 1}
    yield unlisted | {"y": _rounded(curve.validation.mean(axis=0)), "name": f"{name}, validation", "line": dotted}


def _rounded(values: np.ndarray) -> list[float]:
    rounded: list[float] = np.round(values, DIGITS).tolist()
    return rounded


def _translucent(colour: str) -> str:
    """Return a colour, ``#rrggbb``, with an opacity of 0.15."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _dashes(dash: Dash) -> str:
    """Return Matplotlib's dash as Plotly writes it."""
    return ",".join(f"{2 * length}px" for length in dash[1]) or "solid"
