"""The executor: tasks in, finished trials out as they finish. Workers compute and write nothing."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pipeline.data import Dataset, small_block
from pipeline.search.budget import bytes_per_worker
from pipeline.search.engine import Engine, run_with_retries
from pipeline.search.processes import become_worker, remove_leftovers, signals_held
from pipeline.trials.task import Task, get_ready, run_task
from pipeline.trials.trial import FinishedTrial


@contextlib.contextmanager
def engine(workers: int, scheduler: str = "") -> Iterator[Engine]:
    """The engine of a search: workers on this machine or, where a scheduler is named, those of its cluster.

    Raises :class:`UserError` for a cluster that cannot be used.
    """
    if not scheduler:
        words = f"{workers} worker{'s' if workers > 1 else ''}"
        if workers > 1 and not can_start_workers():
            workers, words = 1, "1 worker, since processes have no semaphores here; make /dev/shm writable for more"
        with started(workers) as wait:
            yield Engine(words, lambda tasks: execute(tasks, workers, wait), bytes_per_worker(workers))
        return
    from pipeline.search.cluster import cluster

    with cluster(scheduler) as there:
        yield there


def can_start_workers() -> bool:
    """Return False where the semaphores of worker processes cannot be made, as without a writable /dev/shm."""
    try:
        multiprocessing.Semaphore()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def started(workers: int) -> Iterator[Callable[[], None]]:
    """Have workers get ready during the body, so that they are at work at once when it has tasks; a call waits for them.

    What killed processes left in shared memory is removed first.
    """
    if workers == 1:
        yield no_wait
        return
    remove_leftovers()
    ready: Iterator[None] = iter(())

    def wait() -> None:
        with contextlib.suppress(TerminatedWorkerError):  # who needs them will start new ones
            deque(ready, maxlen=0)

    try:
        with signals_held():
            ready = _pool(workers)(joblib.delayed(get_ready)() for _ in range(workers))
        yield wait
    finally:
        wait()  # to end a pool that is just starting would print a traceback of its own


def no_wait() -> None:
    """Wait for nobody."""


def execute(tasks: Sequence[Task], workers: int, wait: Callable[[], None] = no_wait) -> Iterator[list[FinishedTrial]]:
    """The finished trials of each task, in the order in which tasks finish, from workers that are waited for.

    One worker is this process; more are processes of their own, each with one BLAS thread, which gives the same bits.
    A worker that dies, killed or out of memory, takes the others with it: what is left is given to new ones.
    Raises ``Failed`` if they die again and again.
    """
    wait()
    return run_with_retries(lambda left: _stream(left, workers), tasks, TerminatedWorkerError)


def _data(task: Task) -> Dataset | None:
    """A small block goes along with its task: workers are at work two seconds sooner, since they need NumPy alone."""
    return small_block(task.dataset, task.config, task.split_seed)


def _stream(tasks: Sequence[Task], workers: int) -> Iterator[list[FinishedTrial]]:
    finished = None
    try:
        with signals_held() if workers > 1 else contextlib.nullcontext():  # it may start workers
            finished = _pool(workers)(joblib.delayed(run_task)(task, _data(task)) for task in tasks)
        for trials in finished:  # noqa: UP028  `yield from` would close it before the warnings are off
            yield trials
    finally:
        if finished is not None:
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # that tasks are given up is meant
                finished.close()


def _pool(workers: int) -> joblib.Parallel:
    """Who runs tasks, the same processes each time, and yields what they return as it comes."""
    starts = {"initializer": become_worker, "initargs": (os.getpid(),)}
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **starts):
        return joblib.Parallel(n_jobs=workers, return_as="generator_unordered")


def default_workers() -> int:
    """The processors that this process may use, by its affinity and by the quota of its container."""
    return int(joblib.cpu_count())
