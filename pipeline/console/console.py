"""Lines on the terminal at three levels: results always, progress unless quiet, details if verbose."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from rich import progress as bars
from rich.console import Console as RichConsole


class Verbosity(IntEnum):
    """How much is printed."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Terminal(RichConsole):
    """Standard output. It raises ``BrokenPipeError`` when the reader has closed it, and prints nothing from then on."""

    def on_broken_pipe(self) -> None:
        """Raise ``BrokenPipeError`` where rich would end the process."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise BrokenPipeError("the output is closed") from None


@dataclass(frozen=True)
class Console:
    """Prints lines on standard output, without markup; lines that belong to a line are indented under it."""

    verbosity: Verbosity = Verbosity.NORMAL
    terminal: RichConsole = field(default_factory=Terminal)

    def result(self, line: str) -> None:
        """Print a line that a script needs, at every verbosity."""
        self.terminal.print(line, markup=False, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """Print a line about progress, unless quiet."""
        if self.verbosity > Verbosity.QUIET:
            self.result(line)

    def detail(self, line: str) -> None:
        """Print a detail, if verbose."""
        if self.verbose:
            self.result(line)

    @property
    def verbose(self) -> bool:
        """True if details are printed; otherwise what only they need is not computed."""
        return self.verbosity > Verbosity.NORMAL

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Print how long the body took, if verbose and the body raises no exception."""
        start = time.perf_counter()
        yield
        self.detail(f"  {phase} took {time.perf_counter() - start:.1f} s")

    @contextmanager
    def working(self, phase: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show on a terminal that a phase goes on during the body, and for how long; elsewhere show nothing.

        With a ``total`` it shows how much is done; the function that the body gets adds to it.
        """
        counts = [] if total is None else [bars.MofNCompleteColumn()]
        columns = [bars.SpinnerColumn("line"), bars.TextColumn("{task.description}"), *counts, bars.TimeElapsedColumn()]
        shown = bars.Progress(*columns, console=self.display, transient=True, disable=not self.display.is_terminal)
        task = shown.add_task(phase, total=total)
        with shown:
            yield lambda done: shown.advance(task, done)

    @property
    def display(self) -> RichConsole:
        """The console for a live display; it prints nothing if quiet."""
        return self.terminal if self.verbosity > Verbosity.QUIET else RichConsole(quiet=True, force_terminal=False)
