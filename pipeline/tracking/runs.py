"""Runs in an MLflow store: searched over all pages of its answers, looked up by id, discarded and ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.tracking import MlflowClient

from pipeline.errors import UserError
from pipeline.storage.addresses import redact
from pipeline.storage.attributes import STUDY_GENERATION

T = TypeVar("T")
EXPERIMENT_KIND = "experiment"
"""The kind of the run of the lecture's experiments."""
HOST, PROCESS = "host", "process"
"""The tags of an experiment's run that hold the name of the machine and the id of the process that records it."""


def all_pages(ask: Callable[[str | None], PagedList[T]]) -> list[T]:
    """Return everything that a search of MLflow answers; ``ask`` gets the token of a page, at first None."""
    page = ask(None)
    answers = [*page]
    while page.token:
        page = ask(page.token)
        answers += page
    return answers


def experiment_ids(client: MlflowClient) -> list[str]:
    """Return the ids of all active experiments."""
    experiments = all_pages(lambda token: client.search_experiments(page_token=token))
    return [str(experiment.experiment_id) for experiment in experiments]


def search_runs(client: MlflowClient, experiments: Sequence[str], query: str) -> list[Run]:
    """Return the active runs of some experiments that match a query."""
    return all_pages(lambda token: client.search_runs(list(experiments), query, max_results=5000, page_token=token))


def look_up(client: MlflowClient, run_id: str) -> Run | None:
    """Return the run with an id, active or deleted; None if the store answers that it has none."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def active_run(client: MlflowClient, run_id: str) -> Run | None:
    """Return the run with an id; None if it is missing or deleted."""
    run = look_up(client, run_id)
    return run if run and run.info.lifecycle_stage == "active" else None


def environment_run(client: MlflowClient, uri: str) -> Run | None:
    """Return the run that ``mlflow run`` opened for this process, if it did.

    Raises :class:`UserError` if that run is not at this address.
    """
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if not run_id:
        return None
    if run := active_run(client, run_id):
        return run
    raise UserError(
        f"MLFLOW_RUN_ID names run {run_id}, which is not at {redact(uri)}. "
        "Unset it, or give the --tracking-uri that the run is at"
    )


def discard(client: MlflowClient, run_id: str) -> None:
    """End a run as KILLED, and delete it. MLflow can still show and restore it."""
    client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)


def end_abandoned(client: MlflowClient, study: str, generation: str) -> None:
    """End the runs of a study that are still RUNNING. The caller knows that no process works on it.

    A child of theirs that is RUNNING was cut short, and is deleted. Older versions wrote no generation.
    """
    query = f"tags.study = '{study}' and tags.study_hash LIKE '%' and tags.kind = 'study' and status = 'RUNNING'"
    for run in search_runs(client, experiment_ids(client), query):
        if run.data.tags.get(STUDY_GENERATION, generation) != generation:
            continue
        run_id, experiment_id = run.info.run_id, str(run.info.experiment_id)
        children = f"tags.`mlflow.parentRunId` = '{run_id}' and tags.study = '{study}' and tags.kind = 'trial'"
        for child in search_runs(client, [experiment_id], f"{children} and status = 'RUNNING'"):
            discard(client, child.info.run_id)
        client.set_terminated(run_id, "KILLED")


def end_killed_experiments(client: MlflowClient, alive: Callable[[int], bool]) -> None:
    """End the runs of experiments that killed processes of this machine left RUNNING; ``alive`` takes a process's id.

    This process has not opened a run yet, so one with its id is left from an earlier process.
    """
    query = f"tags.kind = '{EXPERIMENT_KIND}' and tags.{HOST} = '{socket.gethostname()}' and status = 'RUNNING'"
    for run in search_runs(client, experiment_ids(client), query):
        pid = int(run.data.tags[PROCESS])
        if pid == os.getpid() or not alive(pid):
            client.set_terminated(run.info.run_id, "KILLED")
