"""Optuna's storages: a database, or a journal file that takes many trials in one write and is repaired first.

Most of the time that a trial costs in a journal is the wait for the disk. A crash in the middle of a write leaves a line
without an end. The next line would be joined to it, and the journal could not be read from there on.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial

from pipeline.errors import UserError
from pipeline.file_locks import locked_byte
from pipeline.storage.addresses import is_url
from pipeline.storage.failures import LOCKED_SECONDS

STALE_LOCK_SECONDS = 3
"""A write takes milliseconds, so a lock as old as this was left by a process that died."""
LONGEST_LINE = 1 << 20

Log = dict[str, Any]


def open_storage(address: str) -> BaseStorage:
    """Open Optuna's storage at a database URL, or in a journal file."""
    if is_url(address):
        # Imported here, since a journal needs no database libraries.
        from pipeline.storage.database import Database

        waits = (
            {"connect_args": {"timeout": LOCKED_SECONDS}} if address.startswith("sqlite") else {"pool_pre_ping": True}
        )
        return Database(address, engine_kwargs=waits)
    return Journal(Path(os.path.realpath(address)))


def at_once(storage: BaseStorage) -> AbstractContextManager[None]:
    """Record all of the body in one write, if the storage can. It cannot be nested."""
    return storage.at_once() if isinstance(storage, Journal) else nullcontext()


def add_trials(storage: BaseStorage, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """Add finished trials to a study; to one in a database in one transaction.

    Raises ``KeyError`` if the study has been deleted.
    """
    if isinstance(storage, Journal):
        study.add_trials(trials)
    elif trials:
        storage.add_trials(storage.get_study_id_from_name(study.study_name), trials)  # type: ignore[attr-defined]


class Journal(JournalStorage):
    """Optuna's storage in a journal file."""

    def __init__(self, path: Path) -> None:
        self._file = _JournalFile(path)
        super().__init__(self._file)

    def at_once(self) -> AbstractContextManager[None]:
        """Write all that the body records in one write at its end, after an error too. Other processes wait."""
        return self._file.held()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute, unless it has this value already: the journal would grow with each report."""
        if self.get_study_system_attrs(study_id).get(key) != value:
            super().set_study_system_attr(study_id, key, value)


class _JournalFile(BaseJournalBackend):
    """The journal file, and the lines that wait to be written, which this process reads after those of the file."""

    def __init__(self, path: Path) -> None:
        # A process that dies while it writes leaves its lock behind. Optuna warns when it releases that lock; the user need not know.
        logging.getLogger("optuna.storages.journal._file").setLevel(logging.ERROR)
        self.path = path
        self.lock = JournalFileSymlinkLock(str(path), grace_period=STALE_LOCK_SECONDS)
        self._waiting: list[bytes] | None = None
        self._offsets = [0]  # where each line that was read starts, and where the next one will
        path.open("ab").close()
        if _half_line(path):
            with self.held():
                pass

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold Optuna's lock and that of the file itself. Write at the end what is appended in the body."""
        self.lock.acquire()
        try:
            with locked_byte(self.path, "journal", wait=True):
                _cut_half_line(self.path)
                self._waiting = []
                try:
                    yield
                finally:
                    lines, self._waiting = self._waiting, None
                    self._write(lines)
        finally:
            self.lock.release()

    def append_logs(self, logs: list[Log]) -> None:
        """Append lines; inside :meth:`held` they are written at its end."""
        if self._waiting is None:
            with self.held():
                self.append_logs(logs)
        else:
            self._waiting += [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]

    def read_logs(self, log_number_from: int) -> Iterator[Log]:
        """Yield the lines from a number on: those of the file, then those that wait.

        While lines wait, this process holds the lock, so no other adds to the file.

        Raises :class:`UserError` for a line that is no record. Optuna skips a last line of that kind and writes after it.
        """
        number = min(log_number_from, len(self._offsets) - 1)
        with self.path.open("rb") as file:
            file.seek(self._offsets[number])
            for line in file:
                if not line.endswith(b"\n"):  # another process is writing it
                    break
                if number >= log_number_from:
                    yield self._decoded(line, number)
                number += 1
                if number == len(self._offsets):
                    self._offsets.append(self._offsets[-1] + len(line))
        yield from map(json.loads, (self._waiting or [])[max(0, log_number_from - number) :])

    def _decoded(self, line: bytes, number: int) -> Log:
        try:
            log: Log = json.loads(line)
        except ValueError as error:  # neither JSON nor, perhaps, text
            where = f"cannot read {self.path}, which is damaged in line {number + 1}"
            raise UserError(f"--storage: {where}; restore a copy of it, or give another") from error
        return log

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        with self.path.open("ab") as file:
            read_to_the_end = file.tell() == self._offsets[-1]
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        if read_to_the_end:  # the next read starts after these lines
            for line in lines:
                self._offsets.append(self._offsets[-1] + len(line))


def _cut_half_line(path: Path) -> None:
    """Cut off a last line without an end. The caller holds the lock, so no process still writes it."""
    if half := _half_line(path):
        with path.open("rb+") as file:
            file.truncate(file.seek(0, os.SEEK_END) - half)


def _half_line(path: Path) -> int:
    """Return the number of bytes after the last end of a line, looked for in the last ``LONGEST_LINE`` bytes."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(-min(size, 1), os.SEEK_END)
        if file.read() == b"\n":
            return 0
        file.seek(-min(size, LONGEST_LINE), os.SEEK_END)
        tail = file.read()
    return len(tail) - tail.rfind(b"\n") - 1
