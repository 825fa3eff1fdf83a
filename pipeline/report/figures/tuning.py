"""The figures of the tuning curves: how good the best model is after n trials, and by how much two arms differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pipeline.report.comparison import Comparison
from pipeline.report.curves import Curve
from pipeline.report.formatting import capital, count, label, listed, number, percent, point, points, title
from pipeline.report.intervals import DIFFERENCE, SHARE, Array, mean_band
from pipeline.report.style import (
    INK,
    MUTED,
    RULE,
    Looks,
    Plot,
    accuracy_axis,
    canvas,
    finish,
    label_ends,
    styled,
    trial_axis,
)

Budgets = NDArray[np.int64]
MANY = 3  # arms; the bands of more hide one another
CROWDED = 32  # the first N/32 trials are left of what the eye needs: they would press the rest together


@styled
def hero(curves: Sequence[Curve], looks: Looks, contrast: Sequence[str]) -> Plot:
    """Test accuracy of the choice after n trials, a line and a band for each arm, with its validation accuracy dotted.

    Of more than three arms, only those of the contrast have the band and the dots, so that one can be told from another.
    """
    figure, (ax,) = canvas()
    last = max(int(curve.budgets[-1]) for curve in curves)
    full = [curve for curve in curves if len(curves) <= MANY or curve.arm.name in contrast]
    for curve in curves:
        colour, dash = looks[curve.arm.name]
        ax.plot(curve.budgets, curve.test.mean(axis=0), color=colour, linestyle=dash, drawstyle="steps-post")
    for curve in full:
        colour, _ = looks[curve.arm.name]
        _, low, high = mean_band(curve.test, within=SHARE)
        ax.fill_between(curve.budgets, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        promised = curve.validation.mean(axis=0)
        ax.plot(curve.budgets, promised, color=colour, linestyle=":", linewidth=1, drawstyle="steps-post")
    trial_axis(ax, last)
    accuracy_axis(ax, "accuracy of the chosen model")
    shown = [(curve.budgets, values) for curve in full for values in (*_ends(curve), curve.validation.mean(0))]
    focus(ax, last, [*shown, *((curve.budgets, curve.test.mean(0)) for curve in curves)])
    label_ends(ax, [(c.arm, float(c.budgets[-1]), float(c.test.mean(axis=0)[-1])) for c in curves], looks)
    return finish(
        figure,
        "best_after_n",
        title="How good is your best model after n trials?",
        aid="Above a number of trials, the line is the test accuracy of the model that validation would have chosen by then "
        "(mean over blocks, with its 95% interval), and the dotted line is what validation promised"
        f"{'' if len(full) == len(curves) else ', both for the two arms that the verdict is about'}.",
        alt=f"Accuracy of the chosen model against the number of trials. {capital('; '.join(map(_end, curves)))}.",
        table=curve_table(curves),
    )


def _ends(curve: Curve) -> tuple[Array, Array]:
    """The band's ends, or the mean where a single block has no band."""
    mean, low, high = mean_band(curve.test, within=SHARE)
    return np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high)


def focus(ax: Axes, last: int, lines: Iterable[tuple[Budgets, NDArray[Any]]]) -> None:
    """Let y hold what the lines (x, y) show from the N/32-th trial on; what came before may enter from outside."""
    shown = np.concatenate([y[x >= last / CROWDED] for x, y in lines])
    margin = 0.05 * max(np.ptp(shown), 1e-3)
    ax.set_ylim(shown.min() - margin, shown.max() + margin)


def _end(curve: Curve) -> str:
    n = int(curve.budgets[-1])
    return f"{title(curve.arm)} reaches {percent(curve.test.mean(axis=0)[-1])} test accuracy after {count(n, 'trial')}"


def curve_table(curves: Sequence[Curve]) -> pd.DataFrame:
    """The numbers of the curves: a row for each arm and number of trials."""
    frames = []
    for curve in curves:
        mean, low, high = mean_band(curve.test, within=SHARE)
        columns = {"trials": curve.budgets, "test": mean, "test_low": low, "test_high": high}
        frames.append(pd.DataFrame({"arm": curve.arm.name, **columns, "validation": curve.validation.mean(axis=0)}))
    return pd.concat(frames, ignore_index=True)


@styled
def difference(comparison: Comparison, delta: float) -> Plot:
    """First minus second after n trials: each block thin, their mean and its band, and what was declared to matter."""
    figure, (ax,) = canvas()
    n, blocks = comparison.budgets, 100 * comparison.test
    mean, low, high = (100 * end for end in mean_band(comparison.test, within=DIFFERENCE))
    ax.axhspan(-100 * delta, 100 * delta, color=RULE, alpha=0.4, linewidth=0)
    for edge in (-100 * delta, 100 * delta):
        ax.axhline(edge, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.plot(n, blocks.T, color=MUTED, linewidth=0.6, alpha=0.6, drawstyle="steps-post")
    ax.fill_between(n, low, high, step="post", color=INK, alpha=0.15, linewidth=0)
    ax.plot(n, mean, color=INK, drawstyle="steps-post")
    ax.axhline(0, color=INK, linewidth=0.8)
    trial_axis(ax, comparison.trials)
    ax.set_ylabel(f"points of test accuracy\n← {label(comparison.second)}    {label(comparison.first)} →")
    focus(ax, comparison.trials, [*((n, row) for row in blocks), (n, np.full(len(n), 100 * delta)), (n, 0 * n)])
    return finish(
        figure,
        "difference",
        title=f"By how much does {title(comparison.first)} differ from {title(comparison.second)}?",
        aid=f"Above zero {title(comparison.first)} is ahead. Thin lines are the blocks, the band is the 95% interval of "
        f"their mean, and differences between the dashed lines (±{point(delta)} points) were declared not to matter.",
        alt=_differences(comparison),
        table=_difference_table(comparison),
    )


def _differences(comparison: Comparison) -> str:
    size, low, high = points(comparison.difference.interval)
    each = listed([number(100 * d, 2) for d in comparison.difference.by_block])
    many = f", 95% interval {low} to {high}; block by block {each}" if len(comparison.blocks) > 1 else " in one block"
    return (
        f"{capital(label(comparison.first))} minus {label(comparison.second)} after "
        f"{count(comparison.trials, 'trial')}: {size} points{many}."
    )


def _difference_table(comparison: Comparison) -> pd.DataFrame:
    mean, low, high = mean_band(comparison.test, within=DIFFERENCE)
    columns = {"trials": comparison.budgets, "difference": mean, "low": low, "high": high}
    blocks = {f"block_{b}": row for b, row in zip(comparison.blocks, comparison.test, strict=True)}
    return pd.DataFrame({**columns, **blocks})
