"""The page: one self-contained HTML file that needs no script, and the same report as Markdown."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.report.findings import Findings
from pipeline.report.sections import Section
from pipeline.report.sentences import sentences
from pipeline.report.tiles import tiles
from pipeline.report.words import count

ROWS = 40  # a longer table is shown thinned; its file has every row


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("pipeline.report", "templates"),
        autoescape=name.endswith((".html.j2", ".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(svg=Markup, cell=cell, shown=shown)
    return environment.get_template(name)


def html_page(reports: list[tuple[Findings, list[Section]]]) -> str:
    """``report.html`` of one study, or of several one after the other."""
    return _template("page.html.j2").render(reports=[_context(*report) for report in reports])


def markdown_page(findings: Findings, chapters: list[Section]) -> str:
    """``report.md``, which shows the figures' PNG files."""
    return _template("page.md.j2").render(report=_context(findings, chapters))


def _context(findings: Findings, chapters: list[Section]) -> dict[str, Any]:
    return {
        "study": findings.study,
        "verdict": findings.verdict,
        "sentences": sentences(findings),
        "notes": findings.notes,
        "tiles": tiles(findings),
        "facts": facts(findings),
        "chapters": chapters,
    }


def facts(findings: Findings) -> list[str]:
    """The line below the verdict: how much was run, on what, and when it was declared."""
    frame, study = findings.table.frame, findings.study
    declared = findings.table.provenance.get("declared")
    return [
        count(frame["block"].nunique(), "block"),
        f"{count(study.trials, 'trial')} for each arm",
        f"data set {study.dataset}",
        f"{count(len(frame), 'trial')} in all",
        f"{duration(float(frame['seconds'].sum()))} of training",
        *([f"declared on {declared}"] if declared else []),
        f"study {study.hash}",
    ]


def duration(seconds: float) -> str:
    """Seconds in words: 45 s, 12 min, 3.4 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that the page shows: all of them, or an even choice that keeps the last."""
    if len(frame) <= ROWS:
        return frame
    return frame.iloc[np.unique(np.linspace(0, len(frame) - 1, ROWS).round().astype(int))]


def cell(value: Any) -> str:
    """A table's cell: four significant digits, and nothing where there is no number."""
    if isinstance(value, float):  # NumPy's too
        whole = abs(value) >= 1000 or value.is_integer()
        return "" if np.isnan(value) else f"{value:,.0f}" if whole else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else str(value)
