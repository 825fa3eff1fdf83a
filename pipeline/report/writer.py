"""Writes a report's files: the table of trials, the pages, figures, tables and numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import UserError
from pipeline.report.analysis import Analysis
from pipeline.report.overview import overview
from pipeline.report.page import explore_page, html_page, markdown_overview, markdown_page
from pipeline.report.plotly_figures import figures
from pipeline.report.sections import Section, make_sections
from pipeline.report.sentences import sentences
from pipeline.report.style import Plot
from pipeline.report.trials_table import TrialsTable, write_csv, write_table
from pipeline.report.verdict_file import metrics, summary, tags


@dataclass(frozen=True)
class Report:
    """The results of a report and its files.

    ``sentence`` is the verdict, ``verdict`` that sentence and those that follow it. ``metrics`` and ``tags`` are for the
    study's run, so that studies can be compared. ``paths`` are all files, ``page`` is the one to open first. ``figures``
    are Plotly's JSON of those that other interfaces show, by name; empty for several studies.
    """

    sentence: str
    verdict: tuple[str, ...]
    metrics: dict[str, float]
    tags: dict[str, str]
    page: Path
    paths: tuple[Path, ...]
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """One study's analysis, the sections of its page, and its report."""

    analysis: Analysis
    sections: list[Section]
    report: Report


def write_report(tables: TrialsTable | Sequence[TrialsTable], folder: Path | str) -> Report:
    """Write the report of one table into a folder; of several, each into a subfolder, and all on one page."""
    tables, folder = [tables] if isinstance(tables, TrialsTable) else tables, Path(folder)
    if not tables:
        raise UserError("report: got no table of trials; expected at least one")
    if len(tables) == 1:
        return _write_one(tables[0], folder).report
    parts = {name: _write_one(table, folder / name) for name, table in _named(tables).items()}
    return _write_several(parts, folder)


def _named(tables: Sequence[TrialsTable]) -> dict[str, TrialsTable]:
    """Each table by its study's name, followed by the name of its dataset if studies share a name."""
    repeated = {name for name, n in Counter(table.study.name for table in tables).items() if n > 1}
    names = [t.study.name + (f"-{t.study.dataset}" if t.study.name in repeated else "") for t in tables]
    for name, n in Counter(names).items():
        if n > 1:
            raise UserError(f"report: got {n} tables of study {name!r}; give each study, on each data set, once")
    return dict(zip(names, tables, strict=True))


def _write_one(table: TrialsTable, folder: Path) -> Written:
    paths = [*write_table(table, folder)]
    analysis = Analysis(table)
    sections = make_sections(analysis)
    plots = [plot for section in sections for plot in section.plots]
    named = {table.name: table.frame for section in sections for table in section.tables}
    paths += [*_write_plots(plots, folder), *_write_tables(named, folder)]
    paths += _write_texts(
        {
            "report.html": html_page({analysis.study.name: (analysis, sections)}),
            "explore.html": explore_page(analysis),
            "report.md": markdown_page(analysis, sections),
            "verdict.json": _json(summary(analysis)),
        },
        folder,
    )
    verdict = sentences(analysis)
    report = Report(
        sentence=verdict[0],
        verdict=verdict,
        metrics=metrics(analysis),
        tags=tags(analysis),
        page=folder / "report.html",
        paths=tuple(paths),
        figures=figures(analysis),
    )
    return Written(analysis, sections, report)


def _write_several(parts: dict[str, Written], folder: Path) -> Report:
    together = overview({name: part.analysis for name, part in parts.items()})
    paths = [path for part in parts.values() for path in part.report.paths]
    paths += [*_write_plots(together.plots, folder), *_write_tables({"overview": together.table}, folder)]
    verdicts = {name: summary(part.analysis) for name, part in parts.items()}
    paths += _write_texts(
        {
            "report.html": html_page({name: (p.analysis, p.sections) for name, p in parts.items()}, together),
            "report.md": markdown_overview(together, list(parts)),
            "verdict.json": _json({"sentences": list(together.sentences), "studies": verdicts}),
        },
        folder,
    )
    sentence = together.sentences[0]
    reports = {name: part.report for name, part in parts.items()}
    return Report(
        sentence=sentence,
        verdict=(*together.sentences, *(report.sentence for report in reports.values())),
        metrics=_merged({name: report.metrics for name, report in reports.items()}),
        tags={"report/verdict": sentence, **_merged({name: report.tags for name, report in reports.items()})},
        page=folder / "report.html",
        paths=tuple(paths),
    )


def _merged(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All studies' values, with the study's name in their keys."""
    return {
        key.replace("report/", f"report/{name}/", 1): value
        for name, report in values.items()
        for key, value in report.items()
    }


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


def _write_texts(texts: dict[str, str], folder: Path) -> Iterator[Path]:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        yield folder / name


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
