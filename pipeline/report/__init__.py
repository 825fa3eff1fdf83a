"""The report: from a table of recorded trials to a verdict, its figures and a page; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.report.table import TrialsTable, read_table, write_table

__all__ = ["Report", "TrialsTable", "read_table", "write_report", "write_table"]


@dataclass(frozen=True)
class Report:
    """What a report found and where it lies.

    ``sentence`` is the verdict in one plain sentence, ``verdict`` that sentence and those that follow it. ``metrics``
    and ``tags`` are for the study's run, so that studies can be compared; ``paths`` are all files, ``page`` the first.
    ``figures`` are those that another interface can show, as Plotly's JSON, by their names; several studies have none.
    """

    sentence: str
    verdict: tuple[str, ...]
    metrics: dict[str, float]
    tags: dict[str, str]
    page: Path
    paths: tuple[Path, ...]
    figures: Mapping[str, str] = field(default_factory=dict)


def write_report(tables: TrialsTable | Sequence[TrialsTable], folder: Path | str) -> Report:
    """Write the report of one table of trials, or of several together, into a folder, and return what it found."""
    from pipeline.report.writer import write

    return write([tables] if isinstance(tables, TrialsTable) else list(tables), Path(folder))
