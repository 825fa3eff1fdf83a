"""What is done with the columns of a study's table: for the console, the records and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.console.console import Console
from pipeline.data import describe, load_block
from pipeline.seeds import derive_seed
from pipeline.study.spec import Study

NAMES_SHOWN = 20
"""At most this many columns with the same treatment are named on the console."""

Treatment = tuple[str, str, int]
"""A column, what is done with it, and the number of its inputs."""


def first_encoding(study: Study) -> Any:
    """Return the encoding of the first block's rows, a :class:`pipeline.data.encoding.Encoding`; None without one."""
    if not describe(study.source).uses:
        return None
    return load_block(study.source, study.config, derive_seed(study.seed, "split", 0)).encoding


def treatments(study: Study) -> list[Treatment]:
    """Return what is done with each column of a table, as fitted in the first block; none for numbers alone."""
    encodings = {encoding.column.name: encoding for encoding in getattr(first_encoding(study), "columns", ())}
    return [
        (name, done + _fitted(encodings[name]), len(encodings[name].inputs)) if name in encodings else (name, done, 0)
        for name, done in describe(study.source).uses
    ]


def _fitted(encoding: Any) -> str:
    """Return what was learned from the training rows, as a clause."""
    if encoding.fill and encoding.column.missing:
        values = f" {encoding.fill[0]:g}" if len(encoding.fill) == 1 else "s of its parts"
        return f", filled with the median{values}"
    shared = f"{encoding.column.name} is rare"
    return ", rare ones share an input" if shared in encoding.inputs[-1:] else ""


def record(study: Study) -> dict[str, Any]:
    """Return the frozen encoding of the first block with what is done with each column, as plain values."""
    encoding = first_encoding(study)
    rows = [{"column": name, "use": done, "inputs": inputs} for name, done, inputs in treatments(study)]
    return {"columns": rows, "encoding": encoding.to_json() if encoding else []}


def print_columns(study: Study, console: Console) -> None:
    """Print the warnings about the data, and what is done with each column."""
    data = describe(study.source)
    for warning in data.warnings:
        console.say(f"warning: {study.dataset}: {warning}")
    if not (done := treatments(study)):
        return
    inputs = sum(count for *_, count in done) or data.columns
    console.say(
        f"data: {inputs} inputs from {len(done)} columns, fitted on the training rows of each block; in the first:"
    )
    by_use: dict[str, list[str]] = {}
    for name, use, _ in done:
        by_use.setdefault(use, []).append(name)
    for use, names in by_use.items():
        console.say(f"  {use}: {_listed(names)}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
