"""What a study's own model prints: it goes on to standard error, and of a flood only its start and its end."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import BinaryIO

KEPT = 2**15
"""The most bytes that are shown of the start of what a trial prints, and of its end."""
STANDARD_ERROR = 2


class ModelOutput:
    """Passes on what a model's process writes to a pipe. A thread reads it, so that the process waits for no trial's end."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._lock = threading.Lock()
        self._shown, self._left_out, self._end = 0, 0, b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def end_trial(self) -> None:
        """Show the end of what the trial has printed, and how much of a flood was left out."""
        with self._lock:
            left_out = f"\n... {self._left_out:,} bytes that the model printed are left out ...\n"
            _show((left_out.encode() if self._left_out else b"") + self._end)
            self._shown, self._left_out, self._end = 0, 0, b""

    def close(self) -> None:
        """Show the last words of a process that has ended."""
        self._thread.join(1)  # not for ever: a process that the model started may have the pipe too
        self.end_trial()

    def _read(self, pipe: BinaryIO) -> None:
        with pipe:
            while part := os.read(pipe.fileno(), KEPT):
                with self._lock:
                    self._take(part)

    def _take(self, part: bytes) -> None:
        start = part[: KEPT - self._shown]
        self._shown += len(start)
        _show(start)
        rest = self._end + part[len(start) :]
        self._left_out += max(0, len(rest) - KEPT)
        self._end = rest[-KEPT:]


def _show(text: bytes) -> None:
    with contextlib.suppress(OSError):  # standard error may be closed, and the search does not need it
        while text:
            text = text[os.write(STANDARD_ERROR, text) :]
