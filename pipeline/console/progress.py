"""The live display of a search: trials done, the best of each arm, how many diverged, and the time that is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.study.spec import Study
from pipeline.training.metrics import BEST_VAL_ACCURACY
from pipeline.trials.trial import FinishedTrial

PLAIN_LINES = 10


class Progress:
    """Call :meth:`recorded` with each trial. A terminal shows a live table; elsewhere about ten plain lines are printed.

    ``before`` are the trials that were recorded earlier: the arm, the score, and whether it diverged.
    """

    def __init__(self, study: Study, before: Iterable[tuple[str, float, bool]], console: Console) -> None:
        self.study, self.console = study, console
        self.done: Counter[str] = Counter()
        self.diverged: Counter[str] = Counter()
        self.best: dict[str, float] = {arm.name: 0.0 for arm in study.arms}
        for arm, score, diverged in before:
            self._count(arm, score, diverged)
        self.earlier, self.earlier_diverged = self.total, self.diverged.total()
        self.planned = study.total_trials
        self._start = time.monotonic()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def recorded(self, trial: FinishedTrial) -> None:
        """Count a trial that is recorded now."""
        self._count(trial.plan.arm, trial.result.scores[BEST_VAL_ACCURACY], trial.result.diverged)
        step = -(-(self.planned - self.earlier) // PLAIN_LINES)
        due = (self.total - self.earlier) % step == 0 or self.total == self.planned
        if due and not self.console.is_terminal:
            self.console.print(f"  {self._line()}", highlight=False, soft_wrap=True)

    def _count(self, arm: str, score: float, diverged: bool) -> None:
        self.done[arm] += 1
        self.diverged[arm] += diverged
        self.best[arm] = max(self.best.get(arm, 0.0), score)

    def summary(self) -> str:
        """What this search did, in a line."""
        trained, diverged = self.total - self.earlier, self.diverged.total() - self.earlier_diverged
        return f"{trained:,} trials trained and recorded, {diverged} of them diverged, in {_duration(self._elapsed)}"

    @property
    def total(self) -> int:
        """The trials recorded so far."""
        return self.done.total()

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._start

    def _left(self) -> str:
        trained, missing = self.total - self.earlier, self.planned - self.total
        if not missing:
            return f"{_duration(self._elapsed)} in all"
        return f"about {_duration(self._elapsed / trained * missing)} left" if trained else "starting"

    def _line(self) -> str:
        best = ", ".join(f"{arm} {score:.3f}" for arm, score in self.best.items() if self.done[arm])
        return f"{self.total}/{self.planned} trials; best val accuracy: {best}; {self.diverged.total()} diverged; {self._left()}"

    def _table(self) -> Group:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for column in ("arm", "trials", "best val accuracy", "diverged"):
            table.add_column(column, justify="left" if column == "arm" else "right")
        for arm, score in self.best.items():
            table.add_row(
                arm, f"{self.done[arm]:,}", f"{score:.3f}" if self.done[arm] else "-", str(self.diverged[arm])
            )
        bar = ProgressBar(total=self.planned, completed=self.total, width=40)
        return Group(table, bar, Text(f"{self.total:,}/{self.planned:,} trials, {self._left()}", style="dim"))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
