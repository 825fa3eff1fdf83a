"""The figure of cost: the tuning curves against epochs and against seconds instead of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

from pipeline.report.cost import CostCurve
from pipeline.report.formatting import capital, label, listed, number, percent
from pipeline.report.style import RULE, Looks, Plot, accuracy_axis, canvas, finish, label_ends, styled

CROWDED = 12


@styled
def paid(curves: Mapping[str, Sequence[CostCurve]], units: Sequence[str], looks: Looks) -> Plot:
    """A panel for each unit of cost, with a line for each arm."""
    figure, axes = canvas(height=3.3, panels=len(units), sharey=True)
    for ax, unit, own in zip(axes, units, zip(*curves.values(), strict=True), strict=True):
        for curve in own:
            colour, dash = looks[curve.arm.name]
            ax.plot(curve.costs, curve.test.mean(axis=0), color=colour, linestyle=dash, drawstyle="steps-post")
        _cost_axis(ax, unit)
    last = [own[-1] for own in curves.values()]
    accuracy_axis(axes[0], "accuracy of the chosen model")
    axes[-1].grid(axis="y", color=RULE, linewidth=0.6)
    _focus(axes[0], [curve for own in curves.values() for curve in own])
    label_ends(axes[-1], [(c.arm, float(c.costs[-1]), float(c.test.mean(axis=0)[-1])) for c in last], looks)
    totals = [
        f"{label(c.arm)} {number(float(c.costs[-1]), 0)} {units[-1]} for {percent(c.test.mean(axis=0)[-1])}"
        for c in last
    ]
    return finish(
        figure,
        "cost",
        title="And for the same epochs, or the same time?",
        aid="The same curves against what was paid: an arm whose trials are cheaper reaches further for the same cost. "
        "Seconds are a trial's share of those of its group, so they also tell how many could train side by side.",
        alt=f"Test accuracy of the choice against {listed(list(units))}. At the end of a block: {capital(listed(totals))}.",
        table=_table(curves, units),
    )


def _cost_axis(ax: Axes, unit: str) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.xaxis.set_minor_formatter(LogFormatterSciNotation(labelOnlyBase=True))
    ax.minorticks_off()
    ax.set_xlabel(unit)


def _focus(ax: Axes, curves: Sequence[CostCurve]) -> None:
    shown = [y for c in curves for x, y in zip(c.costs, c.test.mean(axis=0), strict=True) if x >= c.costs[-1] / CROWDED]
    margin = 0.05 * max(max(shown) - min(shown), 1e-3)
    ax.set_ylim(min(shown) - margin, max(shown) + margin)


def _table(curves: Mapping[str, Sequence[CostCurve]], units: Sequence[str]) -> pd.DataFrame:
    rows = [
        pd.DataFrame({"arm": name, "unit": unit, "cost": curve.costs, "test": curve.test.mean(axis=0)})
        for name, own in curves.items()
        for unit, curve in zip(units, own, strict=True)
    ]
    return pd.concat(rows, ignore_index=True)
