"""The executor: tasks in, finished trials out as they finish. Workers compute and write nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pipeline.errors import Failed
from pipeline.task import Task, run_task, run_task_in_worker
from pipeline.trial import FinishedTrial

DEATHS = 3
"""So many times a search goes on when a worker dies; then what kills them is taken for the tasks' own doing."""


def execute(tasks: Sequence[Task], workers: int) -> Iterator[list[FinishedTrial]]:
    """The finished trials of each task, in the order in which tasks finish.

    One worker is this process; more are processes of their own, each with one BLAS thread, which gives the same bits.
    A worker that dies, killed or out of memory, takes the others with it: what is left is given to new ones.
    Raises ``Failed`` if they die again and again.
    """
    left = {task.trials[0].key: task for task in tasks}
    for _ in range(DEATHS):
        try:
            for finished in _stream(list(left.values()), workers):
                del left[finished[0].plan.key]
                yield finished
        except TerminatedWorkerError:
            continue
        return
    raise Failed(f"workers died {DEATHS} times, killed or out of memory. What is recorded stays; try fewer --workers")


def _stream(tasks: Sequence[Task], workers: int) -> Iterator[list[FinishedTrial]]:
    run = run_task if workers == 1 else run_task_in_worker
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
        finished = parallel(joblib.delayed(run)(task) for task in tasks)
    try:
        for trials in finished:  # noqa: UP028  `yield from` would close it before the warnings are off
            yield trials
    finally:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that tasks are given up is meant
            finished.close()
