"""Plots of common kinds in the report's style: lines, histograms, scatter, images, decision regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.data import Split
from pipeline.report.style import INK, MUTED, RULE, Plot, canvas, finish, styled

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f", "#bcbd22", "#17becf")
TITLE_INCHES = 3.6  # the least width of a figure with a title above its panels
MARKED_POINTS = 30  # at most, for marks on the axes
Row = Mapping[str, Any]
"""A row of the table of a plot, by column."""
Lines = Mapping[str, tuple[Any, Any]]
"""The x and the y of each line, numbers or arrays, by its label."""


@styled
def lines(
    name: str,
    title: str,
    panels: Mapping[str, Lines],
    *,
    x: str,
    y: str,
    rows: Sequence[Row] | Mapping[str, Any] = (),
    log_x: bool = False,
    log_y: bool = False,
    limits: tuple[float, float] | None = None,
) -> Plot:
    """Draw lines in panels side by side.

    Parameters
    ----------
    name, title
        The name of the figure's files, and its title.
    panels
        The lines of each panel, by its heading; values that are not finite leave gaps.
    x, y
        The names of the axes; an axis of ``epoch`` has ticks at whole numbers only.
    rows
        The rows of the table, or its columns by name.
    log_x, log_y
        True for a logarithmic axis.
    limits
        The ends of the vertical axis, if they are not those of the lines.
    """
    figure, axes = canvas(3.4 * len(panels) + 1.2, 3.4, len(panels), sharey=True)
    for ax, (heading, drawn) in zip(axes, panels.items(), strict=True):
        for colour, (label, (at, values)) in zip(COLOURS * 3, drawn.items(), strict=False):
            ax.plot(at, np.where(np.isfinite(values), values, np.nan), color=colour, label=label, linewidth=1.4)
        ax.set(title=heading, xlabel=x, xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
        ax.grid(axis="y", color=RULE, linewidth=0.6)
        if x == "epoch":
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if limits:
            ax.set_ylim(*limits)
        if len(drawn) > 1:
            ax.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel(y)
    alt = f"{title}: {y} against {x} in {len(panels)} panel(s)."
    return finish(figure, name, title=title, aid=alt, alt=alt, table=pd.DataFrame(rows))


@styled
def histograms(name: str, title: str, counts: Mapping[str, np.ndarray], edges: np.ndarray, rows: Sequence[Row]) -> Plot:
    """Draw a row of histograms for each label, with one for each layer's outputs; ``counts`` are (layers, bins)."""
    first, layers = next(iter(counts)), len(next(iter(counts.values())))
    figure = Figure(figsize=(max(TITLE_INCHES, 1.15 * layers), 1.0 * len(counts) + 0.9), layout="constrained")
    figure.suptitle(title, fontsize=9)
    figure.supxlabel("output of a unit", fontsize=8)
    figure.supylabel("how often", fontsize=8)
    axes = figure.subplots(len(counts), layers, sharex=True, squeeze=False)
    for row, (label, layered) in zip(axes, counts.items(), strict=True):
        for i, (ax, heights) in enumerate(zip(row, layered, strict=True)):
            ax.stairs(heights, edges, fill=True, color=COLOURS[0])
            ax.set_yticks([])
            ax.tick_params(labelsize=7)
            if label == first:
                ax.set_title(f"layer {i + 1}", fontsize=8)
        row[0].set_ylabel(label, fontsize=8, rotation=0, ha="right")
    alt = f"{title}: a histogram of each layer's outputs for {', '.join(counts)}."
    return finish(figure, name, title=title, aid=alt, alt=alt, table=pd.DataFrame(rows))


@styled
def scatter(
    name: str,
    title: str,
    panels: Mapping[str, Sequence[np.ndarray]],
    *,
    x: str,
    y: str,
    colour: str,
    rows: Sequence[Row],
    log: bool = True,
) -> Plot:
    """Draw points (x, y, colour) in each panel; marks on the axes show the values of up to 30."""
    figure, axes = canvas(3.4 * len(panels) + 1, 3.4, len(panels), sharex=True, sharey=True)
    values = np.concatenate([c for _, _, c in panels.values()])
    for ax, (heading, (xs, ys, c)) in zip(axes, panels.items(), strict=True):
        drawn = ax.scatter(xs, ys, c=c, vmin=values.min(), vmax=values.max(), cmap="viridis", edgecolor=INK, zorder=3)
        ax.set(title=heading, xlabel=x, xscale="log" if log else "linear", yscale="log" if log else "linear")
        if len(xs) <= MARKED_POINTS:
            ax.plot(xs, np.zeros(len(xs)), "|", color=MUTED, transform=ax.get_xaxis_transform(), clip_on=False)
            ax.plot(np.zeros(len(ys)), ys, "_", color=MUTED, transform=ax.get_yaxis_transform(), clip_on=False)
    axes[0].set_ylabel(y)
    figure.colorbar(drawn, ax=list(axes), label=colour)
    alt = f"{title}: {y} against {x}, coloured by {colour}, for {', '.join(panels)}."
    return finish(figure, name, title=title, aid=alt, alt=alt, table=pd.DataFrame(rows))


@styled
def images(
    name: str, title: str, stacks: Mapping[str, np.ndarray], rows: Sequence[Row], headings: Sequence[str] = ()
) -> Plot:
    """Draw a row of images for each label, from weights (H, height, width) or (H, height, width, 3).

    ``headings`` are written above the images of the first row.
    """
    width = max(len(stack) for stack in stacks.values())
    size = max(TITLE_INCHES, 0.55 * width + 1.2), 0.62 * len(stacks) + 0.9
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=9)
    figure.supxlabel("each from its lowest weight (black) to its highest (white)", fontsize=7)
    axes = figure.subplots(len(stacks), width, squeeze=False)
    for ax, heading in zip(axes[0], headings, strict=False):
        ax.set_title(heading, fontsize=7)
    for row, (label, pictures) in zip(axes, stacks.items(), strict=True):
        for ax in row:
            ax.set_axis_off()
        for ax, picture in zip(row, pictures, strict=False):
            low, high = picture.min(), picture.max()
            ax.imshow((picture - low) / (high - low or 1), cmap="gray")
        row[0].text(-0.3, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=8)
    alt = f"{title}: the weights into each hidden unit as an image, {', '.join(filter(None, stacks)) or 'for one network'}."
    return finish(figure, name, title=title, aid=alt, alt=alt, table=pd.DataFrame(rows))


@styled
def decision_regions(
    name: str,
    title: str,
    panels: Mapping[str, np.ndarray],
    learned: Split,
    *,
    extent: tuple[float, float, float, float],
    rows: Sequence[Row],
) -> Plot:
    """Draw the classes that a classifier predicts over the plane, (n, n) labels in each panel, and its training rows."""
    figure, axes = canvas(3.2 * len(panels) + 0.4, 3.2, len(panels))
    for ax, (heading, predicted) in zip(axes, panels.items(), strict=True):
        classes = int(learned.labels.max()) + 1
        levels = (np.arange(classes + 1) - 0.5).tolist()
        ax.contourf(predicted, levels=levels, extent=extent, colors=COLOURS[:classes], alpha=0.3)
        colours = [COLOURS[label] for label in learned.labels]
        ax.scatter(learned.inputs[:, 0], learned.inputs[:, 1], c=colours, s=8, edgecolor="none")
        ax.set(title=heading, xticks=[], yticks=[], aspect="equal")
    alt = f"{title}: the regions of each class for {', '.join(panels)}."
    return finish(figure, name, title=title, aid=alt, alt=alt, table=pd.DataFrame(rows))
