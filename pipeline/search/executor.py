"""The executor: tasks in, finished trials out as they finish. Workers compute and write nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import joblib

from pipeline.task import Task, run_task, run_task_in_worker
from pipeline.trial import FinishedTrial


def execute(tasks: Sequence[Task], workers: int) -> Iterator[list[FinishedTrial]]:
    """The finished trials of each task, in the order in which tasks finish.

    One worker is this process; more are processes of their own, each with one BLAS thread, which gives the same bits.
    """
    run = run_task if workers == 1 else run_task_in_worker
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        finished = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")(
            joblib.delayed(run)(task) for task in tasks
        )
    try:
        for trials in finished:  # noqa: UP028  `yield from` would close it before the warnings are off
            yield trials
    finally:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that tasks are given up is meant
            finished.close()
