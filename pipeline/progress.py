"""The live display of a search: trials done, the best of each arm, how many diverged, and the time that is left."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.spec import Study
from pipeline.trial import FinishedTrial

PLAIN_LINES = 10


class Progress:
    """Call :meth:`recorded` with each trial. A terminal shows a live table; elsewhere about ten plain lines are printed."""

    def __init__(self, study: Study, pending: int, console: Console) -> None:
        self.study, self.pending, self.console = study, pending, console
        self.planned = study.blocks * study.trials * len(study.arms)
        self.done: Counter[str] = Counter()
        self.diverged: Counter[str] = Counter()
        self.best: dict[str, float] = {}
        self._start = time.monotonic()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal and self.pending:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def recorded(self, trial: FinishedTrial) -> None:
        """Count a trial that is recorded now."""
        arm = trial.plan.arm
        self.done[arm] += 1
        self.diverged[arm] += trial.result.diverged
        self.best[arm] = max(self.best.get(arm, 0.0), trial.result.scores["best/val_accuracy"])
        step = -(-self.pending // PLAIN_LINES)
        if not self.console.is_terminal and (self.total % step == 0 or self.total == self.pending):
            self.console.print(self._line(), highlight=False, soft_wrap=True)

    def summary(self) -> str:
        """What this search did, in a line."""
        return f"{self.total:,} trials trained and recorded, {self.diverged.total()} diverged, {_duration(time.monotonic() - self._start)}"

    @property
    def total(self) -> int:
        """The trials recorded so far, by this search."""
        return self.done.total()

    def _seconds_left(self) -> float:
        elapsed = time.monotonic() - self._start
        return elapsed / max(self.total, 1) * (self.pending - self.total)

    def _line(self) -> str:
        best = ", ".join(f"{arm} {score:.3f}" for arm, score in self.best.items())
        recorded = self.planned - self.pending + self.total
        return f"{recorded}/{self.planned} trials; best val accuracy: {best}; {self.diverged.total()} diverged; {self._left()}"

    def _left(self) -> str:
        return (
            f"about {_duration(self._seconds_left())} left"
            if self.total < self.pending
            else f"{_duration(time.monotonic() - self._start)} in all"
        )

    def _table(self) -> Group:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for column in ("arm", "trials", "best val accuracy", "diverged"):
            table.add_column(column, justify="left" if column == "arm" else "right")
        for arm in self.study.arms:
            best = f"{self.best[arm.name]:.3f}" if arm.name in self.best else "-"
            table.add_row(arm.name, str(self.done[arm.name]), best, str(self.diverged[arm.name]))
        recorded = self.planned - self.pending + self.total
        bar = ProgressBar(total=self.planned, completed=recorded, width=40)
        return Group(table, bar, Text(f"{recorded}/{self.planned} trials, {self._left()}", style="dim"))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
