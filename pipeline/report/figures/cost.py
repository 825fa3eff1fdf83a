"""The figure of cost: the tuning curves against epochs and against seconds instead of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

from pipeline.report.arm_titles import label
from pipeline.report.cost_curves import CostCurve
from pipeline.report.formatting import listed, number, value
from pipeline.report.style import RULE, ArmStyles, Plot, canvas, finish, label_ends, limit_y, styled, value_axis

FIRST_SHARE = 12  # costs below the total / 12 do not count for the limits of y


@styled
def cost_figure(curves: Mapping[str, Sequence[CostCurve]], units: Sequence[str], styles: ArmStyles) -> Plot:
    """Draw a panel for each unit of cost, with a line for each arm; ``curves`` are by arm, then unit."""
    figure, axes = canvas(height=3.3, panels=len(units), sharey=True)
    for ax, unit, unit_curves in zip(axes, units, zip(*curves.values(), strict=True), strict=True):
        for curve in unit_curves:
            colour, dash = styles[curve.arm.name]
            ax.plot(curve.costs, curve.test.mean(axis=0), color=colour, linestyle=dash, drawstyle="steps-post")
        _cost_axis(ax, unit)
    last = [arm_curves[-1] for arm_curves in curves.values()]
    metric = last[0].metric
    value_axis(axes[0], f"{metric.title} of the chosen model", metric)
    axes[-1].grid(axis="y", color=RULE, linewidth=0.6)
    all_curves = [curve for arm_curves in curves.values() for curve in arm_curves]
    limit_y(axes[0], [c.test.mean(axis=0)[c.costs >= c.costs[-1] / FIRST_SHARE] for c in all_curves])
    label_ends(axes[-1], [(c.arm, float(c.costs[-1]), float(c.test.mean(axis=0)[-1])) for c in last], styles)
    totals = [
        f"{label(c.arm)} {number(float(c.costs[-1]), 0)} {units[-1]} for {value(c.test.mean(axis=0)[-1], metric)}"
        for c in last
    ]
    return finish(
        figure,
        "cost",
        title="And for the same epochs, or the same time?",
        aid="The same curves against what was paid, up to the cost of the cheapest block, over drawn orders of the trials"
        f"{': an arm whose trials are cheaper reaches further for the same cost' if len(curves) > 1 else ''}. "
        "Seconds are a trial's share of its group's seconds, so they also depend on how many trials could train side by side.",
        alt=f"Test {metric.title} of the choice against {listed(list(units))}. For the cost of the cheapest block: {listed(totals)}.",
        table=_table(curves, units),
    )


def _cost_axis(ax: Axes, unit: str) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.xaxis.set_minor_formatter(LogFormatterSciNotation(labelOnlyBase=True))
    ax.minorticks_off()
    ax.set_xlabel(unit)


def _table(curves: Mapping[str, Sequence[CostCurve]], units: Sequence[str]) -> pd.DataFrame:
    rows = [
        pd.DataFrame({"arm": name, "unit": unit, "cost": curve.costs, "test": curve.test.mean(axis=0)})
        for name, arm_curves in curves.items()
        for unit, curve in zip(units, arm_curves, strict=True)
    ]
    return pd.concat(rows, ignore_index=True)
