"""The lock on a study: one process at a time records it, since two would record its trials twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import Failed, UserError
from pipeline.file_locks import AVAILABLE, lock_file, locked_byte
from pipeline.seeds import derive_seed
from pipeline.storage.addresses import redact, storage_file


@contextmanager
def study_lock(storage: str, study: str) -> Iterator[Callable[[], None]]:
    """Hold the lock on a study, or on a suite, in a storage during the body. It ends with the process, however that ends.

    Yields
    ------
    A function that raises :class:`Failed` if the lock was lost, for example because the database was restarted.

    Raises
    ------
    UserError
        If another process holds the lock.

    """
    file = storage_file(storage)
    if file:
        with _locked_file(file, study):
            yield lambda: None
    else:
        with _locked_row(storage, study) as check_lock:
            yield check_lock


@contextmanager
def _locked_file(storage: Path, study: str) -> Iterator[None]:
    """Lock a file next to the storage that names the owner, then the storage itself, which may have other names."""
    path = storage.with_name(f"{storage.name}.{study}.owner")
    if not AVAILABLE:
        yield
        return
    with _locked(path, study) as file, ExitStack() as stack:
        try:
            stack.enter_context(locked_byte(storage, study, wait=False))
        except BlockingIOError:
            path.unlink(missing_ok=True)
            raise UserError(f"study {study!r}: another process is recording it. Wait for it, or stop it") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, study: str) -> IO[str]:
    """Return the owner's file, open and locked; open another one if its last owner removed it before the lock."""
    while True:
        file = _open_owner(path)
        if not lock_file(file, wait=False):
            with file:
                file.seek(0)
                process = file.read().strip() or "another process"
                raise UserError(f"study {study!r}: {process} is recording it. Wait for it, or stop it")
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _open_owner(path: Path) -> IO[str]:
    """Open the owner's file. A link is not followed: in a shared folder, any user may have made it."""
    try:
        return open(path, "a+", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as problem:
        raise UserError(
            f"{path}: the lock cannot be opened ({problem.strerror}); remove it, or ask the user who owns it"
        ) from None


@contextmanager
def _locked_row(storage: str, study: str) -> Iterator[Callable[[], None]]:
    """Hold PostgreSQL's advisory lock on a connection. Other databases have none; the body runs without a lock."""
    engine = create_engine(storage, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    if engine.dialect.name != "postgresql":
        yield lambda: None
        return
    with engine.connect() as connection:
        key = derive_seed("owner", study)
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar():
            raise UserError(
                f"study {study!r}: another process is recording it to {redact(storage)}. Wait for it, or stop it"
            )

        def check_lock() -> None:
            try:
                connection.execute(text("SELECT 1"))
            except SQLAlchemyError:
                raise Failed(
                    f"study {study!r}: {redact(storage)} closed the connection that holds the study's lock, so that another "
                    "process may record it. What is recorded stays, and the same command continues from there"
                ) from None

        try:
            yield check_lock
        finally:
            connection.invalidate()  # a rollback would raise an error if the connection was closed
