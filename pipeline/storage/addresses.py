"""The address of a store: made from a path, read back, and shown without its password."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import URL, make_url


def is_url(address: str) -> bool:
    """Whether it has a scheme, like ``sqlite:``; otherwise it is the path of a journal file."""
    return re.match(r"[A-Za-z][\w+.-]+:", address) is not None


def is_sqlite(address: str) -> bool:
    """Whether it is the address of a SQLite database."""
    return re.match(r"sqlite(\+\w+)?:", address) is not None


def sqlite_address(path: Path | str) -> str:
    """The address of a SQLite database in a file, quoted where its path needs it.

    With a quoted path the driver is named too: for ``sqlite:///`` MLflow makes a folder of the quoted name.
    """
    address = URL.create("sqlite", database=str(path)).render_as_string()
    return address.replace("sqlite:", "sqlite+pysqlite:", 1) if "%" in address else address


def normalised(address: str) -> str:
    """The address as :func:`sqlite_address` spells it, if it is one of a SQLite database."""
    database = make_url(address).database if is_sqlite(address) else None
    return sqlite_address(database) if database else address


def sqlite_file(address: str) -> Path | None:
    """The file behind a SQLite URL, if it is one: an absolute path without links."""
    database = make_url(address).database if is_sqlite(address) else None
    return Path(os.path.realpath(database)) if database else None


def storage_file(address: str) -> Path | None:
    """The file behind the address of an Optuna storage, if it is in one: an absolute path without links."""
    return sqlite_file(address) if is_url(address) else Path(os.path.realpath(address))


def same_file(one: Path | None, other: Path | None) -> bool:
    """Whether both are the same file, by whatever names."""
    if one is None or other is None:
        return False
    with suppress(OSError):  # where one of them does not exist yet
        return one.samefile(other)
    return one == other


def artifact_root(tracking: str) -> str:
    """Where MLflow keeps artifacts for a database, as a URL: next to its file, or in the current folder."""
    return ((sqlite_file(tracking) or Path("mlflow.db").absolute()).parent / "mlruns").as_uri()


def redact(address: str) -> str:
    """The address without its password, which may hold an @, and may stand among the options."""
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", address))
