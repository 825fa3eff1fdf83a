"""Writes a report's files: the table first, then, from what was written, the page, figures, tables and numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.report import Report
from pipeline.report.findings import Findings
from pipeline.report.numbers import metrics, summary, tags
from pipeline.report.page import html_page, markdown_page
from pipeline.report.sections import Section, sections
from pipeline.report.sentences import sentences
from pipeline.report.table import TrialsTable, read_table, write_csv, write_table


def write(tables: list[TrialsTable], folder: Path) -> Report:
    """Write the report of one table into a folder."""
    if not tables:
        raise ValueError("report: got no table of trials; expected at least one")
    return _write_one(tables[0], folder)


def _write_one(table: TrialsTable, folder: Path) -> Report:
    paths = [*write_table(table, folder)]
    findings = Findings(read_table(folder))
    chapters = sections(findings)
    paths += _write_figures(chapters, folder)
    texts = {
        "report.html": html_page([(findings, chapters)]),
        "report.md": markdown_page(findings, chapters),
        "verdict.json": json.dumps(summary(findings), indent=2, ensure_ascii=False) + "\n",
    }
    paths += [_write_text(folder / name, text) for name, text in texts.items()]
    return Report(
        findings.verdict.sentence,
        sentences(findings),
        metrics(findings),
        tags(findings),
        folder / "report.html",
        tuple(paths),
    )


def _write_figures(chapters: list[Section], folder: Path) -> Iterator[Path]:
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    for plot in (plot for section in chapters for plot in section.plots):
        path = folder / "figures" / f"{plot.name}.png"
        path.write_bytes(plot.png)
        yield path
        write_csv(plot.table, folder / "tables" / f"{plot.name}.csv")
        yield folder / "tables" / f"{plot.name}.csv"
    for table in (table for section in chapters for table in section.tables):
        write_csv(table.frame, folder / "tables" / f"{table.name}.csv")
        yield folder / "tables" / f"{table.name}.csv"


def _write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
