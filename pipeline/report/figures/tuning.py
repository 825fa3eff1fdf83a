"""The figures of the tuning curves: the score of the choice after n trials, and the difference of arms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.transforms import Bbox, TransformedBbox

from pipeline.report.arm_titles import label, title
from pipeline.report.comparison import Comparison
from pipeline.report.curves import Curve
from pipeline.report.formatting import amount, capital, count, listed, number, point, points, value
from pipeline.report.intervals import Array, Interval, mean_band
from pipeline.report.style import (
    INK,
    MUTED,
    RULE,
    ArmStyles,
    Plot,
    canvas,
    finish,
    label_ends,
    limit_y,
    styled,
    trial_axis,
    value_axis,
)

ARMS_WITH_BANDS = 3  # the bands of more arms hide one another
STEEP = 0.4  # the left part of the axis of trials that does not count for the limits of y: it would flatten the rest


@styled
def tuning_figure(curves: Sequence[Curve], styles: ArmStyles, contrast: Sequence[str]) -> Plot:
    """Draw the test value of the choice after n trials: line and band by arm, validation value dotted.

    With more than three arms, only those of the contrast have a band and a dotted line, so that they stay readable.
    """
    figure, (ax,) = canvas()
    metric = curves[0].metric
    last = max(int(curve.budgets[-1]) for curve in curves)
    full = [curve for curve in curves if len(curves) <= ARMS_WITH_BANDS or curve.arm.name in contrast]
    for curve in curves:
        colour, dash = styles[curve.arm.name]
        ax.plot(curve.budgets, curve.test.mean(axis=0), color=colour, linestyle=dash, drawstyle="steps-post")
    bands, counted = [], last**STEEP
    for curve in full:
        colour, _ = styles[curve.arm.name]
        _, low, high = mean_band(curve.test, within=metric.range)
        bands += [end[curve.budgets >= counted] for end in (low, high)]
        ax.fill_between(curve.budgets, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        ax.plot(
            curve.budgets,
            curve.validation.mean(axis=0),
            color=colour,
            linestyle=":",
            linewidth=1,
            drawstyle="steps-post",
        )
    trial_axis(ax, last)
    value_axis(ax, f"{metric.title} of the chosen model", metric)
    means = [(curve, curve.test.mean(axis=0)) for curve in curves]
    means += [(curve, curve.validation.mean(axis=0)) for curve in full]
    limit_y(ax, late_values(means), bands)
    label_ends(ax, [(c.arm, float(c.budgets[-1]), float(c.test.mean(axis=0)[-1])) for c in curves], styles)
    return finish(
        figure,
        "best_after_n",
        title="How good is your best model after n trials?",
        aid=f"Above a number of trials, the line is the test {metric.title} of the model that validation would have chosen by then "
        "(mean over blocks, with its 95% interval; equal trials share the choice), and the dotted line is what validation promised"
        f"{'' if len(full) == len(curves) else ', both for the two arms of the first contrast'}.",
        alt=f"{capital(metric.title)} of the chosen model against the number of trials. {capital('; '.join(map(_end, curves)))}.",
        table=curve_table(curves),
    )


def late_values(lines: Sequence[tuple[Curve, Array]]) -> list[Array]:
    """Return the values of lines of curves without those after the first trials, which would flatten the rest."""
    first = max(int(curve.budgets[-1]) for curve, _ in lines) ** STEEP
    return [values[curve.budgets >= first] for curve, values in lines]


def _end(curve: Curve) -> str:
    n, score = int(curve.budgets[-1]), value(curve.test.mean(axis=0)[-1], curve.metric)
    return f"{title(curve.arm)} reaches {score} test {curve.metric.title} after {count(n, 'trial')}"


def curve_table(curves: Sequence[Curve]) -> pd.DataFrame:
    """Return a row for each arm and number of trials."""
    frames = []
    for curve in curves:
        mean, low, high = mean_band(curve.test, within=curve.metric.range)
        columns = {"trials": curve.budgets, "test": mean, "test_low": low, "test_high": high}
        frames.append(pd.DataFrame({"arm": curve.arm.name, **columns, "validation": curve.validation.mean(axis=0)}))
    return pd.concat(frames, ignore_index=True)


@styled
def difference_figure(comparison: Comparison, delta: float, expected: Interval) -> Plot:
    """Draw first minus second after n trials: thin lines for blocks, their mean with a band, ±delta dashed.

    A dot with a whisker after the last trial is the ``expected`` difference, which the verdict is about.
    """
    figure, (ax,) = canvas()
    n, metric = comparison.budgets, comparison.metric
    mean, low, high = mean_band(comparison.test, within=metric.differences)
    scale = 100 if metric.is_share else 1
    ax.axhspan(-scale * delta, scale * delta, color=RULE, alpha=0.4, linewidth=0)
    for edge in (-scale * delta, scale * delta):
        ax.axhline(edge, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.plot(n, scale * comparison.test.T, color=MUTED, linewidth=0.6, alpha=0.6, drawstyle="steps-post")
    ax.fill_between(n, scale * low, scale * high, step="post", color=INK, alpha=0.15, linewidth=0)
    ax.plot(n, scale * mean, color=INK, drawstyle="steps-post")
    ax.axhline(0, color=INK, linewidth=0.8)
    whisker = scale * np.array([[expected.estimate - expected.low], [expected.high - expected.estimate]])
    dot = ax.errorbar(
        [comparison.trials],
        [scale * expected.estimate],
        yerr=None if np.isnan(whisker).any() else whisker,
        color=INK,
        fmt="o",
        markersize=5,
        capsize=4,
    )
    around = TransformedBbox(Bbox([[-0.1, 0], [1.1, 1]]), ax.transAxes)  # a dot on the right edge is whole
    for artist in dot.get_children():
        artist.set_clip_box(around)  # the whisker of few blocks is longer than the axis
    trial_axis(ax, comparison.trials)
    ax.set_ylabel(
        f"{'points of ' if metric.is_share else ''}test {metric.title}\n← {label(comparison.second)}    {label(comparison.first)} →"
    )
    blocks = scale * comparison.test[:, n >= comparison.trials**STEEP]
    limit_y(ax, [blocks.ravel(), np.array([0, scale * delta, scale * expected.estimate])])
    by_block = {f"block_{b}": row for b, row in zip(comparison.blocks, comparison.test, strict=True)}
    return finish(
        figure,
        "difference",
        title=f"By how much does {title(comparison.first)} differ from {title(comparison.second)}?",
        aid=f"Above zero {title(comparison.first)} is ahead. Thin lines are the blocks, the band is the 95% interval of "
        f"their mean, and differences between the dashed lines (±{amount(point(delta, metric), metric)}) were declared not to matter. The dot "
        f"after the last trial is the expected {metric.title} of the choice, with the interval that the verdict is about.",
        alt=_difference_text(comparison),
        table=pd.DataFrame({"trials": n, "difference": mean, "low": low, "high": high, **by_block}),
    )


def _difference_text(comparison: Comparison) -> str:
    metric = comparison.metric
    size, low, high = points(comparison.difference.interval, metric)
    scale, places = (100, 2) if metric.is_share else (1, 4)
    by_block = listed([number(scale * d, places) for d in comparison.difference.by_block])
    interval = (
        f", 95% interval {low} to {high}; block by block {by_block}" if len(comparison.blocks) > 1 else " in one block"
    )
    return (
        f"{capital(label(comparison.first))} minus {label(comparison.second)} after "
        f"{count(comparison.trials, 'trial')}: {amount(size, metric)}{interval}."
    )
