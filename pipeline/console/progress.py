"""The progress of a search: trials done, the best of each arm, the number that diverged, and the time left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console
from rich.table import Column

from pipeline.study.spec import Study
from pipeline.trials.trial import FinishedTrial

PLAIN_LINES = 10
WIDE = 76
"""The columns of a terminal from which on it shows bars."""
ALL_ARMS = "all arms"
SPEED_SECONDS = 3600
"""The speed is the mean over this time: trials may take minutes each, and are recorded in batches."""


class Progress:
    """Shows a bar for each arm on a terminal, and prints about ten plain lines elsewhere.

    ``before`` are the trials recorded earlier: the arm, the score, and True if it diverged.
    """

    def __init__(self, study: Study, before: Iterable[tuple[str, float, bool]], console: Console) -> None:
        self._console, self._metric = console, study.objective
        self._failure_word = "failed" if study.model else "diverged"
        self._bars = bars.Progress(
            *_columns(console.width, self._failure_word),
            console=console,
            transient=True,
            speed_estimate_period=SPEED_SECONDS,
        )
        earlier = list(before)
        for arm in (*(arm.name for arm in study.arms), ALL_ARMS):
            scores = [score for name, score, _ in earlier if arm in (name, ALL_ARMS)]
            task = self._bars.add_task(
                arm,
                total=study.total_trials if arm == ALL_ARMS else study.blocks * study.trials,
                completed=len(scores),
                best=max(scores, default=min(self._metric.low, 0.0)),
                diverged=sum(diverged for name, _, diverged in earlier if arm in (name, ALL_ARMS)),
            )
            self._bars.advance(task, 0)  # the speed is measured from here
        self._all_arms = self._bars.tasks[-1]
        self._earlier = int(self._all_arms.completed), int(self._all_arms.fields["diverged"])
        self._pruned = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def count(self, trial: FinishedTrial) -> None:
        """Count a trial that has just been recorded."""
        score, diverged = trial.result.scores[self._metric.best_val], trial.result.diverged
        self._pruned += trial.result.pruned
        for task in self._bars.tasks:
            if task.description in (trial.plan.arm, ALL_ARMS):
                best = max(task.fields["best"], score)
                self._bars.update(task.id, advance=1, best=best, diverged=task.fields["diverged"] + diverged)
        trained, pending = self._trained, int(self._all_arms.total or 0) - self._earlier[0]
        if not self._console.is_terminal and (trained % -(-pending // PLAIN_LINES) == 0 or trained == pending):
            self._console.print(f"  {self._line()}", highlight=False, soft_wrap=True)

    def summary(self) -> str:
        """Return one line about the trials of this search."""
        diverged = self._all_arms.fields["diverged"] - self._earlier[1]
        duration = _duration(self._all_arms.elapsed)
        pruned = f", {self._pruned} pruned" if self._pruned else ""
        trials = "1 trial" if self._trained == 1 else f"{self._trained:,} trials"
        return f"{trials} trained and recorded, {diverged} {self._failure_word}{pruned}, in {duration}"

    @property
    def _trained(self) -> int:
        return int(self._all_arms.completed) - self._earlier[0]

    def _line(self) -> str:
        every = self._all_arms
        best = ", ".join(
            f"{arm.description} {arm.fields['best']:.3f}" for arm in self._bars.tasks[:-1] if arm.completed
        )
        left = "starting" if every.time_remaining is None else f"about {_duration(every.time_remaining)} left"
        return (
            f"{every.completed:.0f}/{every.total:.0f} trials; best val {self._metric.title}: {best}; {every.fields['diverged']} {self._failure_word}; "
            + (f"{_duration(every.elapsed)} in all" if every.finished else left)
        )


def _columns(width: int, failure_word: str) -> Iterator[bars.ProgressColumn]:
    """Yield the columns that fit into a terminal of that width; a long name of an arm is cut off before anything else."""
    yield bars.SpinnerColumn("line")
    yield bars.TextColumn("{task.description}", table_column=Column(overflow="ellipsis"))
    if width >= WIDE:
        yield bars.BarColumn(bar_width=10, table_column=Column(no_wrap=True))
    yield bars.TextColumn(" {task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True, justify="right"))
    yield bars.TextColumn("best {task.fields[best]:.3f}")
    yield bars.TextColumn(
        f"{{task.fields[diverged]}} {failure_word}", table_column=Column(no_wrap=True, justify="right")
    )
    yield bars.TimeRemainingColumn(table_column=Column(no_wrap=True))
    if width >= WIDE:
        yield bars.TextColumn("left")


def _duration(seconds: float | None) -> str:
    minutes, seconds = divmod(round(seconds or 0), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
