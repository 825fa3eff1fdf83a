"""Several studies side by side: their verdicts in a table, and their differences in one figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.report.analysis import Analysis
from pipeline.report.formatting import capital, count, label, listed, points
from pipeline.report.intervals import Array, Interval
from pipeline.report.style import INK, MUTED, Plot, canvas, finish, styled

TRIM = 0.25  # the share of values left out at each end, for the interquartile mean
FEWEST_BLOCKS = 4  # of each study, for the interval over studies


@dataclass(frozen=True)
class Overview:
    """Sentences on several studies, a table with a row for each, and a figure where studies have a comparison."""

    sentences: tuple[str, ...]
    table: pd.DataFrame
    plots: tuple[Plot, ...]


def overview(named: dict[str, Analysis]) -> Overview:
    """Return the overview of studies, which are given by the names that it shows."""
    table = pd.DataFrame([_row(name, analysis) for name, analysis in named.items()])
    compared = {name: analysis for name, analysis in named.items() if analysis.comparison}
    plots = (overview_figure(compared),) if compared else ()
    return Overview((_tally(named), *_together(compared)), table, plots)


def _row(name: str, analysis: Analysis) -> dict[str, str | float]:
    contrast = " - ".join(arm.name for arm in analysis.study.contrast)
    row: dict[str, str | float] = {"study": name, "dataset": analysis.study.dataset, "contrast": contrast}
    row |= {"verdict": analysis.verdict.label, "leader": analysis.verdict.leader or ""}
    if analysis.comparison and analysis.improvement:
        difference, wins = analysis.comparison.difference, analysis.improvement.interval
        interval = difference.interval
        row |= {"difference": interval.estimate, "low": interval.low, "high": interval.high}
        row |= {"p": difference.p, "p_win": wins.estimate, "blocks": len(analysis.comparison.blocks)}
    return row


def _tally(named: dict[str, Analysis]) -> str:
    """Return how many studies have each verdict, in the order in which the verdicts first appear."""
    verdicts = [(analysis.verdict.label, analysis.verdict.leader) for analysis in named.values()]
    tallies = [f"{leader + ' ' if leader else ''}{word} in {n}" for (word, leader), n in Counter(verdicts).items()]
    return capital(f"{count(len(named), 'study').replace('studys', 'studies')}: {', '.join(tallies)}.")


def _together(compared: dict[str, Analysis]) -> tuple[str, ...]:
    """Return a sentence on the interquartile mean over studies, if all compare the same two arms in enough blocks."""
    contrasts = {tuple(arm.name for arm in analysis.study.contrast) for analysis in compared.values()}
    blocks = [
        np.array(analysis.comparison.difference.by_block) for analysis in compared.values() if analysis.comparison
    ]
    if len(compared) < 2 or len(contrasts) > 1 or min(map(len, blocks)) < FEWEST_BLOCKS:
        return ()
    size, low, high = points(interquartile_mean(blocks))
    first, second = (label(arm) for arm in next(iter(compared.values())).study.contrast)
    sentence = (
        f"Together, the interquartile mean of the blocks' differences, {first} minus {second}, is {size} points of test "
        f"accuracy (95% bootstrap interval {low} to {high}, blocks resampled within each study). It describes these "
        "studies; it is no test."
    )
    return (sentence,)


def interquartile_mean(blocks: Sequence[Array]) -> Interval:
    """Return the mean of the middle half of all values, with a bootstrap interval that resamples within each study.

    ``blocks`` has an array for each study with the difference in each of its blocks.
    """

    def statistic(*samples: Array, axis: int = -1) -> Array:
        return np.asarray(stats.trim_mean(np.concatenate(samples, axis=axis), TRIM, axis=axis))

    estimate = float(statistic(*blocks))
    if all(np.ptp(sample) == 0 for sample in blocks):
        return Interval(estimate, estimate, estimate)
    interval = stats.bootstrap(
        tuple(blocks), statistic, vectorized=True, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(estimate, float(interval.low), float(interval.high))


@styled
def overview_figure(compared: dict[str, Analysis]) -> Plot:
    """Draw a row for each study: its difference and interval, and ticks at the difference that it declared to matter."""
    figure, (ax,) = canvas(height=1.3 + 0.42 * len(compared))
    texts = []
    for row, (name, analysis) in enumerate(compared.items()):
        interval = analysis.comparison.difference.interval if analysis.comparison else Interval(0, 0, 0)
        ax.plot([100 * interval.low, 100 * interval.high], [row, row], color=INK, linewidth=1.4)
        ax.plot([100 * interval.estimate], [row], "o", color=INK, markersize=6)
        for edge in (-100 * analysis.study.delta, 100 * analysis.study.delta):
            ax.plot([edge, edge], [row - 0.3, row + 0.3], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        size, low, high = points(interval)
        texts.append(f"{name} {size} ({low} to {high})")
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(compared)), labels=list(compared))
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(compared) - 0.5, -0.5)
    ax.set_xlabel("points of test accuracy, first arm minus second")
    return finish(
        figure,
        "overview",
        title="The studies side by side",
        aid="Each dot is a study's difference after all trials, with its 95% interval; between the dashed marks a "
        "difference was declared not to matter.",
        alt=f"Differences in points with 95% intervals: {listed(texts)}.",
        table=pd.DataFrame([_row(name, analysis) for name, analysis in compared.items()]),
    )
