"""The page: one self-contained HTML file that needs no script, and the same report as Markdown."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.report.analysis import Analysis
from pipeline.report.formatting import count, duration, markdown_table
from pipeline.report.key_numbers import key_numbers
from pipeline.report.optuna_study import thinned
from pipeline.report.sections import Section
from pipeline.report.sentences import sentences
from pipeline.report.validity import binding_declaration

SHOWN_ROWS = 40  # a longer table is shown thinned; its file has every row


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
    filters = {"svg": Markup, "cell": cell, "text_columns": text_columns, "markdown": _markdown}
    environment.filters.update(filters, thinned=lambda frame: thinned(frame, SHOWN_ROWS))
    return environment.get_template(name)


def pages(analysis: Analysis, sections: list[Section]) -> dict[str, str]:
    """Return ``report.html``, and ``report.md``, which shows the figures' PNG files."""
    context = {
        "study": analysis.study,
        "verdicts": analysis.verdicts,
        "sentences": sentences(analysis)[len(analysis.verdicts) :],
        "notes": analysis.notes,
        "key_numbers": key_numbers(analysis),
        "facts": facts(analysis),
        "sections": sections,
    }
    return {f"report.{kind}": _template(f"page.{kind}.j2").render(report=context) for kind in ("html", "md")}


def facts(analysis: Analysis) -> list[str]:
    """Return the line below the verdict: how much was run, on what data, and when it was declared."""
    frame, study = analysis.table.frame, analysis.study
    terms = binding_declaration(analysis.table)
    pruned = analysis.table.provenance.get("diagnosis", {}).get("pruned", 0)
    return [
        count(frame["block"].nunique(), "block"),
        f"{count(study.trials, 'trial')} for each arm",
        f"data set {study.dataset}",
        f"{count(len(frame), 'trial')} in all{f', {pruned:,} of them pruned' if pruned else ''}",
        f"{duration(float(frame['seconds'].sum()))} of training",
        *([f"declared on {terms['at'][:10]}"] if terms and terms["at"] else []),
        f"study {study.hash}",
    ]


def text_columns(frame: pd.DataFrame) -> set[str]:
    """Return the names of the columns that hold text."""
    return {str(name) for name, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)}


def cell(value: Any) -> str:
    """Write a table's cell: a number has four significant digits, a missing number is empty."""
    if isinstance(value, float):  # NumPy's too
        whole = abs(value) >= 1000 or value.is_integer()
        if not np.isfinite(value):
            return "" if np.isnan(value) else "\u221e"
        return f"{value:,.0f}" if whole else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else str(value)


def _markdown(frame: pd.DataFrame) -> str:
    return markdown_table(frame.columns, [map(cell, row) for row in frame.itertuples(index=False, name=None)])
