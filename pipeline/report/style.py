"""The style of the figures: a colour and dash for each sampler, axes, labels, and rendering as SVG and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from pipeline.report.arm_titles import label
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Arm

INK, MUTED, RULE, PAPER = "#1b1b1b", "#666667", "#d9d9da", "#fffffe"
PAGE_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)"}
Dash = tuple[int, tuple[int, ...]]
ArmStyles = dict[str, tuple[str, Dash]]
STYLES: dict[str, tuple[str, Dash]] = {
    "random": ("#0072b2", (0, ())),
    "shifted_grid": ("#d55e00", (0, (7, 2))),
    "grid": ("#009e73", (0, (7, 2, 2, 2))),
    "tpe": ("#cc79a7", (0, (4, 1))),
    "gp": ("#56b4e9", (0, (9, 2, 2, 2, 2, 2))),
    "sobol": ("#e69f00", (0, (2, 1))),
    "cmaes": (MUTED, (0, (11, 3))),
}
"""Okabe and Ito's colours, which colour-blind readers can tell apart; the dash tells lines apart without colour."""
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "babysit",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.color": MUTED,
    "ytick.labelsize": 10,
}
PNG_DPI = 160
LEVEL_NAMES = 4  # side by side; more would overlap
styled = mpl.rc_context(STYLE)
"""Decorates a function that draws, so that Matplotlib has the report's style inside it."""


@dataclass(frozen=True)
class Plot:
    """A finished figure.

    ``aid`` says in a sentence or two how to read it, ``alt`` gives its main numbers in words, and ``table`` has all its
    numbers. ``svg`` takes its ink from the page; ``png`` is on white.
    """

    name: str
    title: str
    aid: str
    alt: str
    table: pd.DataFrame
    svg: str
    png: bytes


def canvas(width: float = 5.6, height: float = 3.6, panels: int = 1, **options: Any) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure, in inches, and its axes side by side; without pyplot, so that no figure stays open."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels, **options)).flat)


@styled
def finish(figure: Figure, name: str, *, title: str, aid: str, alt: str, table: pd.DataFrame) -> Plot:
    """Render a figure as SVG and PNG, without a date, so that equal figures have equal bytes."""
    svg, png = io.StringIO(), io.BytesIO()
    if layout := figure.get_layout_engine():
        layout.execute(figure)  # computes the layout once for both files
        figure.set_layout_engine("none")
    # Not by savefig, which draws the figure twice for each file, the first time only for its size.
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    vector, pixels = cast("Any", FigureCanvasSVG(figure)), cast("Any", FigureCanvasAgg(figure))  # they have no types
    vector.print_svg(svg, metadata={"Date": None, "Creator": None})
    figure.patch.set_facecolor("white")
    figure.set_dpi(PNG_DPI)
    pixels.print_png(png, metadata={"Software": None})
    return Plot(name, title, aid, alt, table, _inline(svg.getvalue(), name, alt), png.getvalue())


def _inline(svg: str, name: str, alt: str) -> str:
    """Return the SVG element alone: identifiers begin with the figure's name; fonts and colours are those of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    for reference in (' id="', "url(#", 'href="#'):
        svg = svg.replace(reference, f"{reference}{name}-")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    quoted = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{quoted}">', svg, count=1)


def arm_styles(arms: Sequence[Arm]) -> ArmStyles:
    """Return the colour and dash of each arm, by name: those of its sampler, unless an earlier arm has them."""
    taken: ArmStyles = {}
    for arm in arms:
        free = [style for style in STYLES.values() if style not in taken.values()] or list(STYLES.values())
        preferred = STYLES.get(arm.sampler)
        taken[arm.name] = preferred if preferred and preferred in free else free[-1]
    return taken


def trial_axis(ax: Axes, last: int) -> None:
    """Set up a logarithmic axis of trials with ticks at 1, 2, 4, ... and the last."""
    powers = [2**i for i in range(30) if 2**i < last / 1.3]
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator([*powers, last]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_xlim(1, max(last, 2))
    ax.set_xlabel("trials")


def value_axis(ax: Axes, name: str, metric: Metric = ACCURACY) -> None:
    """Set up a vertical axis of a metric's values, shares in per cent, with grid lines."""
    in_per_cent(ax.yaxis, metric)
    ax.set_ylabel(name)
    ax.grid(axis="y", color=RULE, linewidth=0.6)


def in_per_cent(axis: Axis, metric: Metric = ACCURACY) -> None:
    """Label the ticks of an axis in per cent if the metric is a share."""
    if metric.is_share:
        axis.set_major_formatter(FuncFormatter(per_cent))


def limit_y(ax: Axes, shown: Sequence[NDArray[np.float64]], bands: Sequence[NDArray[np.float64]] = ()) -> None:
    """Set the limits of y to the values that are to be shown; lines may leave the axes elsewhere."""
    ax.set_ylim(*y_limits(shown, bands))


def y_limits(shown: Sequence[NDArray[np.float64]], bands: Sequence[NDArray[np.float64]] = ()) -> tuple[float, float]:
    """Return the limits of an axis around the values that are to be shown.

    Bands widen the limits by at most half of the height of the values on each side, so that wide bands do not flatten the
    lines; NaN counts for nothing.
    """
    values = np.concatenate(shown)
    low, high = values.min(), values.max()
    room = 0.5 * max(high - low, 1e-3)
    ends = np.concatenate([values, *(np.clip(band, low - room, high + room) for band in bands)])
    margin = 0.1 * room
    return float(np.nanmin(ends) - margin), float(np.nanmax(ends) + margin)


def tilted(names: int, end: str) -> dict[str, Any]:
    """Return the options of an axis of names: more than four are tilted, with their left or right end at the tick."""
    return {"rotation": 30, "ha": end, "rotation_mode": "anchor"} if names > LEVEL_NAMES else {}


def per_cent(share: float, _position: float | None = None) -> str:
    """Return a tick's label: 97.5%, 98%."""
    return f"{100 * share:.6g}%"


def label_ends(ax: Axes, ends: Sequence[tuple[Arm, float, float]], styles: ArmStyles) -> None:
    """Write each arm's name next to the end (x, y) of its line, spread so that no two touch."""
    low, high = ax.get_ylim()
    ranked = sorted(ends, key=lambda end: end[2])
    heights = spread([(y - low) / (high - low) for _, _, y in ranked], gap=0.07, top=1.0)
    for (arm, x, y), height in zip(ranked, heights, strict=True):
        colour, dash = styles[arm.name]
        link: dict[str, Any] = {"arrowstyle": "-", "color": colour, "linestyle": dash, "linewidth": 1.2}
        link |= {"shrinkA": 2, "shrinkB": 0, "relpos": (0.0, 0.5)}  # from the start of the name, not through it
        ax.annotate(
            label(arm),
            (x, y),
            xytext=(1.04, height),
            textcoords="axes fraction",
            va="center",
            color=INK,
            fontsize=10,
            arrowprops=link,
            annotation_clip=False,
        )


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Move rising heights apart, so that neighbours have at least a gap between them and none is above the top."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    shift = max((sum(placed) - sum(heights)) / max(len(placed), 1), placed[-1] - top if placed else 0)
    return [height - shift for height in placed]
