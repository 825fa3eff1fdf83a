"""An engine trains tasks: here it is said what one is, and what happens when its workers die."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import Failed
from pipeline.trials.task import Task
from pipeline.trials.trial import FinishedTrial

DEATHS = 3
"""So many times a search goes on when a worker dies; then what kills them is taken for the tasks' own doing."""
GO_ON = "What is recorded stays, and the same command goes on from there"

Execute = Callable[[Sequence[Task]], Iterator[list[FinishedTrial]]]


@dataclass(frozen=True)
class Engine:
    """Who trains, in words, how tasks get there, and what a task may take of a worker's memory.

    The finished trials of each task come back in any order.
    """

    words: str
    execute: Execute
    budget_bytes: int


def persistently(stream: Execute, tasks: Sequence[Task], loss: type[Exception]) -> Iterator[list[FinishedTrial]]:
    """Stream the tasks' trials; what is left when workers are lost is streamed anew, a few times. Then raises ``Failed``."""
    left = {task.trials[0].name: task for task in tasks}
    for _ in range(DEATHS):
        try:
            for finished in stream(list(left.values())):
                del left[finished[0].plan.name]
                yield finished
        except loss:
            continue
        return
    raise Failed(f"workers died {DEATHS} times, killed or out of memory. {GO_ON}; try it with fewer --workers")
