"""One search at a time: two that wrote the same study would record its trials twice."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import Failed, UserError
from pipeline.seeds import derive_seed
from pipeline.storage.addresses import redact, storage_file

try:
    import fcntl
except ImportError:  # Windows has no flock; there, two searches at once are the user's to avoid
    fcntl = None  # type: ignore[assignment]

FIRST_BYTE = 1 << 61
"""No file is as long as this, and SQLite locks no byte there."""


@contextmanager
def owned(storage: str, study: str) -> Iterator[Callable[[], None]]:
    """Own a study in a storage during the body. The lock goes with the process, however it ends.

    The body gets a function that raises :class:`Failed` if the lock was lost, as by a restart of the database.
    Raises :class:`UserError` if another process owns the study.
    """
    file = storage_file(storage)
    if file:
        with _locked_file(file, study):
            yield lambda: None
    else:
        with _locked_row(storage, study) as check_lock:
            yield check_lock


@contextmanager
def locked_byte(file: Path, place: str, *, wait: bool) -> Iterator[None]:
    """Lock a byte far beyond the end of a file during the body, and so the file itself, whatever its names.

    The byte is chosen by the name of a place. Without ``wait``, raises :class:`BlockingIOError` if another holds it.
    Only Linux has such locks; elsewhere, and where the file system has none, the body runs without one.
    """
    if sys.platform != "linux":
        yield
        return
    descriptor = os.open(file, os.O_RDWR)
    try:
        byte = FIRST_BYTE + derive_seed("byte", place)
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, lock)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _locked_file(storage: Path, study: str) -> Iterator[None]:
    """Lock a file next to the storage, which names the owner, and then the storage itself, which may have other names."""
    path = storage.with_name(f"{storage.name}.{study}.owner")
    if fcntl is None:
        yield
        return
    with _locked(path, study) as file, ExitStack() as stack:
        try:
            stack.enter_context(locked_byte(storage, study, wait=False))
        except BlockingIOError:
            path.unlink(missing_ok=True)
            raise UserError(f"study {study!r} is at work already: another process records it here") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, study: str) -> IO[str]:
    """The lock's file, open and locked; another one, if its last owner removed it in between."""
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                file.seek(0)
                raise UserError(
                    f"study {study!r} is at work already: {file.read().strip() or 'another process'} records it here. Wait for it, or stop it"
                ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _opened(path: Path) -> IO[str]:
    """A link in the lock's place is not followed, since in a shared folder anybody may have laid it."""
    try:
        return open(path, "a+", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as problem:
        raise UserError(
            f"{path}: the lock cannot be opened ({problem.strerror}); remove it, or see whose it is"
        ) from None


@contextmanager
def _locked_row(storage: str, study: str) -> Iterator[Callable[[], None]]:
    """PostgreSQL's advisory lock, held by a connection; other databases have none, and are not locked."""
    engine = create_engine(storage, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    if engine.dialect.name != "postgresql":
        yield lambda: None
        return
    with engine.connect() as connection:
        key = derive_seed("owner", study)
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar():
            raise UserError(
                f"study {study!r} is at work already: another process records it to {redact(storage)}. Wait for it, or stop it"
            )

        def check_lock() -> None:
            try:
                connection.execute(text("SELECT 1"))
            except SQLAlchemyError:
                raise Failed(
                    f"study {study!r}: {redact(storage)} closed the connection that holds the study's lock, so that another "
                    "process may record it. What is recorded stays, and the same command goes on from there"
                ) from None

        try:
            yield check_lock
        finally:
            connection.invalidate()  # a rollback would raise an error if the connection was closed
