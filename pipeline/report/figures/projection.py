"""The figure of the configurations that the arms tried, by two hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.ticker import LogLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from pipeline.report.arm_titles import label
from pipeline.report.curves import Pool
from pipeline.report.formatting import capital, count, listed, value
from pipeline.report.style import MUTED, Plot, canvas, finish, styled
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Range, SearchSpace

SHADES = "cividis"  # its ends vanish on white or on black paper, so each dot has an outline in the page's grey
PITCH = 4.8  # points from dot to dot of the trials of one cell
ROOMY = 150  # trials; the dots of more are smaller


@styled
def projection_figure(pools: Sequence[Pool], space: SearchSpace, x: str, y: str) -> Plot:
    """Draw a panel for each pool: its configurations by hyperparameters ``x`` and ``y``, coloured by validation value.

    Trials that share both values lie side by side. Ticks along the edges mark the values that were tried.
    """
    figure, axes = canvas(height=3.9, panels=len(pools), sharex=True, sharey=True)
    lowest = min(pool.validation.min() for pool in pools)
    highest = max(lowest + 1e-6, *(pool.validation.max() for pool in pools))  # equal limits would have no colours
    for ax, pool in zip(axes, pools, strict=True):
        dots = _panel(ax, pool, space, (x, y), (lowest, highest))
    axes[0].set_ylabel(y)
    metric = pools[0].metric
    place: dict[str, Any] = {"orientation": "horizontal", "aspect": 45}
    place |= {"format": PercentFormatter(1, decimals=0)} if metric.is_share else {}
    bar = figure.colorbar(dots, ax=list(axes), label=f"validation {metric.title}", **place)
    bar.outline.set_visible(False)
    others = "; they differ in other hyperparameters" if len(space) > 2 else ""
    best = "accuracies are" if metric is ACCURACY else f"{metric.title} is"
    tried = [f"{label(pool.arm)} tried {count(pool.frame[x].nunique(), 'value')} of {x}" for pool in pools]
    frame = pd.concat([pool.frame for pool in pools])[["arm", "block", "trial", x, y, metric.best_val]]
    return finish(
        figure,
        "projection",
        title=f"{capital(listed(tried))}.",
        aid=f"Each dot is a trial of block {pools[0].block}, its colour its validation {metric.title}. Trials with the same {x} and "
        f"{y} lie side by side around their place, the best first{others}. The ticks along the "
        "edges are the values of one hyperparameter that were tried, all that an arm can learn about it alone.",
        alt=f"In block {pools[0].block} {listed(tried)}; their best validation {best} "
        f"{listed([value(pool.validation.max(), metric) for pool in pools])}.",
        table=frame,
    )


def _panel(
    ax: Axes, pool: Pool, space: SearchSpace, names: tuple[str, str], limits: tuple[float, float]
) -> PathCollection:
    for name, axis in zip(names, (ax.xaxis, ax.yaxis), strict=True):
        dimension = space[name]
        if isinstance(dimension, Range) and dimension.log:
            (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
            axis.set_major_locator(LogLocator(numticks=4))
    ax.margins(0.18, 0.1)
    x, y = (pool.frame[name] for name in names)
    pitch = PITCH * min(1.0, (ROOMY / len(pool)) ** 0.5)
    dots = _dots(ax, pool, names, limits, pitch)
    ax.plot(x, [0.0] * len(x), "|", color=MUTED, transform=ax.get_xaxis_transform(), markersize=9, markeredgewidth=0.7)
    ax.plot([0.0] * len(y), y, "_", color=MUTED, transform=ax.get_yaxis_transform(), markersize=9, markeredgewidth=0.7)
    ax.set_xlabel(names[0])
    ax.set_title(label(pool.arm), fontsize=10)
    return dots


def _dots(ax: Axes, pool: Pool, names: tuple[str, str], limits: tuple[float, float], pitch: float) -> PathCollection:
    """Draw a dot for each trial, moved by its place among the trials of its cell."""
    shown = pool.frame.assign(moved=list(map(tuple, side_by_side(pool.frame, names, pool.metric.best_val) * pitch)))
    for (right, up), rows in shown.groupby("moved", sort=False):
        moved = ax.transData + ScaledTranslation(right / 72, up / 72, ax.figure.dpi_scale_trans)
        dots = ax.scatter(
            rows[names[0]],
            rows[names[1]],
            c=rows[pool.metric.best_val],
            vmin=limits[0],
            vmax=limits[1],
            s=(0.8 * pitch) ** 2,
            cmap=SHADES,
            edgecolors=MUTED,
            linewidths=0.6,
            transform=moved,
        )
    return dots


def side_by_side(frame: pd.DataFrame, names: Sequence[str], score: str = ACCURACY.best_val) -> np.ndarray:
    """Return where each trial's dot lies from the middle of its cell, in dots to the right and up, (M, 2).

    The trials with equal values of both hyperparameters form a rectangle, in rows from the best ``score`` at its top left.
    """
    groups = frame.groupby(list(names))[score]
    place = groups.rank(method="first", ascending=False).to_numpy(int) - 1
    size = groups.transform("size").to_numpy(int)
    columns = np.ceil(np.sqrt(size)).astype(int)
    rows = -(-size // columns)
    return np.column_stack([place % columns - (columns - 1) / 2, (rows - 1) / 2 - place // columns])
