"""The figures over data sets: the forest plot of a contrast, and the profiles of trials needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from pipeline.report.arm_titles import label, title
from pipeline.report.formatting import capital, points
from pipeline.report.intervals import Interval
from pipeline.report.style import INK, MUTED, PAPER, RULE, ArmStyles, Plot, canvas, finish, styled, trial_axis
from pipeline.report.suite.verdict import SuiteVerdict
from pipeline.report.targets import TrialsNeeded
from pipeline.report.verdict import AHEAD, EQUAL
from pipeline.study.metrics import Metric
from pipeline.study.spec import Arm

ROW_INCHES = 0.26
MEAN, NEXT = "mean over data sets", "next data set"
"""The last two rows of a forest plot."""
SHARES = ("95% of the best", "98% of the best", "99% of the best")
"""The targets that are drawn; the table has every share."""


@styled
def forest_figure(verdict: SuiteVerdict, styles: ArmStyles, delta: float, metric: Metric) -> Plot:
    """Draw a line for each data set, the diamond of the mean and the prediction interval, with ±delta shaded."""
    (first, second), scale = verdict.contrast, 100 if metric.is_share else 1
    shown = [result for result in verdict.results if result.interval]
    rows: list[tuple[str, Interval]] = [(r.study, r.interval) for r in shown if r.interval]
    figure, (ax,) = canvas(height=1.5 + ROW_INCHES * (len(rows) + 2))
    ax.axvspan(-scale * delta, scale * delta, color=RULE, alpha=0.4, linewidth=0)
    ax.axvline(0, color=INK, linewidth=0.8)
    for y, (result, (_, interval)) in enumerate(zip(shown, rows, strict=True)):
        colour = {"ahead": styles[first.name][0], "behind": styles[second.name][0]}.get(result.place, MUTED)
        filled = result.verdict.rule in (AHEAD, EQUAL) and not result.left_out
        _line(ax, y, interval, scale, colour)
        ax.plot(
            scale * interval.estimate, y, "s", color=colour, markerfacecolor=colour if filled else PAPER, markersize=6
        )
    names = [f"{r.study} *" if r.left_out else r.study for r in shown]
    if verdict.interval and verdict.prediction:
        ax.axhline(len(rows) - 0.5, color=RULE, linewidth=0.6)
        _diamond(ax, len(rows), verdict.interval, scale)
        _line(ax, len(rows) + 1, verdict.prediction, scale, INK, width=3.5)
        names += [MEAN, NEXT]
        rows += [(MEAN, verdict.interval), (NEXT, verdict.prediction)]
    ax.set_yticks(range(len(rows)), names, color=INK)
    ax.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"{label(first)} minus {label(second)}, {'points of ' if metric.is_share else ''}test {metric.title}")
    right = ax.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), [_numbers(*row, metric) for row in rows])
    right.tick_params(axis="y", length=0, labelcolor=INK)
    right.spines["right"].set_visible(False)
    columns = {"difference": "estimate", "difference_low": "low", "difference_high": "high"}
    table = pd.DataFrame(
        [{"row": name, **{key: getattr(interval, end) for key, end in columns.items()}} for name, interval in rows]
    )
    text = "; ".join(f"{name}: {_numbers(name, interval, metric)}" for name, interval in rows)
    return finish(
        figure,
        f"forest_{first.name}_{second.name}",
        title=f"{capital(title(first))} against {title(second)}, data set by data set",
        aid="A line is a study's difference with the 95% interval of its own page: coloured as the arm that is ahead, grey where they are equal "
        "enough, hollow where the study is undecided. The diamond is the mean over data sets with its interval; the thick "
        f"line is where the difference on the next data set is expected, with 95%. The shaded part does not matter.{_left_out(verdict)}",
        alt=f"Forest plot of {title(first)} minus {title(second)}{' in points' if metric.is_share else ''}. {text}.",
        table=table,
    )


def _left_out(verdict: SuiteVerdict) -> str:
    return " * is left out of the mean." if any(r.left_out and r.interval for r in verdict.results) else ""


def _line(ax: Axes, y: float, interval: Interval, scale: int, colour: str, width: float = 1.6) -> None:
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        ax.plot(
            [scale * interval.low, scale * interval.high], [y, y], color=colour, linewidth=width, solid_capstyle="butt"
        )


def _diamond(ax: Axes, y: float, interval: Interval, scale: int) -> None:
    x = scale * np.array([interval.low, interval.estimate, interval.high, interval.estimate])
    ax.fill(x, y + np.array([0, -0.32, 0, 0.32]), color=INK, linewidth=0)


def _numbers(row: str, interval: Interval, metric: Metric) -> str:
    """Write an estimate with its interval, which one block does not have; a prediction is an interval alone."""
    size, low, high = points(interval, metric)
    if row == NEXT:
        return f"{low} to {high}"
    return f"{size} ({low} to {high})" if math.isfinite(interval.low) else size


@styled
def profile_figure(
    needed: Mapping[str, Mapping[str, Sequence[TrialsNeeded]]], arms: Sequence[Arm], styles: ArmStyles, last: int
) -> Plot:
    """Draw the share of data sets on which each arm reaches a share of the best within n trials, for some shares.

    ``needed`` are the trials that each arm needs, by the study and the target; the axis ends at ``last``.
    """
    table = profile_table(needed)
    figure, axes = canvas(7.2, 3.1, len(SHARES), sharey=True)
    for ax, target in zip(axes, SHARES, strict=True):
        for arm in arms:
            trials = np.sort(table.query("target == @target and arm == @arm.name")["trials"])
            colour, dash = styles[arm.name]
            shares = np.arange(1, len(trials) + 1) / max(len(trials), 1)
            reached = trials <= last
            x, y = [1.0, *trials[reached], float(last)], [0.0, *shares[reached], max([0.0, *shares[reached]])]
            ax.plot(x, y, color=colour, linestyle=dash, drawstyle="steps-post", label=label(arm))
        trial_axis(ax, last)
        ax.set_title(target)
        ax.grid(axis="y", color=RULE, linewidth=0.6)
    axes[0].set_ylim(-0.02, 1.02)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0].set_ylabel("data sets")
    axes[0].legend(frameon=False, fontsize=9, loc="upper left")
    return finish(
        figure,
        "profiles",
        title="How many trials does each arm need, over data sets?",
        aid="Above a number of trials, the line is the share of the data sets on which that arm has an even chance of a share of "
        "the way from a guess to the best trial there. Further left and higher is faster.",
        alt=f"Share of {len(needed)} data sets on which each arm reaches {', '.join(SHARES)} trial, against trials.",
        table=table,
    )


def profile_table(needed: Mapping[str, Mapping[str, Sequence[TrialsNeeded]]]) -> pd.DataFrame:
    """Return a row for each study, target and arm, with the trials that it needs for an even chance."""
    rows = [
        {"study": study, "target": target, "arm": each.arm.name, "trials": each.median}
        for study, of_study in needed.items()
        for target, all_needed in of_study.items()
        for each in all_needed
    ]
    return pd.DataFrame(rows)
