"""The page: one self-contained HTML file that needs no script, and the same report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import label
from pipeline.report.display import Display, display
from pipeline.report.formatting import count, duration, markdown_table
from pipeline.report.key_numbers import key_numbers
from pipeline.report.sections import Section
from pipeline.report.sentences import sentences
from pipeline.report.trials_table import RUN_ADDRESS
from pipeline.report.validity import binding_declaration
from pipeline.study.metrics import ACCURACY

FILES = ("verdict.json", "report.md", "figures/", "tables/")
"""The files next to every page."""


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
    environment.filters.update(svg=Markup, markdown=_markdown)
    return environment.get_template(name)


def pages(analysis: Analysis, sections: list[Section], winner: Section | None = None) -> dict[str, str]:
    """Return ``report.html``, and ``report.md``, which shows the figures' PNG files."""
    labels = {arm.name: label(arm) for arm in analysis.study.arms}
    context = {
        "study": analysis.study,
        "verdicts": analysis.verdicts,
        "sentences": sentences(analysis)[len(analysis.verdicts) :],
        "notes": analysis.notes,
        "key_numbers": key_numbers(analysis),
        "facts": facts(analysis),
        "winner": winner,
        "sections": sections,
        "mlflow_run": mlflow_run(analysis),
        "display": lambda name, frame: display(name, frame, labels, analysis.study.objective),
        "files": ("trials.csv", "trials.parquet", *FILES),
        "run_name": "the study's run",
    }
    return render(context)


def render(context: Mapping[str, Any]) -> dict[str, str]:
    """Return both pages of a study, or of a suite, from what the templates show."""
    return {f"report.{kind}": _template(f"page.{kind}.j2").render(report=context) for kind in ("html", "md")}


def mlflow_run(analysis: Analysis) -> str:
    """Return the address of the study's run in MLflow UI; empty if the table does not have a web address of it."""
    return web_address(str(analysis.table.provenance.get(RUN_ADDRESS, "")))


def web_address(address: str) -> str:
    """Return an address that a browser can open; empty for any other."""
    return address if address.startswith(("http://", "https://")) else ""


def facts(analysis: Analysis) -> list[str]:
    """Return the line below the verdict: how much was run, on what data, and when it was declared."""
    frame, study = analysis.table.frame, analysis.study
    terms = binding_declaration(analysis.table)
    pruned = analysis.table.provenance.get("diagnosis", {}).get("pruned", 0)
    return [
        count(frame["block"].nunique(), "block"),
        f"{count(study.trials, 'trial')} {'for each arm' if study.compared else 'in each block'}",
        f"data set {study.dataset}",
        *([] if study.objective is ACCURACY else [f"judged by {study.objective.title}"]),
        f"{count(len(frame), 'trial')} in all{f', {pruned:,} of them pruned' if pruned else ''}",
        f"{duration(float(frame['seconds'].sum()))} of training",
        *([f"declared on {terms['at'][:10]}"] if terms and terms["at"] else []),
        f"study {study.hash}",
    ]


def _markdown(table: Display) -> str:
    patterns = ["[{0}](../{0}/report.md)" if kind == "study" else "{0}" for kind in table.kinds]
    rows = [[pattern.format(cell) for pattern, cell in zip(patterns, row, strict=True)] for row in table.rows]
    return markdown_table(table.headings, rows)
