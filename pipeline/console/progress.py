"""The progress of a search: trials done, the best of each arm, the number that diverged, and the time left."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console

from pipeline.study.spec import Study
from pipeline.training.metrics import BEST_VAL_ACCURACY
from pipeline.trials.trial import FinishedTrial

PLAIN_LINES = 10
ALL_ARMS = "all arms"
SPEED_SECONDS = 3600
"""The speed is the mean over this time: trials may take minutes each, and are recorded in batches."""


class Progress:
    """Shows a bar for each arm on a terminal, and prints about ten plain lines elsewhere.

    Parameters
    ----------
    study
        The study that is searched.
    before
        The trials recorded earlier: arm, score, and True if it diverged.
    console
        Where to show it.
    """

    def __init__(self, study: Study, before: Iterable[tuple[str, float, bool]], console: Console) -> None:
        self._console = console
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=10),
            bars.MofNCompleteColumn(),
            bars.TextColumn("best val accuracy {task.fields[best]:.3f}"),
            bars.TextColumn("{task.fields[diverged]} diverged"),
            bars.TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=SPEED_SECONDS,
        )
        earlier = list(before)
        for arm in (*(arm.name for arm in study.arms), ALL_ARMS):
            scores = [score for name, score, _ in earlier if arm in (name, ALL_ARMS)]
            task = self._bars.add_task(
                arm,
                total=study.blocks * study.trials * (len(study.arms) if arm == ALL_ARMS else 1),
                completed=len(scores),
                best=max(scores, default=0.0),
                diverged=sum(diverged for name, _, diverged in earlier if arm in (name, ALL_ARMS)),
            )
            self._bars.advance(task, 0)  # the speed is measured from here
        self._earlier = self.total
        self._earlier_diverged = self._all_arms.fields["diverged"]

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def recorded(self, trial: FinishedTrial) -> None:
        """Count a trial that has just been recorded."""
        score, diverged = trial.result.scores[BEST_VAL_ACCURACY], trial.result.diverged
        for task in self._bars.tasks:
            if task.description in (trial.plan.arm, ALL_ARMS):
                best = max(task.fields["best"], score)
                self._bars.update(task.id, advance=1, best=best, diverged=task.fields["diverged"] + diverged)
        step = -(-(self._planned - self._earlier) // PLAIN_LINES)
        due = (self.total - self._earlier) % step == 0 or self._all_arms.finished
        if due and not self._console.is_terminal:
            self._console.print(f"  {self._line()}", highlight=False, soft_wrap=True)

    def summary(self) -> str:
        """Return one line about the trials of this search."""
        diverged = self._all_arms.fields["diverged"] - self._earlier_diverged
        return f"{self.total - self._earlier:,} trials trained and recorded, {diverged} of them diverged, in {self._elapsed}"

    @property
    def total(self) -> int:
        """The number of trials recorded so far."""
        return int(self._all_arms.completed)

    @property
    def _planned(self) -> int:
        return int(self._all_arms.total or 0)

    @property
    def _all_arms(self) -> bars.Task:
        return self._bars.tasks[-1]

    @property
    def _elapsed(self) -> str:
        return _duration(self._all_arms.elapsed or 0)

    def _line(self) -> str:
        best = ", ".join(f"{t.description} {t.fields['best']:.3f}" for t in self._bars.tasks[:-1] if t.completed)
        remaining = self._all_arms.time_remaining
        left = "starting" if remaining is None else f"about {_duration(remaining)} left"
        return (
            f"{self.total}/{self._planned} trials; best val accuracy: {best}; {self._all_arms.fields['diverged']} diverged; "
            + (f"{self._elapsed} in all" if self._all_arms.finished else left)
        )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
