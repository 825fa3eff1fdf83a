"""Writes trials into MLflow one by one through its client, and chooses between this and the faster SQL writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from pipeline.tracking.run_record import MetricPoint, RunRecord


class Writer(Protocol):
    """Writes whole runs into an experiment."""

    def write(self, experiment_id: str, runs: Sequence[RunRecord]) -> list[str]:
        """Write the runs. Return their ids, in order."""

    def append(self, points: Mapping[str, Sequence[MetricPoint]]) -> None:
        """Add metrics that runs do not have yet, by the ids of the runs."""


class ClientWriter:
    """Writes runs one by one, which works with every store.

    A crash may leave the last of them RUNNING; ``Tracker.discard_unknown`` deletes it.
    """

    def __init__(self, client: MlflowClient) -> None:
        self.client = client

    def write(self, experiment_id: str, runs: Sequence[RunRecord]) -> list[str]:
        """Create, fill and end each run. Return their ids, in order."""
        return [self._write(experiment_id, run) for run in runs]

    def append(self, points: Mapping[str, Sequence[MetricPoint]]) -> None:
        """Add metrics that runs do not have yet, run by run."""
        for run_id, new in points.items():
            self.client.log_batch(run_id, [Metric(*point) for point in new])

    def _write(self, experiment_id: str, record: RunRecord) -> str:
        run = self.client.create_run(
            experiment_id, start_time=record.started, tags=dict(record.tags), run_name=record.name
        )
        run_id = str(run.info.run_id)
        metrics = [Metric(*point) for point in record.points]
        self.client.log_batch(run_id, metrics, [Param(key, value) for key, value in record.params.items()])
        self.client.set_terminated(run_id, "FINISHED", end_time=record.ended)
        return run_id


def choose_writer(client: MlflowClient, store: Any) -> tuple[Writer, str]:
    """Return the writer for a store, which is None for a server, and a description of how it records."""
    if store is None:
        return ClientWriter(client), "one by one, by MLflow's client: it is a server"
    from pipeline.tracking import sql_writer  # here, since a server's client needs no database libraries

    if reason := sql_writer.untested(store):
        return ClientWriter(client), f"one by one, by MLflow's client: {reason}"
    return sql_writer.SqlWriter(store), f"in bulk, as rows of MLflow's schema {sql_writer.revision(store)}"
