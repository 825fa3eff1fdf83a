"""A journal of Optuna's that takes many trials in one write, and is mended before it is written to.

Most of what a trial costs in a journal is to wait for the disk. And a crash in the middle of a write leaves a line without
an end, which the next one would join, and no line from there on could be read.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from pipeline.errors import UserError
from pipeline.storage.locks import locked_byte

STALE_LOCK_SECONDS = 3
LONGEST_LINE = 1 << 20

Log = dict[str, Any]


class Journal(JournalStorage):
    """Optuna's storage in a journal file."""

    def __init__(self, path: Path) -> None:
        self._file = _File(path)
        super().__init__(self._file)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Write all that the body records in one go at its end, be that an error; until then nobody else writes."""
        with self._file.held():
            yield


class _File(JournalFileBackend):
    """The file, and the lines that are due to be written to it, which this process reads as if they were."""

    def __init__(self, path: Path) -> None:
        # A process that dies while it writes leaves its lock behind; seconds are ample, since a write takes milliseconds.
        # That it is released then is what is meant, and no news.
        logging.getLogger("optuna.storages.journal._file").setLevel(logging.ERROR)
        self.path, self.lock = path, JournalFileSymlinkLock(str(path), grace_period=STALE_LOCK_SECONDS)
        self._due: list[str] | None = None
        self._first_due: int | None = None  # its number; known once the lines before it have been read
        if _half_line(path):
            with self.held():
                pass
        super().__init__(str(path), lock_obj=self.lock)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold Optuna's lock and that of the file itself, and write at the end what is appended meanwhile. It cannot be held twice."""
        self.lock.acquire()
        try:
            with locked_byte(self.path, "journal", wait=True):
                _cut_half_line(self.path)
                self._due, self._first_due = [], None
                try:
                    yield
                finally:
                    due, self._due = self._due, None
                    self._write(due)
        finally:
            self.lock.release()

    def append_logs(self, logs: list[Log]) -> None:
        """Append lines; within :meth:`held` they are due at its end."""
        if self._due is None:
            with self.held():
                self.append_logs(logs)
        else:
            self._due += [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]

    def read_logs(self, log_number_from: int) -> Generator[Log, None, None]:
        """The lines from this number on; those that are due come after those in the file, which nobody else adds to."""
        if self._first_due is None or self._due is None:
            yield from self._in_the_file(log_number_from)
        if self._due is not None:
            yield from map(json.loads, self._due[max(0, log_number_from - (self._first_due or 0)) :])

    def _in_the_file(self, start: int) -> Generator[Log, None, None]:
        """The lines of the file. Raises :class:`UserError` for one that is no record: Optuna skips the last, and writes after it."""
        number = start
        try:
            for log in super().read_logs(start):
                yield log
                number += 1
            with self.path.open("rb") as file:
                file.seek(self._log_number_offset.get(number, 0))
                rest = file.readline()
            if rest.endswith(b"\n"):
                json.loads(rest)
            self._first_due = number
        except ValueError as error:  # that it is not JSON, or not even text
            where = f"cannot read {self.path}, which is damaged in line {number + 1}"
            raise UserError(f"--storage: {where}; restore a copy of it, or give another") from error

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        with self.path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
        if self._first_due is not None:  # Optuna goes on reading where these end, and not at the start of the file
            for number, line in enumerate(lines, start=self._first_due):
                self._log_number_offset[number + 1] = self._log_number_offset[number] + len(line)


def _cut_half_line(path: Path) -> None:
    """Cut off a last line without an end. Whoever writes holds the lock, so that under it such a line is nobody's."""
    if half := _half_line(path):
        with path.open("rb+") as file:
            file.truncate(file.seek(0, os.SEEK_END) - half)


def _half_line(path: Path) -> int:
    """The bytes after the last end of a line; lines are short, so that it is looked for in the last of them."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(-min(size, 1), os.SEEK_END)
        if file.read() in (b"", b"\n"):
            return 0
        file.seek(-min(size, LONGEST_LINE), os.SEEK_END)
        tail = file.read()
    return len(tail) - tail.rfind(b"\n") - 1
