"""How figures look: a fixed colour and line for each sampler, safe for colour-blind eyes, and ink that a page can turn."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from pipeline.report.formatting import label
from pipeline.study.spec import Arm

INK, MUTED, RULE, PAPER = "#1b1b1b", "#666667", "#d9d9da", "#fffffe"
PAGE_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)"}
Dash = tuple[int, tuple[int, ...]]
Looks = dict[str, tuple[str, Dash]]
# Okabe and Ito's colours; the dash makes a line known without its colour.
LOOKS: dict[str, tuple[str, Dash]] = {
    "random": ("#0072b2", (0, ())),
    "shifted_grid": ("#d55e00", (0, (7, 2))),
    "grid": ("#009e73", (0, (7, 2, 2, 2))),
    "tpe": ("#cc79a7", (0, (4, 1))),
    "gp": ("#56b4e9", (0, (9, 2, 2, 2, 2, 2))),
    "sobol": ("#e69f00", (0, (2, 1))),
    "cmaes": (MUTED, (0, (11, 3))),
}
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


IDENTIFIER = "identifier-"

styled = mpl.rc_context(STYLE)
"""Decorates what draws: inside, Matplotlib has the report's style."""


@dataclass(frozen=True)
class Plot:
    """A finished figure: how to read it in one sentence, its numbers in words and in a table, and its two renderings."""

    name: str
    title: str
    aid: str
    alt: str
    table: pd.DataFrame
    svg: str
    png: bytes

    def inline(self, page: str) -> str:
        """The SVG for a page on which this figure's identifiers must differ from those of others."""
        return self.svg.replace(IDENTIFIER, f"{page}-{self.name}-")


def canvas(width: float = 5.6, height: float = 3.6, panels: int = 1, **options: Any) -> tuple[Figure, Sequence[Axes]]:
    """A figure, in inches, with its axes side by side; made without pyplot, so nothing is shared or left open."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels, **options)).flat)


@styled
def finish(figure: Figure, name: str, *, title: str, aid: str, alt: str, table: pd.DataFrame) -> Plot:
    """Render a figure, without a date, as SVG that takes its ink from the page and as PNG on white."""
    svg, png = io.StringIO(), io.BytesIO()
    figure.draw_without_rendering()  # which settles the layout, once for both
    figure.set_layout_engine("none")
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return Plot(name, title, aid, alt, table, _inline(svg.getvalue(), alt), png.getvalue())


def _inline(svg: str, alt: str) -> str:
    """The SVG element alone, with its own identifiers, the page's font and ink, and its alternative text."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    for reference in (' id="', "url(#", 'href="#'):
        svg = svg.replace(reference, f"{reference}{IDENTIFIER}")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    quoted = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{quoted}">', svg, count=1)


def looks(arms: Sequence[Arm]) -> Looks:
    """The colour and dash of each arm, by name: its sampler's own, unless an arm before it has taken that."""
    taken: Looks = {}
    for arm in arms:
        free = [look for look in LOOKS.values() if look not in taken.values()] or list(LOOKS.values())
        own = LOOKS.get(arm.sampler)
        taken[arm.name] = own if own and own in free else free[-1]
    return taken


def trial_axis(ax: Axes, last: int) -> None:
    """An axis of trials whose equal steps double the number: 1, 2, 4, ... and the last."""
    powers = [2**i for i in range(30) if 2**i < last / 1.3]
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator([*powers, last]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_xlim(1, max(last, 2))
    ax.set_xlabel("trials")


def whole_ticks(ax: Axes) -> None:
    """Mark whole numbers alone on the horizontal axis, as epochs are counted."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def accuracy_axis(ax: Axes, name: str) -> None:
    """A vertical axis of accuracies in per cent, with quiet lines to read them by."""
    ax.yaxis.set_major_formatter(FuncFormatter(per_cent))
    ax.set_ylabel(name)
    ax.grid(axis="y", color=RULE, linewidth=0.6)


def per_cent(share: float, _position: float | None = None) -> str:
    """A tick's label: 97.5%, 98%."""
    return f"{100 * share:.6g}%"


def label_ends(ax: Axes, ends: Sequence[tuple[Arm, float, float]], looks: Looks) -> None:
    """Write each arm's name beside the end (x, y) of its line, spread so that no two touch."""
    low, high = ax.get_ylim()
    ranked = sorted(ends, key=lambda end: end[2])
    heights = spread([(y - low) / (high - low) for _, _, y in ranked], gap=0.07, top=1.0)
    for (arm, x, y), height in zip(ranked, heights, strict=True):
        colour, dash = looks[arm.name]
        link: dict[str, Any] = {
            "arrowstyle": "-",
            "color": colour,
            "linestyle": dash,
            "linewidth": 1.2,
            "shrinkA": 2,
            "shrinkB": 0,
            "relpos": (0.0, 0.5),  # from the name's beginning, not through it
        }
        place: dict[str, Any] = {
            "xytext": (1.04, height),
            "textcoords": "axes fraction",
            "va": "center",
            "annotation_clip": False,
        }
        ax.annotate(label(arm), (x, y), color=INK, arrowprops=link, fontsize=10, **place)


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Rising heights moved as little as a sweep up can, so that neighbours are a gap apart and none is above the top."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    shift = max((sum(placed) - sum(heights)) / max(len(placed), 1), placed[-1] - top if placed else 0)
    return [height - shift for height in placed]
