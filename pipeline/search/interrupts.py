"""Ctrl-C, SIGTERM and SIGHUP: the first signal waits for a write to finish, the second takes effect at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.search.processes import STOPS


class Stopped(KeyboardInterrupt):
    """A signal has asked the job to stop, and no write is incomplete."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Interrupts:
    """Raises :class:`Stopped` on a signal; inside :meth:`deferred`, the first signal waits."""

    def __init__(self) -> None:
        self._writing = False
        self._pending: int | None = None
        self._received: int | None = None

    @contextmanager
    def handled(self) -> Iterator[Interrupts]:
        """Handle the signals in the body, and restore their handlers; SIGHUP stays ignored under ``nohup``."""
        ignored = {signum for signum in STOPS if signum.name == "SIGHUP" and signal.getsignal(signum) == signal.SIG_IGN}
        before = {signum: signal.signal(signum, self._handle) for signum in STOPS if signum not in ignored}
        try:
            yield self
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Complete the body before a signal takes effect."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        if self._pending is not None:
            raise Stopped(self._pending)

    def cause(self) -> Stopped | None:
        """Return the stop that a signal has asked for, if any; it is also the cause of an error that comes after it.

        Libraries that a signal interrupts raise errors of their own, and output to a closed terminal fails after SIGHUP.
        """
        return Stopped(self._received) if self._received is not None else None

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        self._received = signum
        if self._writing and self._pending is None:
            self._pending = signum
        else:
            raise Stopped(signum)
