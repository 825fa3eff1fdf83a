"""The figure of the winner: its training and validation accuracy and loss, and the study's metric, by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.report.formatting import capital, percent
from pipeline.report.style import INK, MUTED, PAPER, RULE, Plot, canvas, finish, styled, value_axis
from pipeline.study.metrics import ACCURACY, METRICS, Metric
from pipeline.training.metrics import TRAIN_ACCURACY, VAL_ACCURACY

ACCURACIES = (("training", TRAIN_ACCURACY), ("validation", VAL_ACCURACY))
LINES = {"train": (MUTED, (0, (4, 2))), "val": (INK, (0, ()))}


@styled
def winner_figure(name: str, curves: Mapping[str, Sequence[float]], best_epoch: int, metric: Metric = ACCURACY) -> Plot:
    """Draw a trial's curves, which are by metric key; a dot marks the epoch whose weights are kept."""
    kinds = tuple(dict.fromkeys((metric.name, "accuracy", "loss")))
    figure, axes = canvas(2.8 * len(kinds), 3.0, len(kinds))
    for ax, kind in zip(axes, kinds, strict=True):
        for part, (colour, dash) in LINES.items():
            values = np.asarray(curves.get(f"{part}/{kind}", ()), float)
            label = {"train": "training", "val": "validation"}[part]
            ax.plot(np.arange(1, len(values) + 1), values, color=colour, linestyle=dash, label=label)
            if part == "val" and len(values):
                ax.plot([best_epoch], [values[best_epoch - 1]], "o", color=INK, markeredgecolor=PAPER, markersize=6)
        _axes(ax, kind)
    axes[-2].legend(frameon=False, fontsize=9, loc="lower right", labelcolor=INK)
    drawn = "accuracy" if metric is ACCURACY else f"{metric.title} on validation rows, accuracy"
    ends = [f"{part} {percent(curves[key][best_epoch - 1])}" for part, key in ACCURACIES if curves.get(key)]
    return finish(
        figure,
        "winner",
        title=f"Curves of {name}",
        aid=f"{capital(drawn)} and loss of {name} by epoch: the solid line is of validation rows, the dashed one of training rows. The "
        f"dot is epoch {best_epoch}, the best by validation {metric.title}, whose weights are kept.",
        alt=f"{capital(drawn)} and loss of {name} by epoch; at epoch {best_epoch} {' and '.join(ends)} accuracy.",
        table=pd.DataFrame({"epoch": range(1, 1 + max(map(len, curves.values()))), **curves}),
    )


def _axes(ax: Axes, kind: str) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    if metric := METRICS.get(kind):
        value_axis(ax, metric.title, metric)
    else:
        ax.set_ylabel(kind)
        ax.grid(axis="y", color=RULE, linewidth=0.6)
