"""The figures of the probability that one arm's search beats another's: after n trials, and for all pairs of arms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.report.arm_titles import label, title
from pipeline.report.comparison import Comparison, Pair
from pipeline.report.formatting import count, listed, number, probability
from pipeline.report.improvement import Improvement
from pipeline.report.intervals import SHARE, Interval, mean_band
from pipeline.report.style import INK, LEVEL_NAMES, MUTED, Plot, canvas, finish, styled, tilted, trial_axis
from pipeline.study.spec import Arm


@styled
def win_probability_figure(comparison: Comparison, improvement: Improvement) -> Plot:
    """P(first beats second) after n trials: the mean over blocks with its band; dotted, by validation value."""
    figure, (ax,) = canvas(height=3.2)
    mean, low, high = mean_band(improvement.test, within=SHARE)
    budgets, validation = improvement.budgets, improvement.validation.mean(axis=0)
    ax.axhline(0.5, color=MUTED, linewidth=0.8)
    ax.fill_between(budgets, low, high, step="post", color=INK, alpha=0.15, linewidth=0)
    ax.plot(budgets, mean, color=INK, drawstyle="steps-post")
    ax.plot(budgets, validation, color=INK, linestyle=":", linewidth=1, drawstyle="steps-post")
    last = improvement.interval
    whisker = [[last.estimate - last.low], [last.high - last.estimate]]
    ax.errorbar(
        [comparison.trials], [last.estimate], yerr=whisker, color=INK, fmt="o", markersize=5, capsize=4, clip_on=False
    )
    trial_axis(ax, comparison.trials)
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel(f"P({label(comparison.first)} wins)")
    trials = count(comparison.trials, "trial")
    return finish(
        figure,
        "win_probability",
        title="Pick one search of each kind: which wins?",
        aid=f"The line is the probability that one {label(comparison.first)} has chosen a model with a higher test "
        f"{comparison.metric.title} than one of {title(comparison.second)} after n trials, draws counting half; the band is its 95% "
        f"interval over blocks, the dotted line the same for validation {comparison.metric.title}, and at one half neither is better. "
        f"The whisker after {trials} is the interval that is quoted.",
        alt=f"After {trials} {title(comparison.first)} wins with probability {probability(last)}.",
        table=pd.DataFrame({"trials": budgets, "p": mean, "low": low, "high": high, "p_validation": validation}),
    )


@styled
def pairs_figure(pairs: Sequence[Pair], arms: Sequence[Arm]) -> Plot:
    """P(the arm of the row beats the arm of the column) in each cell, with its interval below."""
    A = len(arms)
    roomy = A <= LEVEL_NAMES
    figure, (ax,) = canvas(height=0.8 + (0.7 if roomy else 0.5) * A)
    place = {arm.name: i for i, arm in enumerate(arms)}
    shown = np.full((A, A), np.nan)
    for pair in pairs:
        i, j = place[pair.comparison.first.name], place[pair.comparison.second.name]
        p = pair.improvement.interval
        shown[i, j], shown[j, i] = p.estimate, 1 - p.estimate
        _write(ax, i, j, p, interval=roomy)
        _write(ax, j, i, Interval(1 - p.estimate, 1 - p.high, 1 - p.low), interval=roomy)
    ax.pcolormesh(np.ma.masked_invalid(shown), cmap="PuOr", vmin=0, vmax=1, alpha=0.45, edgecolors="none")
    names, centres = [label(arm) for arm in arms], np.arange(A) + 0.5
    ax.set_xticks(centres, labels=names, **tilted(A, "left"))
    ax.set_yticks(centres, labels=names)
    ax.tick_params(length=0, labelcolor=INK, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    ax.invert_yaxis()
    return finish(
        figure,
        "pairs",
        title="Each arm against each other",
        aid="A cell is the probability that the arm of its row has chosen a better model than the arm of its column, with "
        f"the 95% interval {'beneath' if roomy else 'in the table'}; one half means that neither is better.",
        alt=f"Probability of a win after all trials: {listed([_odds(pair) for pair in pairs])}.",
        table=_pairs_table(pairs),
    )


def _write(ax: Axes, row: int, column: int, p: Interval, *, interval: bool) -> None:
    ends = f"\n{number(p.low, 2)} to {number(p.high, 2)}" if interval else ""
    ax.text(column + 0.5, row + 0.5, f"{number(p.estimate, 2)}{ends}", ha="center", va="center", fontsize=10)


def _odds(pair: Pair) -> str:
    first, second = label(pair.comparison.first), label(pair.comparison.second)
    return f"{first} over {second} {number(pair.improvement.interval.estimate, 2)}"


def _pairs_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return a row for each pair: difference, probability of a win, and p, plain and corrected for all pairs."""
    rows: list[dict[str, str | float]] = []
    for pair in pairs:
        difference, wins = pair.comparison.expected_difference, pair.improvement.interval
        interval = difference.interval
        arms = {"first": pair.comparison.first.name, "second": pair.comparison.second.name}
        gap = {"difference": interval.estimate, "low": interval.low, "high": interval.high}
        odds = {"p_win": wins.estimate, "p_win_low": wins.low, "p_win_high": wins.high}
        rows.append({**arms, **gap, **odds, "p": difference.p, "p_corrected": pair.corrected_p})
    return pd.DataFrame(rows)
