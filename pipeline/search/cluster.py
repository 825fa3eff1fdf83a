"""A cluster's workers: tasks go to a Dask scheduler through joblib, and a cluster that is lost is told and not waited for.

joblib waits for ever for a task that the cluster gave up: one that killed its workers, that no worker can read, or whose
scheduler is gone. So its results are read in a thread, while this one looks at whether anything is still at work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import joblib

from pipeline.errors import Failed, UserError
from pipeline.search.budget import FOR_TRIALS, bytes_per_worker
from pipeline.search.engine import GO_ON, Engine, run_with_retries
from pipeline.trials.task import NETWORK_VERSION, Task, run_task
from pipeline.trials.trial import FinishedTrial

CONNECT_SECONDS = 10
LOOK_SECONDS = 0.5
CALM_SECONDS = 3
"""Once so long nothing was at work and nothing came, what is left is taken for lost."""
WORKERLESS_SECONDS = 60
"""So long a cluster may be without any worker."""


class Lost(Exception):  # noqa: N818  the executor's word for it, and no error of the program
    """The cluster has given tasks up."""


@contextmanager
def cluster(scheduler: str) -> Iterator[Engine]:
    """The engine that is the workers of a Dask scheduler, at an address like ``tcp://HOST:8786``.

    Raises :class:`UserError` if nobody answers there, or its workers cannot train this network.
    """
    client = _connect(scheduler)
    try:
        _check_workers(client, scheduler)
        count = len(client.ncores())
        words = f"{count} worker{'s' if count > 1 else ''} of {scheduler}"
        yield Engine(
            words, lambda tasks: run_with_retries(lambda left: _stream(left, client), tasks, Lost), _budget(client)
        )
    finally:
        client.close()


def _connect(scheduler: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--scheduler needs the package distributed; install it beside babysit") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is wrong is told in words of ours
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"--scheduler: no Dask scheduler answers at {scheduler} ({error})") from None


def _check_workers(client: Any, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        versions = set(client.run(_version).values())
        rules = set(client.run(_rules).values()) - {_rules()}
    except TimeoutError:
        raise UserError(
            f"--scheduler: no worker has joined {scheduler}; start some with: dask worker {scheduler}"
        ) from None
    except Exception as error:  # noqa: BLE001  a worker without babysit raises whatever it stumbles over
        raise UserError(f"--scheduler: the workers of {scheduler} cannot run babysit ({error})") from None
    if versions != {NETWORK_VERSION}:
        raise UserError(
            f"--scheduler: the workers of {scheduler} have version {', '.join(map(str, sorted(versions)))} of the network; "
            f"expected {NETWORK_VERSION} on each. Install this version of babysit there"
        )
    if rules:
        here, there = (", ".join(names) or "none" for names in (_rules(), rules.pop()))
        raise UserError(
            f"--scheduler: a worker of {scheduler} has other diagnosis rules of your own ({there}) than here ({here})"
        )


def _budget(client: Any) -> int:
    """What a task may take on the worker with the least memory."""
    limits = [worker["memory_limit"] / worker["nthreads"] for worker in client.scheduler_info()["workers"].values()]
    return max(1, int(min(limits, default=0) * FOR_TRIALS)) if all(limits) else bytes_per_worker(1)


def _version() -> int:
    from pipeline.trials import task

    return task.NETWORK_VERSION


def _rules() -> tuple[str, ...]:
    from pipeline.diagnosis.plugins import load_rules

    return tuple(rule.name for rule in load_rules())


def _stream(tasks: Sequence[Task], client: Any) -> Iterator[list[FinishedTrial]]:
    """The finished trials of each task. Raises :class:`Lost` once nothing more is to come."""
    results: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(tasks, client, results), daemon=True).start()
    health = _Health(client)
    while True:
        try:
            finished = results.get(timeout=LOOK_SECONDS)
        except Empty:
            health.look()
            continue
        if finished is None:
            return
        if isinstance(finished, (OSError, CancelledError)):
            health.look()
            raise Lost from finished
        if isinstance(finished, BaseException):
            raise finished
        health.calm_since = time.monotonic()
        yield finished


def _read(tasks: Sequence[Task], client: Any, results: SimpleQueue[Any]) -> None:
    try:
        with joblib.parallel_config(backend="dask", client=client, wait_for_workers_timeout=WORKERLESS_SECONDS):
            parallel = joblib.Parallel(n_jobs=-1, return_as="generator_unordered")
            for finished in parallel(joblib.delayed(run_checked)(task, _version(), _rules()) for task in tasks):
                results.put(finished)
        results.put(None)
    except BaseException as error:  # noqa: BLE001  it is raised where the results are read
        results.put(error)


def run_checked(task: Task, version: int, rules: tuple[str, ...]) -> list[FinishedTrial]:
    """Train a task on a worker. Raise ``Failed`` if it has another network or other rules: a worker may join in mid-search."""
    if (version, rules) != (_version(), _rules()):
        own = ", ".join(_rules()) or "none"
        raise Failed(
            f"a worker of the cluster has version {_version()} of the network and {own} as diagnosis rules of your own; "
            f"expected version {version} and {', '.join(rules) or 'none'}. End that worker. {GO_ON}"
        )
    return run_task(task)


class _Health:
    """Whether a cluster still has workers, and they something to do."""

    def __init__(self, client: Any) -> None:
        self._client, self._given = client, False
        self.calm_since = self._seen_workers = time.monotonic()

    def look(self) -> None:
        """Raise :class:`Lost` if what was given to the cluster is not at work, ``Failed`` if the cluster is gone."""
        now = time.monotonic()
        if self._client.status != "running":
            raise Failed(f"the cluster's scheduler is gone. {GO_ON}")
        futures = list(self._client.futures.values())
        self._given = self._given or bool(futures)
        if not self._given or any(future.status == "pending" for future in futures):
            self.calm_since = now  # on a busy machine joblib may take its time to give them anything
        if now - self.calm_since > CALM_SECONDS:
            raise Lost
        if self._client.scheduler_info(n_workers=1)["workers"]:
            self._seen_workers = now
        if now - self._seen_workers > WORKERLESS_SECONDS:
            raise Failed(f"the cluster has had no worker for {WORKERLESS_SECONDS} seconds. {GO_ON}")
