"""The figures of the tuning curves: how good the best model is after n trials, and by how much two arms differ."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.ticker import PercentFormatter

from pipeline.report.comparison import Comparison
from pipeline.report.curves import Curve
from pipeline.report.intervals import mean_band
from pipeline.report.style import INK, MUTED, RULE, STYLE, Dash, Plot, canvas, finish, label_ends, trial_axis
from pipeline.report.words import capital, count, label, listed, number, percent, point, points, title

Looks = dict[str, tuple[str, Dash]]


def hero(curves: list[Curve], looks: Looks) -> Plot:
    """Test accuracy of the choice after n trials, a line and a band for each arm, with its validation accuracy dotted."""
    last = max(int(curve.budgets[-1]) for curve in curves)
    with mpl.rc_context(STYLE):
        figure, (ax,) = canvas()
        for curve in curves:
            colour, dash = looks[curve.arm.name]
            mean, low, high = mean_band(curve.test)
            ax.fill_between(curve.budgets, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
            ax.plot(curve.budgets, mean, color=colour, linestyle=dash, drawstyle="steps-post")
            ax.plot(curve.budgets, curve.validation.mean(0), color=colour, linestyle=":", linewidth=1)
        trial_axis(ax, last)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        ax.set_ylabel("accuracy of the chosen model")
        ax.grid(axis="y", color=RULE, linewidth=0.6)
        label_ends(ax, [(c.arm, float(c.budgets[-1]), float(c.test.mean(0)[-1])) for c in curves], looks)
    ends = [_end(curve) for curve in curves]
    return finish(
        figure,
        "best_after_n",
        title="How good is your best model after n trials?",
        aid="Read up from a number of trials: the line is the test accuracy of the model that validation would have chosen "
        "by then, the mean over blocks; the band is its 95% interval; the dotted line is what validation promised. "
        "Overlap of two bands is not a test: the next figure is.",
        alt=f"Accuracy of the chosen model against the number of trials. {capital('; '.join(ends))}.",
        table=curve_table(curves),
    )


def _end(curve: Curve) -> str:
    n = int(curve.budgets[-1])
    return f"{title(curve.arm)} reaches {percent(curve.test.mean(0)[-1])} test accuracy after {count(n, 'trial')}"


def curve_table(curves: list[Curve]) -> pd.DataFrame:
    """The numbers of the curves: a row for each arm and number of trials."""
    frames = []
    for curve in curves:
        mean, low, high = mean_band(curve.test)
        columns = {"trials": curve.budgets, "test": mean, "test_low": low, "test_high": high}
        frames.append(pd.DataFrame({"arm": curve.arm.name, **columns, "validation": curve.validation.mean(0)}))
    return pd.concat(frames, ignore_index=True)


def difference(comparison: Comparison, delta: float) -> Plot:
    """First minus second after n trials: each block thin, their mean and its band, and what was declared to matter."""
    mean, low, high = (100 * x for x in mean_band(comparison.test))
    first, second = label(comparison.first), label(comparison.second)
    with mpl.rc_context(STYLE):
        figure, (ax,) = canvas()
        ax.axhspan(-100 * delta, 100 * delta, color=RULE, alpha=0.6, linewidth=0)
        ax.plot(
            comparison.budgets, 100 * comparison.test.T, color=MUTED, linewidth=0.5, alpha=0.6, drawstyle="steps-post"
        )
        ax.fill_between(comparison.budgets, low, high, step="post", color=INK, alpha=0.15, linewidth=0)
        ax.plot(comparison.budgets, mean, color=INK, drawstyle="steps-post")
        ax.axhline(0, color=INK, linewidth=0.8)
        trial_axis(ax, comparison.trials)
        ax.set_ylabel(f"points of test accuracy\n{second} ahead  ←  →  {first} ahead")
    size, bottom, top = points(comparison.evidence.interval)
    columns = {"trials": comparison.budgets, "difference": mean / 100, "low": low / 100, "high": high / 100}
    blocks = {f"block_{b}": row for b, row in zip(comparison.blocks, comparison.test, strict=True)}
    return finish(
        figure,
        "difference",
        title=f"By how much does {title(comparison.first)} differ from {title(comparison.second)}?",
        aid=f"Above zero {title(comparison.first)} is ahead; thin lines are the blocks, the band is the 95% interval of "
        f"their mean, and differences inside the grey strip (±{point(delta)} points) were declared not to matter. Only "
        f"the right edge, at {count(comparison.trials, 'trial')}, is tested.",
        alt=f"{capital(first)} minus {second} after {count(comparison.trials, 'trial')}: {size} points, 95% interval "
        f"{bottom} to {top}; in the {len(comparison.blocks)} blocks "
        f"{listed([number(100 * d, 2) for d in comparison.evidence.differences])}.",
        table=pd.DataFrame({**columns, **blocks}),
    )
