"""The opening of stores, one process after the other, and what failed at one, in a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError
from pipeline.storage.addresses import redact, sqlite_file

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

LOCKED_SECONDS = 20
"""So long others may lock a SQLite database; MLflow waits as long for its own. Optuna tries five times to add a trial."""
ORIGINS = {
    "mlflow.MlflowException": "MLflow's store",
    "requests.RequestException": "MLflow's store",
    "optuna.OptunaError": "Optuna's store",
    "sqlalchemy.SQLAlchemyError": "a store",
    "alembic.CommandError": "a store",
    "sqlite3.Error": "a store",
    "builtins.OSError": "a file",
}
"""Where errors come from, by the library and the name of their kind, so that no library need be imported to tell."""
REASONS = {
    "database is locked": "another process has locked the database",
    "disk is full": "there is no room left to write",
    "disk I/O error": "there is no room left to write, or the disk is damaged",
    "No space left": "there is no room left to write",
    "File too large": "there is no room left to write",
    "out-of-date database schema": "made by another version of MLflow; if by an older one, make a copy, then run "
    "mlflow db upgrade URI; if by a newer one, install that",
    "already exists": "some of its tables are missing; restore a copy of it, or give another",
    "must be in the 'active' state": "a run or an experiment that the study needs was deleted; restore it in MLflow first",
    "Max retries exceeded": "the tracking server does not answer",
}
"""What libraries say of the commonest failures, and the same in words."""


def store_failure(error: BaseException) -> str:
    """What failed at a store, in a line; empty for an error that did not come from one."""
    kinds = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__]
    origin = next((ORIGINS[kind] for kind in kinds if kind in ORIGINS), "")
    said = f"{error} {error.__cause__ or ''}"
    reason = next((words for phrase, words in REASONS.items() if phrase in said), "") or redact(
        str(error)
    ).strip().rstrip(".")
    return f"{origin}: {reason.splitlines()[0] if reason else type(error).__name__}" if origin else ""


def out_of_memory(error: BaseException) -> bool:
    """Return True if memory could not be had, be it for an array or for a library to be loaded."""
    phrases = "failed to map segment", "annot allocate memory", "can't start new thread"
    return isinstance(error, MemoryError) or any(phrase in str(error) for phrase in phrases)


@contextmanager
def opening(name: str, address: str) -> Iterator[None]:
    """Open a store in the body. Raises :class:`UserError`, with the flag and the address, if it cannot be opened.

    Processes that open SQLite databases of one folder take turns: two that make the same one at once spoil it for good.
    """
    try:
        with _turn_at(sqlite_file(address)):
            yield
    except Exception as error:
        # Optuna says with a RuntimeError that a schema is not its own, and in these ways that a journal is no journal.
        reason = store_failure(error) or (str(error) if isinstance(error, RuntimeError) else "")
        if not reason and isinstance(error, (KeyError, AssertionError)):
            reason = f"it is damaged: {type(error).__name__}: {error}; restore a copy of it, or give another"
        if reason:
            raise UserError(f"{name}: cannot open {redact(address)} ({reason})") from error
        raise


@contextmanager
def _turn_at(database: Path | None) -> Iterator[None]:
    """Hold the database's folder during the body, once those who hold it have let go; nothing is left in it."""
    if fcntl is None or database is None or not database.parent.is_dir():
        yield
        return
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
