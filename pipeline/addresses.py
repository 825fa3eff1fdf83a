"""The address of a store, read: whether it is a URL, which file is behind it, and how to show it without its password."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import make_url


def is_url(address: str) -> bool:
    """Whether it has a scheme, like ``sqlite:``; otherwise it is the path of a journal file."""
    return re.match(r"[A-Za-z][\w+.-]+:", address) is not None


def sqlite_file(address: str) -> Path | None:
    """The absolute path of the file behind a SQLite URL, if it is one."""
    if not re.match(r"sqlite(\+\w+)?:", address):
        return None
    database = make_url(address).database
    return Path(database).resolve() if database else None


def storage_file(address: str) -> Path | None:
    """The file behind the address of an Optuna storage, if it is in one."""
    return sqlite_file(address) if is_url(address) else Path(address)


def redact(address: str) -> str:
    """The address without its password, which may hold an @, and may stand among the options."""
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", address))
