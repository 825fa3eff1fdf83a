"""The three numbers of the first screen: how much, how likely, how fast."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.findings import Findings
from pipeline.report.words import count, label, points


@dataclass(frozen=True)
class Tile:
    """One large number, what it is, and how sure it is."""

    value: str
    caption: str
    detail: str


def tiles(findings: Findings) -> list[Tile]:
    """The tiles that this table can fill."""
    return [*_difference(findings)]


def _difference(findings: Findings) -> list[Tile]:
    comparison = findings.comparison
    if not comparison:
        return []
    size, low, high = points(comparison.evidence.interval)
    sign = "" if size.startswith("\u2212") else "+"
    return [
        Tile(
            f"{sign}{size}",
            f"points of test accuracy, {label(comparison.first)} minus {label(comparison.second)}, "
            f"after {count(comparison.trials, 'trial')}",
            f"95% CI {low} to {high}" if len(comparison.blocks) > 1 else "one block: no interval",
        )
    ]
