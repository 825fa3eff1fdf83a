"""An engine trains tasks on workers, and tries again when workers die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.errors import Failed
from pipeline.trials.task import Task
from pipeline.trials.trial import FinishedTrial

ATTEMPTS = 3
"""The number of times that tasks are given to new workers. If all of them die, the tasks probably kill them."""
RESUME = "What is recorded stays, and the same command continues from there"

RunTasks = Callable[[Sequence[Task]], Iterator[list[FinishedTrial]]]
"""Trains tasks, and yields the finished trials of each task, in any order of the tasks."""
Background = Callable[..., Callable[[], Any]]
"""Starts a function with arguments on a worker, if there is one that is free. Returns a function that waits for its result."""


def in_this_process(work: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Return a function that does the work when its result is needed."""
    return partial(work, *arguments)


@dataclass(frozen=True)
class Engine:
    """The workers of a search: a description, how they run tasks and other work, and the memory in bytes for one task."""

    description: str
    run: RunTasks
    limit_bytes: int
    background: Background = in_this_process


def run_with_retries(run: RunTasks, tasks: Sequence[Task], lost: type[Exception]) -> Iterator[list[FinishedTrial]]:
    """Yield the finished trials of each task; when ``run`` raises ``lost``, run the unfinished tasks again.

    Raises :class:`Failed` when workers are lost :data:`ATTEMPTS` times.
    """
    unfinished = {task.trials[0].name: task for task in tasks}
    for _ in range(ATTEMPTS):
        try:
            for finished in run(list(unfinished.values())):
                del unfinished[finished[0].plan.name]
                yield finished
        except lost:
            continue
        return
    raise Failed(f"workers died {ATTEMPTS} times, killed or out of memory. {RESUME}; try it with fewer --workers")
