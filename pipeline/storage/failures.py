"""Failures at a store, each as one line for the user, and the opening of a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError
from pipeline.file_locks import AVAILABLE, lock_file
from pipeline.storage.addresses import redact, sqlite_file

LOCKED_SECONDS = 20
"""How long a connection waits for a locked SQLite database. MLflow's own wait as long; Optuna tries five times to add a trial."""
ORIGINS = {
    "mlflow.MlflowException": "MLflow's store",
    "requests.RequestException": "MLflow's store",
    "optuna.OptunaError": "Optuna's store",
    "sqlalchemy.SQLAlchemyError": "a store",
    "alembic.CommandError": "a store",
    "sqlite3.Error": "a store",
    "builtins.OSError": "a file",
}
"""Where an error comes from, by library and class name. Names are compared, so that no library has to be imported."""
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
"""Phrases in the libraries' messages for the most common failures, and what they mean."""


def store_failure(error: BaseException) -> str:
    """Describe what failed at a store in one line; empty for an error that did not come from a store."""
    kinds = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__]
    origin = next((ORIGINS[kind] for kind in kinds if kind in ORIGINS), "")
    text = f"{error} {error.__cause__ or ''}"
    reason = next((meaning for phrase, meaning in REASONS.items() if phrase in text), "") or redact(
        str(error)
    ).strip().rstrip(".")
    return f"{origin}: {reason.splitlines()[0] if reason else type(error).__name__}" if origin else ""


def out_of_memory(error: BaseException) -> bool:
    """Return True if there was no memory for an array, a thread, or a library to be loaded."""
    phrases = "failed to map segment", "annot allocate memory", "can't start new thread"
    return isinstance(error, MemoryError) or any(phrase in str(error) for phrase in phrases)


@contextmanager
def opening(name: str, address: str) -> Iterator[None]:
    """Open a store in the body. Raise :class:`UserError` with the flag ``name`` and the address if that fails.

    Processes that open SQLite databases in one folder take turns: two that create the same database at once damage it
    for good.
    """
    try:
        with _locked_folder(sqlite_file(address)):
            yield
    except Exception as error:
        # Optuna raises RuntimeError for the schema of another version, and KeyError or AssertionError for a damaged journal.
        reason = store_failure(error) or (str(error) if isinstance(error, RuntimeError) else "")
        if not reason and isinstance(error, (KeyError, AssertionError)):
            reason = f"it is damaged: {type(error).__name__}: {error}; restore a copy of it, or give another"
        if reason:
            raise UserError(f"{name}: cannot open {redact(address)} ({reason})") from error
        raise


@contextmanager
def _locked_folder(database: Path | None) -> Iterator[None]:
    """Lock the folder of a database during the body. The lock leaves no file in it."""
    if not AVAILABLE or database is None or not database.parent.is_dir():
        yield
        return
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        lock_file(folder, wait=True)
        yield
    finally:
        os.close(folder)
