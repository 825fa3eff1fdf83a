"""The figure of all pairs: how often the arm of a row beats the arm of a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.report.comparison import Pair
from pipeline.report.formatting import label, listed, number
from pipeline.report.intervals import Interval
from pipeline.report.style import INK, Plot, canvas, finish, styled
from pipeline.study.spec import Arm


@styled
def matrix(pairs: Sequence[Pair], arms: Sequence[Arm]) -> Plot:
    """P(row beats column) in every cell, with its interval beneath."""
    A = len(arms)
    figure, (ax,) = canvas(height=0.8 + 0.7 * A)
    place = {arm.name: i for i, arm in enumerate(arms)}
    shown = np.full((A, A), np.nan)
    for pair in pairs:
        i, j = place[pair.comparison.first.name], place[pair.comparison.second.name]
        p = pair.improvement.interval
        shown[i, j], shown[j, i] = p.estimate, 1 - p.estimate
        _write(ax, i, j, p)
        _write(ax, j, i, Interval(1 - p.estimate, 1 - p.high, 1 - p.low))
    ax.pcolormesh(np.ma.masked_invalid(shown), cmap="PuOr", vmin=0, vmax=1, alpha=0.45, edgecolors="none")
    names, centres = [label(arm) for arm in arms], np.arange(A) + 0.5
    ax.set_xticks(centres, labels=names)
    ax.set_yticks(centres, labels=names)
    ax.tick_params(length=0, labelcolor=INK, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    ax.invert_yaxis()
    return finish(
        figure,
        "pairs",
        title="Each arm against each other",
        aid="A cell is the probability that the arm of its row has chosen a better model than the arm of its column, with "
        "the 95% interval beneath; one half means that neither is better.",
        alt=f"Probability of a win after all trials: {listed([_odds(pair) for pair in pairs])}.",
        table=pair_table(pairs),
    )


def _write(ax: Axes, row: int, column: int, p: Interval) -> None:
    text = f"{number(p.estimate, 2)}\n{number(p.low, 2)} to {number(p.high, 2)}"
    ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=10)


def _odds(pair: Pair) -> str:
    first, second = label(pair.comparison.first), label(pair.comparison.second)
    return f"{first} over {second} {number(pair.improvement.interval.estimate, 2)}"


def pair_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """A row for each pair: difference, probability of improvement, and p, plain and corrected for all pairs."""
    rows: list[dict[str, str | float]] = []
    for pair in pairs:
        seen, wins = pair.comparison.difference, pair.improvement.interval
        arms = {"first": pair.comparison.first.name, "second": pair.comparison.second.name}
        gap = {"difference": seen.interval.estimate, "low": seen.interval.low, "high": seen.interval.high}
        odds = {"p_win": wins.estimate, "p_win_low": wins.low, "p_win_high": wins.high}
        rows.append({**arms, **gap, **odds, "p": seen.p, "p_corrected": pair.corrected_p})
    return pd.DataFrame(rows)
