"""The figures of distributions: the scores of all trials, and the final score of each block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.report.arm_titles import label
from pipeline.report.curves import Curve, Pool
from pipeline.report.formatting import capital, indefinite, listed, value
from pipeline.report.style import (
    INK,
    MUTED,
    RULE,
    ArmStyles,
    Plot,
    canvas,
    finish,
    in_per_cent,
    styled,
    tilted,
    value_axis,
)
from pipeline.study.metrics import ACCURACY


@styled
def scores_figure(pools: Mapping[str, Sequence[Pool]], styles: ArmStyles) -> Plot:
    """Draw the share of trials that score at most a validation value, for each arm that does not adapt."""
    figure, (ax,) = canvas(height=3.2)
    frames: list[pd.DataFrame] = []
    medians, metric = [], next(iter(pools.values()))[0].metric
    for name, arm_pools in pools.items():
        values = np.concatenate([pool.validation for pool in arm_pools])
        cdf = stats.ecdf(values).cdf
        colour, dash = styles[name]
        arm = label(arm_pools[0].arm)
        ax.plot(cdf.quantiles, cdf.probabilities, color=colour, linestyle=dash, drawstyle="steps-post", label=arm)
        medians.append(f"{arm} {value(float(np.median(values)), metric)}")
        frames.append(pd.DataFrame({"arm": name, f"val_{metric.name}": cdf.quantiles, "share": cdf.probabilities}))
    in_per_cent(ax.xaxis, metric)
    in_per_cent(ax.yaxis)
    ax.set_xlabel(f"validation {metric.title} of a trial")
    ax.set_ylabel("trials at or below")
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=10, handlelength=2.6)  # covers no line
    return finish(
        figure,
        "scores",
        title="How easy is the space?",
        aid=f"Read up from {indefinite(metric.title)}: the line is the share of all trials that did no better, which says how easy the "
        "space is and not how good a search is.",
        alt=f"Median validation {metric.title} of a trial: {listed(medians)}.",
        table=pd.concat(frames, ignore_index=True),
    )


@styled
def finals_figure(curves: Sequence[Curve], styles: ArmStyles) -> Plot:
    """Draw the final test value of each arm in each block; lines join the dots of a block."""
    figure, (ax,) = canvas(height=3.2)
    common = sorted(set.intersection(*(set(curve.blocks) for curve in curves)))
    ends = np.array([curve.test[[curve.blocks.index(b) for b in common], -1] for curve in curves])
    ax.plot(range(len(curves)), ends, color=MUTED, linewidth=0.7, alpha=0.7)
    for x, (curve, y) in enumerate(zip(curves, ends, strict=True)):
        ax.plot([x] * len(y), y, "o", color=styles[curve.arm.name][0], markersize=5, markeredgewidth=0)
    ax.set_xticks(range(len(curves)), labels=[label(curve.arm) for curve in curves], **tilted(len(curves), "right"))
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.set_xlim(-0.4, len(curves) - 0.6)
    metric = curves[0].metric
    value_axis(ax, f"test {metric.title} of the choice", metric)
    ranges = [
        f"{label(c.arm)} {value(y.min(), metric)} to {value(y.max(), metric)}"
        for c, y in zip(curves, ends, strict=True)
        if len(y)
    ]
    return finish(
        figure,
        "finals",
        title="What did each block end with?",
        aid="Each dot is the model that an arm chose in one block, after all of its trials; lines join the arms of a "
        "block, and mostly slope one way if there is a difference.",
        alt=f"{'Test accuracies' if metric is ACCURACY else f'Values of test {metric.title}'} of the chosen models: {capital(listed(ranges))}.",
        table=pd.DataFrame({"block": common, **{curve.arm.name: y for curve, y in zip(curves, ends, strict=True)}}),
    )
