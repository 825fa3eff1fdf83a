"""The chapters of a report, each a question, its figures, its tables and what to say about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.report import figures
from pipeline.report.findings import Findings
from pipeline.report.style import Plot


@dataclass(frozen=True)
class NamedTable:
    """A table of its own, under a heading."""

    name: str
    heading: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Section:
    """One chapter: an anchor, a heading, sentences, figures and tables."""

    key: str
    heading: str
    prose: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[NamedTable, ...] = ()


def sections(findings: Findings) -> list[Section]:
    """The chapters, in order, that this table of trials has something to say for."""
    return [_hero(findings), *_difference(findings)]


def _hero(findings: Findings) -> Section:
    curves = list(findings.curves.values())
    return Section(
        "curve", "How good is your best model after n trials?", plots=(figures.hero(curves, findings.looks),)
    )


def _difference(findings: Findings) -> Iterator[Section]:
    if findings.comparison:
        plot = figures.difference(findings.comparison, findings.study.delta)
        yield Section("difference", "By how much do they differ?", plots=(plot,))
