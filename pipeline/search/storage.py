"""The storage that Optuna's trials are kept in: a database, or a journal file, which is mended before it is opened."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileSymlinkLock

from pipeline.addresses import is_url
from pipeline.opening import LOCKED_SECONDS
from pipeline.search.journal import Journal

STALE_LOCK_SECONDS = 3
LONGEST_LINE = 1 << 20


def open_storage(address: str) -> BaseStorage:
    """Optuna's storage at a database URL, or in a journal file."""
    if is_url(address):
        waits = (
            {"connect_args": {"timeout": LOCKED_SECONDS}} if address.startswith("sqlite") else {"pool_pre_ping": True}
        )
        return RDBStorage(address, engine_kwargs=waits)
    path = Path(address).absolute()
    # A process that dies while it writes leaves its lock behind; seconds are ample, since a write takes milliseconds.
    # That it is released then is what is meant, and no news.
    logging.getLogger("optuna.storages.journal._file").setLevel(logging.ERROR)
    lock = JournalFileSymlinkLock(str(path), grace_period=STALE_LOCK_SECONDS)
    mend_journal(path, lock)
    return Journal(path, lock)


def at_once(storage: BaseStorage) -> AbstractContextManager[None]:
    """Record all of the body in one write, where the storage can."""
    return storage.at_once() if isinstance(storage, Journal) else nullcontext()


def mend_journal(path: Path, lock: JournalFileSymlinkLock) -> None:
    """Cut off the last line of a journal file if it has no end, as a crash in the middle of a write leaves it.

    The next write would otherwise join it, and no line from there on could be read. Whoever writes holds the lock, so that
    under it such a line is nobody's.
    """
    if not path.is_file() or not _half_line(path):
        return
    lock.acquire()
    try:
        with path.open("rb+") as file:
            file.truncate(file.seek(0, os.SEEK_END) - _half_line(path))
    finally:
        lock.release()


def _half_line(path: Path) -> int:
    """The bytes after the last end of a line; lines are short, so that it is looked for in the last of them."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(-min(size, LONGEST_LINE), os.SEEK_END)
        tail = file.read()
    return len(tail) - tail.rfind(b"\n") - 1
