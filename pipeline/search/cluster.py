"""The workers of a Dask cluster; a lost cluster is reported at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.errors import Failed, UserError
from pipeline.search.engine import RESUME, Engine, run_with_retries
from pipeline.search.worker_memory import FOR_TRIALS, bytes_per_worker
from pipeline.trials.task import NETWORK_VERSION, Task, run_task
from pipeline.trials.trial import FinishedTrial

CONNECT_SECONDS = 10
POLL_SECONDS = 0.05
CHECK_SECONDS = 0.5
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
            _limit_bytes(client),
        )
    finally:
        client.close()


def _connect(scheduler: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--scheduler needs the package distributed; install it next to babysit") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are reported by this module
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"--scheduler: no Dask scheduler answers at {scheduler} ({error}). Start one with: dask scheduler"
        ) from None


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
        raise UserError(
            f"--scheduler: the workers of {scheduler} cannot run babysit ({error}). Install it there"
        ) from None
    if versions != {NETWORK_VERSION}:
        raise UserError(
            f"--scheduler: the workers of {scheduler} have version {', '.join(map(str, sorted(versions)))} of the network; "
            f"expected {NETWORK_VERSION} on each. Install this version of babysit there"
        )
    if other_rules:
        here, on_worker = (", ".join(names) or "none" for names in (_rule_names(), other_rules.pop()))
        raise UserError(
            f"--scheduler: a worker of {scheduler} has other installed diagnosis rules ({on_worker}) than here ({here}). Install the same"
        )


def _limit_bytes(client: Any) -> int:
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
    """Yield the finished trials of each task.

    Raises :class:`Lost` when the cluster gives up a task, ``Failed`` when the cluster is gone.
    """
    from distributed import KilledWorker, as_completed

    futures = {client.submit(run_checked, task, _network_version(), _rule_names(), pure=False) for task in tasks}
    completed: Any = as_completed(futures)  # type: ignore[no-untyped-call]
    checked_at = had_workers_at = time.monotonic()
    try:
        while not completed.is_empty():
            now = time.monotonic()
            if now - checked_at > CHECK_SECONDS:
                checked_at, had_workers_at = now, now if _has_workers(client) else had_workers_at
                if now - had_workers_at > WORKERLESS_SECONDS:
                    raise Failed(f"the cluster has had no worker for {WORKERLESS_SECONDS} seconds. {RESUME}")
            if not completed.has_ready():
                time.sleep(POLL_SECONDS)
                continue
            future = next(completed)
            if future.cancelled():
                _has_workers(client)
                raise Lost
            try:  # a result that died with its worker is computed again, for which there may be no worker
                error = future.exception(timeout=WORKERLESS_SECONDS)
                if isinstance(error, (KilledWorker, OSError)):
                    raise Lost from error
                finished = future.result(timeout=WORKERLESS_SECONDS)
            except TimeoutError:
                raise Lost from None
            futures.discard(future)  # so that the cluster can forget the result
            yield finished
    finally:
        client.cancel(list(futures))


def _has_workers(client: Any) -> bool:
    """Return True if the cluster has a worker. Raises ``Failed`` if its scheduler is gone."""
    if client.status != "running":
        raise Failed(f"the cluster's scheduler is gone. {RESUME}")
    return bool(client.scheduler_info(n_workers=1)["workers"])


def run_checked(task: Task, version: int, rules: tuple[str, ...]) -> list[FinishedTrial]:
    """Train a task on a worker, which may have joined during the search.

    Raises ``Failed`` if the worker has another version of the network, or other diagnosis rules of the user, than the
    process that searches.
    """
    if (version, rules) != (_network_version(), _rule_names()):
        raise Failed(
            f"a worker of the cluster has version {_network_version()} of the network and "
            f"{', '.join(_rule_names()) or 'none'} as installed diagnosis rules; "
            f"expected version {version} and {', '.join(rules) or 'none'}. End that worker. {RESUME}"
        )
    return run_task(task)
