"""The figures of distributions: the scores of all trials, and the final accuracy of each block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter
from scipy import stats

from pipeline.report.arm_titles import label
from pipeline.report.curves import Curve, Pool
from pipeline.report.formatting import capital, listed, percent
from pipeline.report.style import (
    INK,
    MUTED,
    RULE,
    ArmStyles,
    Plot,
    accuracy_axis,
    canvas,
    finish,
    per_cent,
    styled,
    tilted,
)


@styled
def scores_figure(pools: Mapping[str, Sequence[Pool]], styles: ArmStyles) -> Plot:
    """Draw the share of trials that score at most a validation accuracy, for each arm that does not adapt."""
    figure, (ax,) = canvas(height=3.2)
    frames: list[pd.DataFrame] = []
    medians = []
    for name, arm_pools in pools.items():
        values = np.concatenate([pool.validation for pool in arm_pools])
        cdf = stats.ecdf(values).cdf
        colour, dash = styles[name]
        arm = label(arm_pools[0].arm)
        ax.plot(cdf.quantiles, cdf.probabilities, color=colour, linestyle=dash, drawstyle="steps-post", label=arm)
        medians.append(f"{arm} {percent(float(np.median(values)))}")
        frames.append(pd.DataFrame({"arm": name, "val_accuracy": cdf.quantiles, "share": cdf.probabilities}))
    ax.xaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.yaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.set_xlabel("validation accuracy of a trial")
    ax.set_ylabel("trials at or below")
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=10, handlelength=2.6)  # covers no line
    return finish(
        figure,
        "scores",
        title="How easy is the space?",
        aid="Read up from an accuracy: the line is the share of all trials that did no better, which says how easy the "
        "space is and not how good a search is.",
        alt=f"Median validation accuracy of a trial: {listed(medians)}.",
        table=pd.concat(frames, ignore_index=True),
    )


@styled
def finals_figure(curves: Sequence[Curve], styles: ArmStyles) -> Plot:
    """Draw the final test accuracy of each arm in each block; lines join the dots of a block."""
    figure, (ax,) = canvas(height=3.2)
    common = sorted(set.intersection(*(set(curve.blocks) for curve in curves)))
    ends = np.array([curve.test[[curve.blocks.index(b) for b in common], -1] for curve in curves])
    ax.plot(range(len(curves)), ends, color=MUTED, linewidth=0.7, alpha=0.7)
    for x, (curve, y) in enumerate(zip(curves, ends, strict=True)):
        ax.plot([x] * len(y), y, "o", color=styles[curve.arm.name][0], markersize=5, markeredgewidth=0)
    ax.set_xticks(range(len(curves)), labels=[label(curve.arm) for curve in curves], **tilted(len(curves), "right"))
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.set_xlim(-0.4, len(curves) - 0.6)
    accuracy_axis(ax, "test accuracy of the choice")
    ranges = [
        f"{label(c.arm)} {percent(y.min())} to {percent(y.max())}" for c, y in zip(curves, ends, strict=True) if len(y)
    ]
    return finish(
        figure,
        "finals",
        title="What did each block end with?",
        aid="Each dot is the model that an arm chose in one block, after all of its trials; lines join the arms of a "
        "block, and mostly slope one way if there is a difference.",
        alt=f"Test accuracies of the chosen models: {capital(listed(ranges))}.",
        table=pd.DataFrame({"block": common, **{curve.arm.name: y for curve, y in zip(curves, ends, strict=True)}}),
    )
