"""The workers of a Dask cluster, used through joblib; a lost cluster is reported at once.

joblib waits forever for a task that the cluster has given up: a task that killed its workers, that no worker can read, or
whose scheduler is gone. So a thread reads joblib's results, while the main thread checks whether the cluster still works.
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
POLL_SECONDS = 0.5
IDLE_SECONDS = 3
"""If no task is at work and no result has come for this time, the remaining tasks are lost."""
WORKERLESS_SECONDS = 60
"""How long a cluster may be without any worker."""


class Lost(Exception):  # noqa: N818  it is not an error of the program
    """The cluster has given up tasks."""


@contextmanager
def cluster(scheduler: str) -> Iterator[Engine]:
    """Provide the workers of a Dask scheduler, at an address like ``tcp://HOST:8786``, as an engine.

    Raises :class:`UserError` if no scheduler answers there, or its workers cannot train this network.
    """
    client = _connect(scheduler)
    try:
        _check_workers(client, scheduler)
        count = len(client.ncores())
        description = f"{count} worker{'s' if count > 1 else ''} of {scheduler}"
        yield Engine(
            description,
            lambda tasks: run_with_retries(lambda unfinished: _run(unfinished, client), tasks, Lost),
            _budget_bytes(client),
        )
    finally:
        client.close()


def _connect(scheduler: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--scheduler needs the package distributed; install it beside babysit") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are reported by this module
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"--scheduler: no Dask scheduler answers at {scheduler} ({error})") from None


def _check_workers(client: Any, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        versions = set(client.run(_network_version).values())
        other_rules = set(client.run(_rule_names).values()) - {_rule_names()}
    except TimeoutError:
        raise UserError(
            f"--scheduler: no worker has joined {scheduler}; start some with: dask worker {scheduler}"
        ) from None
    except Exception as error:  # noqa: BLE001  a worker without babysit may raise anything
        raise UserError(f"--scheduler: the workers of {scheduler} cannot run babysit ({error})") from None
    if versions != {NETWORK_VERSION}:
        raise UserError(
            f"--scheduler: the workers of {scheduler} have version {', '.join(map(str, sorted(versions)))} of the network; "
            f"expected {NETWORK_VERSION} on each. Install this version of babysit there"
        )
    if other_rules:
        here, there = (", ".join(names) or "none" for names in (_rule_names(), other_rules.pop()))
        raise UserError(
            f"--scheduler: a worker of {scheduler} has other diagnosis rules of your own ({there}) than here ({here})"
        )


def _budget_bytes(client: Any) -> int:
    """Return the bytes that a task may take on the worker with the least memory for each thread."""
    limits = [worker["memory_limit"] / worker["nthreads"] for worker in client.scheduler_info()["workers"].values()]
    return max(1, int(min(limits, default=0) * FOR_TRIALS)) if all(limits) else bytes_per_worker(1)


def _network_version() -> int:
    from pipeline.trials import task  # it is called on a worker, which has its own version

    return task.NETWORK_VERSION


def _rule_names() -> tuple[str, ...]:
    from pipeline.diagnosis.plugins import load_rules

    return tuple(rule.name for rule in load_rules())


def _run(tasks: Sequence[Task], client: Any) -> Iterator[list[FinishedTrial]]:
    """Yield the finished trials of each task. Raises :class:`Lost` when no more will come."""
    results: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(tasks, client, results), daemon=True).start()
    health = _Health(client)
    while True:
        try:
            finished = results.get(timeout=POLL_SECONDS)
        except Empty:
            health.check()
            continue
        if finished is None:
            return
        if isinstance(finished, (OSError, CancelledError)):
            health.check()
            raise Lost from finished
        if isinstance(finished, BaseException):
            raise finished
        health.active_at = time.monotonic()
        yield finished


def _read(tasks: Sequence[Task], client: Any, results: SimpleQueue[Any]) -> None:
    """Put the finished trials of each task into a queue, then None or, if something fails, the exception."""
    try:
        with joblib.parallel_config(backend="dask", client=client, wait_for_workers_timeout=WORKERLESS_SECONDS):
            parallel = joblib.Parallel(n_jobs=-1, return_as="generator_unordered")
            calls = (joblib.delayed(run_checked)(task, _network_version(), _rule_names()) for task in tasks)
            for finished in parallel(calls):
                results.put(finished)
        results.put(None)
    except BaseException as error:  # noqa: BLE001  it is raised where the results are read
        results.put(error)


def run_checked(task: Task, version: int, rules: tuple[str, ...]) -> list[FinishedTrial]:
    """Train a task on a worker, which may have joined during the search.

    Raises ``Failed`` if the worker has another version of the network, or other diagnosis rules of the user, than the
    process that searches.
    """
    if (version, rules) != (_network_version(), _rule_names()):
        raise Failed(
            f"a worker of the cluster has version {_network_version()} of the network and "
            f"{', '.join(_rule_names()) or 'none'} as diagnosis rules of your own; "
            f"expected version {version} and {', '.join(rules) or 'none'}. End that worker. {GO_ON}"
        )
    return run_task(task)


class _Health:
    """Watches whether a cluster has workers, and whether they have tasks."""

    def __init__(self, client: Any) -> None:
        self._client, self._submitted = client, False
        self.active_at = self._had_workers_at = time.monotonic()

    def check(self) -> None:
        """Raise :class:`Lost` if the submitted tasks are not at work, ``Failed`` if the cluster is gone."""
        now = time.monotonic()
        if self._client.status != "running":
            raise Failed(f"the cluster's scheduler is gone. {GO_ON}")
        futures = list(self._client.futures.values())
        self._submitted = self._submitted or bool(futures)
        if not self._submitted or any(future.status == "pending" for future in futures):
            self.active_at = now  # on a busy machine joblib may take a while to submit the first task
        if now - self.active_at > IDLE_SECONDS:
            raise Lost
        if self._client.scheduler_info(n_workers=1)["workers"]:
            self._had_workers_at = now
        if now - self._had_workers_at > WORKERLESS_SECONDS:
            raise Failed(f"the cluster has had no worker for {WORKERLESS_SECONDS} seconds. {GO_ON}")
