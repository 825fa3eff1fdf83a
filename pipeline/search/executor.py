"""Worker processes on this machine. Workers train and write nothing."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pipeline.data import small_block
from pipeline.search.engine import Background, Engine, in_this_process, run_with_retries
from pipeline.search.processes import become_worker, remove_leftovers, signals_held
from pipeline.search.worker_memory import bytes_per_worker
from pipeline.trials.task import Task, run_task, warm_up
from pipeline.trials.trial import FinishedTrial


@contextlib.contextmanager
def engine(workers: int, scheduler: str = "") -> Iterator[Engine]:
    """Provide the engine of a search: workers on this machine, or those of the Dask scheduler at an address.

    One worker is this process itself. Raises :class:`UserError` if the cluster cannot be used.
    """
    if scheduler:
        from pipeline.search.cluster import cluster

        with cluster(scheduler) as cluster_engine:
            yield cluster_engine
        return
    description = f"{workers} worker{'s' if workers > 1 else ''}"
    if workers > 1 and not can_start_workers():
        workers, description = 1, "1 worker, since processes have no semaphores here; make /dev/shm writable for more"
    with started(workers) as wait:

        def run(tasks: Sequence[Task]) -> Iterator[list[FinishedTrial]]:
            wait()
            return run_with_retries(lambda unfinished: _run(unfinished, workers), tasks, TerminatedWorkerError)

        with background_work(workers) as background:
            yield Engine(description, run, bytes_per_worker(workers), background if workers > 1 else in_this_process)


@contextlib.contextmanager
def background_work(workers: int) -> Iterator[Background]:
    """Give the body a function that starts work on a worker; work that is not waited for is waited for at the end.

    If the worker dies, this process does the work.
    """
    started = []

    def background(work: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        with signals_held():
            results = _pool(workers)([joblib.delayed(_outcome)(work, arguments)])
        started.append(results)

        def result() -> Any:
            try:
                value, error = next(results)
            except Exception:  # noqa: BLE001  joblib's, since an error of the work is a value here
                return work(*arguments)
            if error:
                raise error
            return value

        return result

    try:
        yield background
    finally:
        for results in started:
            with contextlib.suppress(Exception):
                deque(results, maxlen=0)


def _outcome(work: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, Exception | None]:
    """Return the result of work, or its error: an error that is raised in a worker would end the pool."""
    try:
        return work(*arguments), None
    except Exception as error:  # noqa: BLE001  it is raised where the result is waited for
        return None, error


def can_start_workers() -> bool:
    """Return False where the semaphores of worker processes cannot be created, as without a writable /dev/shm."""
    try:
        multiprocessing.Semaphore()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def started(workers: int) -> Iterator[Callable[[], None]]:
    """Start workers in the background, so that they are ready when the body has tasks.

    Gives the body a function that waits for them. Files that killed pools left in shared memory are removed first.
    """
    ready: Iterator[None] = iter(())

    def wait() -> None:
        with contextlib.suppress(TerminatedWorkerError):  # the first task starts new ones
            deque(ready, maxlen=0)

    try:
        if workers > 1:
            remove_leftovers()
            with signals_held():
                ready = _pool(workers)(joblib.delayed(warm_up)() for _ in range(workers))
        yield wait
    finally:
        wait()  # a pool that is ended while it starts prints a traceback


def _run(tasks: Sequence[Task], workers: int) -> Iterator[list[FinishedTrial]]:
    """Yield the finished trials of each task, in the order in which tasks finish.

    Each worker has one BLAS thread, which gives the same bits for any number of workers. A worker that is killed takes
    the whole pool with it: then ``TerminatedWorkerError`` is raised.
    """
    finished = None
    try:
        with signals_held() if workers > 1 else contextlib.nullcontext():  # it may start workers
            # A small dataset is sent with its task: the worker then does not import scikit-learn, and starts two seconds sooner.
            finished = _pool(workers)(
                joblib.delayed(run_task)(task, small_block(task.dataset, task.config, task.split_seed))
                for task in tasks
            )
        for trials in finished:  # noqa: UP028  `yield from` would close it before the warnings are off
            yield trials
    finally:
        if finished is not None:
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # tasks are abandoned on purpose
                finished.close()


def _pool(workers: int) -> joblib.Parallel:
    """Return the pool of workers, which keeps its processes between calls and yields results as they come."""
    starts = {"initializer": become_worker, "initargs": (os.getpid(),)}
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **starts):
        return joblib.Parallel(n_jobs=workers, return_as="generator_unordered")


def default_workers() -> int:
    """Return the number of processors that this process may use, by its affinity and its container's quota."""
    return int(joblib.cpu_count())
