"""Writes the files of a demonstration: its verdict, claims, numbers and figures."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.lecture.outcome import Outcome
from pipeline.report.figures.plots import Row
from pipeline.report.formatting import markdown_table
from pipeline.report.style import PAGE_COLOURS, Plot
from pipeline.study.experiment import Experiment

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '


def write(experiment: Experiment, outcome: Outcome, folder: Path) -> None:
    """Write ``verdict.json``, ``claims.md``, ``table.csv`` and further tables, and each figure as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    verdict = {"experiment": experiment.name, "question": experiment.question, **outcome.to_json()}
    _text(folder / "verdict.json", json.dumps(verdict, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    _text(folder / "claims.md", claims_table(experiment, outcome))
    for name, rows in {"table": outcome.rows, **outcome.extra}.items():
        write_rows(rows, folder / f"{name}.csv")
    for figure in outcome.figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)
        _text(folder / f"{figure.name}.svg", standalone(figure))


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def claims_table(experiment: Experiment, outcome: Outcome) -> str:
    """The question and a table of the claims, in Markdown."""
    rows = [[c.experiment, c.says, c.seen, c.verdict, c.note] for c in outcome.claims]
    table = markdown_table(("experiment", "the lecture says", "observed", "verdict", "note"), rows)
    return f"# {experiment.question}\n\n**{outcome.verdict}**. Data: {outcome.data}.\n\n{table}\n"


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV; they may have different columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def standalone(figure: Plot) -> str:
    """The SVG for a file: with its namespaces, and with colours in place of the variables of a page."""
    svg = figure.svg.replace("<svg ", SVG, 1)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(variable, colour)
    return svg
