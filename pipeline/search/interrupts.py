"""Ctrl-C, SIGTERM and SIGHUP: what is being written is finished first; a second one leaves at once."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.search.processes import STOPS


class Stopped(KeyboardInterrupt):
    """The job was asked to stop by a signal, and nothing is half-written."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Interrupts:
    """Raises :class:`Stopped` when asked to stop, but not inside :meth:`deferred`, where a first signal has to wait."""

    def __init__(self) -> None:
        self._busy = False
        self._pending: int | None = None
        self._asked: int | None = None

    @contextmanager
    def handled(self) -> Iterator[Interrupts]:
        """Handle the signals in the body, and put back what handled them before; ``nohup`` keeps SIGHUP ignored."""
        kept = {signum for signum in STOPS if signum.name == "SIGHUP" and signal.getsignal(signum) == signal.SIG_IGN}
        before = {signum: signal.signal(signum, self._handle) for signum in STOPS if signum not in kept}
        try:
            yield self
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Finish the body before a signal takes effect."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        if self._pending is not None:
            raise Stopped(self._pending)

    def caused(self, error: OSError) -> Stopped | None:
        """The stop that led to an error: of a terminal that is closed, output fails after SIGHUP has come."""
        return Stopped(self._asked) if self._asked is not None and error.errno == errno.EIO else None

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        self._asked = signum
        if self._busy and self._pending is None:
            self._pending = signum
        else:
            raise Stopped(signum)
