"""Writes a report's files: the table of trials, the pages, figures, tables and numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.report.analysis import Analysis
from pipeline.report.page import pages
from pipeline.report.plotly_figures import figures
from pipeline.report.run_results import arm_curves, metrics, tags
from pipeline.report.sections import Section, make_sections
from pipeline.report.sentences import sentences
from pipeline.report.style import Plot
from pipeline.report.trials_table import TrialsTable, write_csv, write_table
from pipeline.report.verdict_file import summary
from pipeline.report.winner_section import winner_section


@dataclass(frozen=True)
class Report:
    """The results of a report and its files.

    ``verdicts`` are the sentences of the verdicts, the headline first, and ``sentences`` those and the ones after them.
    ``metrics`` and ``tags`` are for the study's run, so that studies can be compared; ``arm_curves`` are for its arms' runs.
    ``paths`` are all files, ``page`` is the one to open first. ``figures`` are Plotly's JSON of those that other interfaces
    show, by name. ``analysis`` is what all of them were made from.
    """

    verdicts: tuple[str, ...]
    sentences: tuple[str, ...]
    metrics: dict[str, float]
    tags: dict[str, str]
    arm_curves: dict[tuple[str, int], dict[str, dict[int, float]]]
    page: Path
    paths: tuple[Path, ...]
    figures: dict[str, str]
    analysis: Analysis


def write_report(table: TrialsTable, folder: Path) -> Report:
    """Write the report of a study's trials into a folder."""
    return write_analysis(Analysis(table), folder)


def write_analysis(analysis: Analysis, folder: Path) -> Report:
    """Write the report of an analysis into a folder."""
    paths = [*write_table(analysis.table, folder)]
    sections, winner = make_sections(analysis), next(winner_section(analysis), None)
    written = [winner, *sections] if winner else sections
    paths += write_sections(written, folder)
    paths += write_pages(folder, pages(analysis, sections, winner), summary(analysis))
    return Report(
        verdicts=tuple(verdict.sentence for verdict in analysis.verdicts),
        sentences=sentences(analysis),
        metrics=metrics(analysis),
        tags=tags(analysis),
        arm_curves=arm_curves(analysis),
        page=folder / "report.html",
        paths=tuple(paths),
        figures=figures(analysis),
        analysis=analysis,
    )


def write_sections(sections: Sequence[Section], folder: Path) -> list[Path]:
    """Write the figures and tables of sections; return their files."""
    plots = [plot for section in sections for plot in section.plots]
    named = {table.name: table.frame for section in sections for table in section.tables}
    return [*_write_plots(plots, folder), *_write_tables(named, folder)]


def write_pages(folder: Path, texts: Mapping[str, str], numbers: Mapping[str, Any]) -> list[Path]:
    """Write the pages, and the numbers as ``verdict.json``; return their files."""
    verdict = json.dumps(numbers, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in {**texts, "verdict.json": verdict}.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in (*texts, "verdict.json")]


def _write_plots(plots: Sequence[Plot], folder: Path) -> Iterator[Path]:
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for plot in plots:
        path = folder / "figures" / f"{plot.name}.png"
        path.write_bytes(plot.png)
        yield path
    yield from _write_tables({plot.name: plot.table for plot in plots}, folder)


def _write_tables(frames: dict[str, pd.DataFrame], folder: Path) -> Iterator[Path]:
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        write_csv(frame, folder / "tables" / f"{name}.csv")
        yield folder / "tables" / f"{name}.csv"
