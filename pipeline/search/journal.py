"""A journal of Optuna's that takes many trials in one write: most of what a trial costs there is to wait for the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

Log = dict[str, Any]


class Journal(JournalStorage):
    """Optuna's storage in a journal file."""

    def __init__(self, path: Path, lock: JournalFileSymlinkLock) -> None:
        self._file = _File(path, lock)
        super().__init__(self._file)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Write all that the body records in one go at its end, be that an error; until then nobody else writes."""
        with self._file.held():
            yield


class _File(JournalFileBackend):
    """The file, and the lines that are due to be written to it, which this process reads as if they were."""

    def __init__(self, path: Path, lock: JournalFileSymlinkLock) -> None:
        super().__init__(str(path), lock_obj=lock)
        self.path, self.lock = path, lock
        self._due: list[str] | None = None
        self._first_due: int | None = None  # its number; known once the lines before it have been read

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, and write at the end what is appended meanwhile."""
        self.lock.acquire()
        self._due, self._first_due = [], None
        try:
            yield
        finally:
            due, self._due = self._due, None
            try:
                self._write("".join(due))
            finally:
                self.lock.release()

    def append_logs(self, logs: list[Log]) -> None:
        """Append lines; within :meth:`held` they are due at its end."""
        if self._due is None:
            super().append_logs(logs)
        else:
            self._due += [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]

    def read_logs(self, log_number_from: int) -> Generator[Log, None, None]:
        """The lines from this number on; those that are due come after those in the file, which nobody else adds to."""
        if self._first_due is None or self._due is None:
            number = log_number_from
            for number, log in enumerate(super().read_logs(log_number_from), start=log_number_from + 1):  # noqa: B007
                yield log
            self._first_due = number
        if self._due is not None:
            yield from map(json.loads, self._due[max(0, log_number_from - self._first_due) :])

    def _write(self, text: str) -> None:
        with self.path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
