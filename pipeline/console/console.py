"""What is said on the terminal, and how loudly: results always, progress unless quiet, details if verbose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from rich.console import Console as RichConsole


class Verbosity(IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Terminal(RichConsole):
    """Standard output; when nobody reads it any more, ``BrokenPipeError`` is raised, and nothing is said from there on."""

    def on_broken_pipe(self) -> None:
        """Rich ends the process here, without a word."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise BrokenPipeError("nobody reads the output any more") from None


@dataclass(frozen=True)
class Console:
    """Says lines on standard output, as they are; those that belong to a line are indented under it."""

    verbosity: Verbosity = Verbosity.NORMAL
    terminal: RichConsole = field(default_factory=Terminal)

    def result(self, line: str) -> None:
        """Say what a script needs, however quiet it is to be."""
        self.terminal.print(line, markup=False, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """Say what goes on, unless it is to be quiet."""
        if self.verbosity > Verbosity.QUIET:
            self.result(line)

    def detail(self, line: str) -> None:
        """Say, if it is to be verbose, what otherwise goes without saying."""
        if self.verbose:
            self.result(line)

    @property
    def verbose(self) -> bool:
        """Whether details are said: what only they need is not worked out otherwise."""
        return self.verbosity > Verbosity.NORMAL

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Say how long the body took, if it is to be verbose and the body ends well."""
        start = time.perf_counter()
        yield
        self.detail(f"  {phase} took {time.perf_counter() - start:.1f} s")

    @property
    def display(self) -> RichConsole:
        """The console for a live display, which a quiet console does not have."""
        return self.terminal if self.verbosity > Verbosity.QUIET else RichConsole(quiet=True, force_terminal=False)
