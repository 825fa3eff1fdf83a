"""The address of a store: made from a path, read back, and printed without its password."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import URL, make_url


def is_url(address: str) -> bool:
    """Return True if the address has a scheme, like ``sqlite:``. Otherwise it is the path of a journal file."""
    return re.match(r"[A-Za-z][\w+.-]+:", address) is not None


def is_sqlite(address: str) -> bool:
    """Return True for the address of a SQLite database."""
    return re.match(r"sqlite(\+\w+)?:", address) is not None


def sqlite_address(path: Path | str) -> str:
    """Return the address of a SQLite database in a file, with the characters of its path quoted as needed.

    An address with a quoted path also names the driver: for ``sqlite:///``, MLflow makes a folder of the quoted name.
    """
    address = URL.create("sqlite", database=str(path)).render_as_string()
    return address.replace("sqlite:", "sqlite+pysqlite:", 1) if "%" in address else address


def normalised(address: str) -> str:
    """Return the address of a SQLite database as :func:`sqlite_address` writes it; any other address unchanged."""
    database = make_url(address).database if is_sqlite(address) else None
    return sqlite_address(database) if database else address


def sqlite_file(address: str) -> Path | None:
    """Return the file of a SQLite database as an absolute path without links; None for another address."""
    database = make_url(address).database if is_sqlite(address) else None
    return Path(os.path.realpath(database)) if database else None


def storage_file(address: str) -> Path | None:
    """Return the file of an Optuna storage as an absolute path without links; None for a server."""
    return sqlite_file(address) if is_url(address) else Path(os.path.realpath(address))


def same_file(first: Path | None, second: Path | None) -> bool:
    """Return True if both names mean one file."""
    if first is None or second is None:
        return False
    with suppress(OSError):  # a file that does not exist yet
        return first.samefile(second)
    return first == second


def artifact_root(tracking: str) -> str:
    """Return the URL of the folder for MLflow's artifacts: next to the database's file, or in the current folder."""
    return ((sqlite_file(tracking) or Path("mlflow.db").absolute()).parent / "mlruns").as_uri()


def redact(address: str) -> str:
    """Return the address without its password. The password may contain an @, and may be one of the options."""
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", address))
