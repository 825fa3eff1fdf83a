"""The figure of the configurations that the arms tried, by two hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.ticker import PercentFormatter

from pipeline.report.arm_titles import label
from pipeline.report.curves import Pool
from pipeline.report.formatting import capital, count, listed, percent
from pipeline.report.style import MUTED, Plot, canvas, finish, styled
from pipeline.study.spec import Float, SearchSpace
from pipeline.training.metrics import BEST_VAL_ACCURACY


@styled
def projection_figure(pools: Sequence[Pool], space: SearchSpace, x: str, y: str) -> Plot:
    """Draw a panel for each pool: its configurations by hyperparameters ``x`` and ``y``, coloured by validation accuracy.

    Ticks along the edges mark the values that were tried.
    """
    figure, axes = canvas(height=3.5, panels=len(pools), sharex=True, sharey=True)
    lowest = min(pool.validation.min() for pool in pools)
    highest = max(lowest + 1e-6, *(pool.validation.max() for pool in pools))  # equal limits would have no colours
    for ax, pool in zip(axes, pools, strict=True):
        dots = _panel(ax, pool, space, (x, y), (lowest, highest))
    axes[0].set_ylabel(y)
    bar = figure.colorbar(dots, ax=list(axes), label="validation accuracy", format=PercentFormatter(1, decimals=0))
    bar.outline.set_visible(False)
    tried = [f"{label(pool.arm)} tried {count(pool.frame[x].nunique(), 'value')} of {x}" for pool in pools]
    frame = pd.concat([pool.frame for pool in pools])[["arm", "block", "trial", x, y, BEST_VAL_ACCURACY]]
    return finish(
        figure,
        "projection",
        title=f"{capital(listed(tried))}.",
        aid=f"Each dot is a trial of block {pools[0].block}, its colour its validation accuracy; the ticks along the edges "
        "are the values of one hyperparameter that were tried, all that an arm can learn about it alone.",
        alt=f"In block {pools[0].block} {listed(tried)}; their best validation accuracies are "
        f"{listed([percent(pool.validation.max()) for pool in pools])}.",
        table=frame,
    )


def _panel(
    ax: Axes, pool: Pool, space: SearchSpace, names: tuple[str, str], limits: tuple[float, float]
) -> PathCollection:
    for name, set_scale in zip(names, (ax.set_xscale, ax.set_yscale), strict=True):
        dimension = space[name]
        set_scale("log" if isinstance(dimension, Float) and dimension.log else "linear")
    x, y = (pool.frame[name] for name in names)
    dots = ax.scatter(x, y, c=pool.validation, vmin=limits[0], vmax=limits[1], s=16, cmap="cividis", linewidths=0)
    ax.plot(x, [0.0] * len(x), "|", color=MUTED, transform=ax.get_xaxis_transform(), markersize=9, markeredgewidth=0.7)
    ax.plot([0.0] * len(y), y, "_", color=MUTED, transform=ax.get_yaxis_transform(), markersize=9, markeredgewidth=0.7)
    ax.set_xlabel(names[0])
    ax.set_title(label(pool.arm))
    return dots
