"""The figure of the probability that one search beats another, after n trials of each."""

from __future__ import annotations

import pandas as pd

from pipeline.report.comparison import Comparison
from pipeline.report.formatting import count, label, probability, title
from pipeline.report.improvement import Improvement, improvement_band
from pipeline.report.style import INK, MUTED, Plot, canvas, finish, styled, trial_axis


@styled
def win_probability(comparison: Comparison, found: Improvement) -> Plot:
    """P(first beats second) after n trials, the mean over blocks with its band; validation's view dotted."""
    figure, (ax,) = canvas(height=3.2)
    mean, low, high = improvement_band(found)
    ax.axhline(0.5, color=MUTED, linewidth=0.8)
    ax.fill_between(found.budgets, low, high, step="post", color=INK, alpha=0.15, linewidth=0)
    ax.plot(found.budgets, mean, color=INK, drawstyle="steps-post")
    promised = found.validation.mean(axis=0)
    ax.plot(found.budgets, promised, color=INK, linestyle=":", linewidth=1, drawstyle="steps-post")
    end = found.interval
    reach = [[end.estimate - end.low], [end.high - end.estimate]]
    ax.errorbar(
        [comparison.trials], [end.estimate], yerr=reach, color=INK, fmt="o", markersize=5, capsize=4, clip_on=False
    )
    trial_axis(ax, comparison.trials)
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel(f"P({label(comparison.first)} wins)")
    return finish(
        figure,
        "win_probability",
        title="Pick one search of each kind: which wins?",
        aid=f"The line is the probability that one {label(comparison.first)} has chosen a model with a higher test "
        f"accuracy than one of {title(comparison.second)} after n trials, draws counting half; the band is its 95% "
        "interval over blocks, the dotted line the same for validation accuracy, and at one half neither is better. "
        f"The whisker after {count(comparison.trials, 'trial')} is the interval that is quoted.",
        alt=f"After {count(comparison.trials, 'trial')} {title(comparison.first)} wins with probability "
        f"{probability(found.interval)}.",
        table=pd.DataFrame({"trials": found.budgets, "p": mean, "low": low, "high": high, "p_validation": promised}),
    )
