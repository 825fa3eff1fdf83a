"""The figures of Bergstra and Bengio's experiment over several data sets: efficiency curves and relevance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.report.arm_titles import label, title
from pipeline.report.efficiency import Efficiency, shortened
from pipeline.report.formatting import capital, count, percent
from pipeline.report.importance import Importance
from pipeline.report.intervals import SHARE, mean_band
from pipeline.report.style import INK, MUTED, PAPER, RULE, STYLES, Plot, finish, per_cent, styled

COLUMNS = 3
"""Panels side by side."""
DOTS = 12
"""Up to this number of experiments, each is a dot; more are a box."""


@styled
def efficiency_figure(by_study: Mapping[str, Efficiency]) -> Plot:
    """Draw a panel for each data set: the test accuracy of experiments of 1, 2, 4, ... random trials, and the grid's."""
    first = next(iter(by_study.values()))
    columns, rows = min(COLUMNS, len(by_study)), -(-len(by_study) // COLUMNS)
    figure = Figure(figsize=(2.15 * columns + 0.3, 1.75 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (name, efficiency) in zip(axes, shortened(by_study).items(), strict=False):
        _panel(ax, efficiency)
        ax.set_title(name, fontsize=9)
    for ax in axes[len(by_study) :]:
        ax.set_axis_off()
    figure.supxlabel(f"trials of an experiment of {label(first.arm)}", fontsize=10)
    figure.supylabel("test accuracy", fontsize=10)
    return finish(
        figure,
        "efficiency",
        title="How good are small experiments?",
        aid="Each box is the middle half of the experiments of a size, over all blocks, its line the median and its whiskers "
        f"the ends, which may lie below the panel; few experiments are dots. The dashed line is the mean of all trials of {title(first.grid)} over blocks. A "
        "trial counts by its probability of being the best on validation rows.",
        alt=capital("; ".join(_words(name, efficiency) for name, efficiency in shortened(by_study).items())) + ".",
        table=pd.concat([_rows(name, efficiency) for name, efficiency in by_study.items()], ignore_index=True),
    )


def _panel(ax: Axes, efficiency: Efficiency) -> None:
    colour, (grid_colour, _) = STYLES["random"][0], STYLES["grid"]
    values = [np.concatenate(list(blocks)) for blocks in efficiency.scores.values()]
    for place, scores in enumerate(values):
        if len(scores) <= DOTS:
            ax.plot([place] * len(scores), scores, "o", color=colour, markersize=2.5, markeredgewidth=0)
            continue
        lines = {"color": colour, "linewidth": 0.9}
        ax.boxplot(
            scores, positions=[place], widths=0.6, whis=(0, 100), manage_ticks=False, patch_artist=True,
            boxprops={"edgecolor": colour, "facecolor": "none", "linewidth": 0.9}, whiskerprops=lines, capprops=lines,
            medianprops={"color": INK, "linewidth": 1.4},
        )  # fmt: skip
    ax.axhline(efficiency.whole.mean(), color=grid_colour, linestyle=(0, (4, 2)), linewidth=1.4)
    ax.set_xticks(range(len(values)), labels=[str(size) for size in efficiency.scores], fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.yaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlim(-0.7, len(values) - 0.3)
    ax.set_ylim(
        bottom=float(min(np.quantile(values[0], 0.25), efficiency.whole.mean())) - 0.02
    )  # the rest is far below
    ax.grid(axis="y", color=RULE, linewidth=0.5)


def _words(name: str, efficiency: Efficiency) -> str:
    size = max(size for size in efficiency.scores if size <= 8)
    share = percent(efficiency.at_least_as_good(size), 0)
    return f"{name}: {share} of the experiments of {count(size, 'trial')} are at least as good as the grid"


def _rows(name: str, efficiency: Efficiency) -> pd.DataFrame:
    """Return quartiles of the experiments of each size, and how far their mean is ahead of the grid."""
    rows = []
    for size, blocks in efficiency.scores.items():
        scores = np.concatenate(list(blocks))
        quartiles = dict(
            zip(
                ("least", "quarter", "median", "three_quarters", "greatest"),
                np.quantile(scores, np.arange(5) / 4),
                strict=True,
            )
        )
        row = {"study": name, "trials": size, "experiments": len(scores), **quartiles, "grid": efficiency.whole.mean()}
        rows.append(
            row | efficiency.ahead(size).named("ahead") | {"at_least_as_good": efficiency.at_least_as_good(size)}
        )
    return pd.DataFrame(rows)


@styled
def relevance_figure(by_study: Mapping[str, Importance]) -> Plot:
    """Draw the share of variance that each hyperparameter explains on each data set; a full dot is above noise."""
    names = list(next(iter(by_study.values())).names)
    shares = np.array([mean_band(i.variance, within=SHARE)[0] for i in by_study.values()])
    above = np.array([importance.above_noise for importance in by_study.values()])
    order = np.argsort(shares.mean(axis=0), kind="stable")
    figure = Figure(figsize=(1.9 + 0.62 * len(by_study), 1.2 + 0.36 * len(names)), layout="constrained")
    ax = figure.subplots()
    for row, i in enumerate(order):
        for column, (share, marks) in enumerate(zip(shares[:, i], above[:, :, i], strict=True)):
            fill = STYLES["random"][0] if marks.all() else MUTED if marks.any() else PAPER
            ax.scatter(
                column,
                row,
                s=1 + 600 * share,
                color=fill,
                edgecolor=MUTED if not marks.all() else "none",
                linewidth=0.8,
            )
            if share >= 0.1:
                ax.annotate(
                    percent(share, 0),
                    (column, row),
                    (0, 13),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                    color=INK,
                )
    ax.set_yticks(range(len(names)), labels=[names[i] for i in order])
    ax.set_xticks(
        range(len(by_study)),
        labels=list(shortened(by_study)),
        rotation=40,
        ha="right",
        rotation_mode="anchor",
        fontsize=8,
    )
    ax.set_xlim(-0.6, len(by_study) - 0.4)
    ax.set_ylim(-0.6, len(names) - 0.2)
    ax.tick_params(length=0, labelcolor=INK)
    ax.grid(color=RULE, linewidth=0.5)
    return finish(
        figure,
        "relevance",
        title="Do the same hyperparameters matter everywhere?",
        aid="The area of a dot is the share of the variance of validation accuracy that a hyperparameter explains alone (fANOVA, "
        "mean over blocks). Blue: above noise by fANOVA and by PED-ANOVA, grey: by one of them, empty: by none. Noise is the same "
        "computation on shuffled scores.",
        alt=capital("; ".join(_leading(name, importance) for name, importance in shortened(by_study).items())) + ".",
        table=pd.concat(
            [_relevance_rows(name, importance) for name, importance in by_study.items()], ignore_index=True
        ),
    )


def _leading(name: str, importance: Importance) -> str:
    mean = mean_band(importance.variance, within=SHARE)[0]
    most = int(mean.argmax())
    return f"on {name}, {importance.names[most]} explains most, {percent(float(mean[most]), 0)}"


def _relevance_rows(name: str, importance: Importance) -> pd.DataFrame:
    mean, low, high = mean_band(importance.variance, within=SHARE)
    separates, explains = importance.above_noise
    columns = {"hyperparameter": importance.names, "variance_share": mean, "low": low, "high": high}
    noise = {"noise_median": importance.noise, "above_noise_fanova": explains, "above_noise_ped_anova": separates}
    return pd.DataFrame({"study": name, **columns, **noise})
