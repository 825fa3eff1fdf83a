"""The three numbers of the first screen: how much, how likely, how fast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.report.analysis import Analysis
from pipeline.report.formatting import count, decimals, ends, label, listed, number, percent, points, whole
from pipeline.report.intervals import SHARE, mean_interval
from pipeline.report.targets import TrialsNeeded


@dataclass(frozen=True)
class Tile:
    """One large number, what it is, and how sure it is."""

    value: str
    caption: str
    detail: str


def tiles(analysis: Analysis) -> list[Tile]:
    """The tiles that this table can fill: of a comparison, or of a single arm."""
    first = [*_difference(analysis), *_chance(analysis)] if analysis.comparison else [_accuracy(analysis)]
    return [*first, _speed(analysis)]


def _difference(analysis: Analysis) -> Iterator[Tile]:
    if comparison := analysis.comparison:
        size, low, high = points(comparison.difference.interval)
        sign = "" if size.startswith("\u2212") or not float(size) else "+"
        caption = f"points of test accuracy: {label(comparison.first)} minus {label(comparison.second)}"
        detail = ends(low, high, len(comparison.blocks))
        yield Tile(f"{sign}{size}", caption, f"{detail}; after {count(comparison.trials, 'trial')}")


def _chance(analysis: Analysis) -> Iterator[Tile]:
    found, comparison = analysis.improvement, analysis.comparison
    if found and comparison:
        p = found.interval
        places = decimals(p.high - p.low)
        estimate, low, high = (number(x, places) for x in (p.estimate, p.low, p.high))
        detail = ends(low, high, len(comparison.blocks))
        yield Tile(estimate, f"probability that {label(comparison.first)} wins, one search of each kind", detail)


def _accuracy(analysis: Analysis) -> Tile:
    curve = next(iter(analysis.curves.values()))
    size, low, high = points(mean_interval(curve.test[:, -1], within=SHARE))
    detail = ends(low, high, len(curve.blocks))
    return Tile(f"{size}%", f"test accuracy of the choice of {label(curve.arm)}", detail)


def _speed(analysis: Analysis) -> Tile:
    own = {arm.name for arm in analysis.study.contrast}
    needed = [n for n in analysis.needed[analysis.headline.name] if n.arm.name in own]
    caption = f"trials for an even chance of {percent(analysis.headline.value)} validation accuracy"
    return Tile(
        " vs ".join(whole(n.median) for n in needed),
        f"{caption}: {' vs '.join(label(n.arm) for n in needed)}",
        _ends(needed),
    )


def _ends(needed: list[TrialsNeeded]) -> str:
    """The intervals, in the order of the arms; with their names, if not all have one."""
    known = [n for n in needed if math.isfinite(n.low)]
    names = [f" with {label(n.arm)}" if len(known) < len(needed) else "" for n in known]
    said = [f"{whole(n.low)} to {whole(n.high)}{name}" for n, name in zip(known, names, strict=True)]
    return f"95% CI {listed(said)}" if said else "no interval"
