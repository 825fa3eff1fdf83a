"""The client route: each trial through MLflow's client, in three calls, which every store understands."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from pipeline.tracking.run_record import RunRecord


class ClientRoute:
    """Writes runs one by one. A crash may leave the last of them RUNNING; ``Tracker.discard_unknown`` finds it."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client

    def write(self, experiment_id: str, runs: Sequence[RunRecord]) -> list[str]:
        """Create, fill and end each run; their ids, in order."""
        return [self._write(experiment_id, run) for run in runs]

    def _write(self, experiment_id: str, run: RunRecord) -> str:
        made = self.client.create_run(experiment_id, start_time=run.started, tags=dict(run.tags), run_name=run.name)
        run_id = str(made.info.run_id)
        metrics = [Metric(*point) for point in run.points]
        self.client.log_batch(run_id, metrics, [Param(key, value) for key, value in run.params.items()])
        self.client.set_terminated(run_id, "FINISHED", end_time=run.ended)
        return run_id
