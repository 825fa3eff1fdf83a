"""The names of the user's own data: files of arrays or a table, and numbers on OpenML."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import UserError

OPENML = "openml:"
SEPARATED = (".csv", ".tsv", ".txt")
RECORDS = (".json", ".jsonl", ".ndjson")
"""Endings of files of JSON objects: a list of them, or one in each line."""
NAME_FORMS = (
    "FILE.npz, FILE.csv[:TARGET], .tsv, .json, .jsonl (also .gz), FILE.parquet[:TARGET], FOLDER of images, openml:ID"
)
FILE = re.compile(
    r"(.*?\.(npz|(?:csv|tsv|txt|json|jsonl|ndjson)(?:\.gz)?|parquet))(?::(.+))?", re.IGNORECASE | re.DOTALL
)
"""A path, its ending, and the target column."""


def is_table(name: str) -> bool:
    """Return True if a data set's name is a file of arrays, a table or a number on OpenML."""
    return name.startswith(OPENML) or is_file(name)


def is_file(name: str) -> bool:
    """Return True if a name is that of a file of arrays or a table, perhaps with a target."""
    match = FILE.fullmatch(name)
    return match is not None and not (match[2].lower() == "npz" and match[3])


def split_target(name: str) -> tuple[str, str]:
    """Split ``table.csv:species`` into the file and its target column, which is empty if none is named."""
    match = FILE.fullmatch(name)
    return (match[1], match[3] or "") if match else (name, "")


def ending(path: str) -> str:
    """Return the ending of a file's name in small letters, without that of its compression: ``.csv``."""
    return Path(path.lower().removesuffix(".gz")).suffix


def existing(path: str) -> Path:
    """Return the path of a file, with ``~`` replaced. Raises :class:`UserError` if there is no such file."""
    try:
        file = Path(path).expanduser()
    except RuntimeError as error:  # ~name of an unknown user
        raise UserError(f"{path}: {str(error).rstrip('.')}. Give the whole path") from error
    if not file.is_file():
        raise UserError(f"{path}: there is no such file in {Path.cwd()}")
    return file
