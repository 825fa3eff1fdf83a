"""The thin layer over MLflow: one parent run for a study, one child run for each finished trial, all from one process."""

from __future__ import annotations

import getpass
import logging
import math
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

# Said before mlflow is imported: no telemetry, and a server that is down is told within seconds.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipeline.spec import Float, SearchSpace, Study
from pipeline.stores import redact
from pipeline.trial import FinishedTrial

EXPERIMENT = "babysit"
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # a new database is no news
NOTE = "mlflow.note.content"


class Tracker:
    """MLflow at one address, through ``MlflowClient`` alone: no global state, whole runs, few calls.

    ``parent`` is the run of the study, of which every trial is a child. ``visitor`` is the run that ``mlflow run``
    opened for a study that already had one: it only points there.
    """

    parent: Run
    visitor: str | None = None

    def __init__(self, uri: str) -> None:
        """Open the store; a new database is made here, by this one process, before any worker starts."""
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri)
        self.client.search_experiments(max_results=1)

    def open(self, study: Study, run_id: str | None = None) -> None:
        """Go on with the study's run; or start it: the run that ``mlflow run`` opened, or a new one.

        Raises ``ValueError`` if the study has a run that is not in this store.
        """
        given = os.environ.get("MLFLOW_RUN_ID")
        if run_id is None:
            self.parent = self.client.get_run(given) if given else self._create_parent(study)
            self.client.log_dict(self.run_id, study.to_json(), "study.json")
        else:
            self.parent = self._find(run_id, study)
            self.client.update_run(run_id, status="RUNNING")
            self.visitor = given if given != run_id else None
        self.set_tags({"kind": "study", "study": study.name, "study_hash": study.hash, NOTE: f"**{study.question}**"})
        if self.visitor:
            tags = {
                "kind": "visit",
                "study": study.name,
                "study_run": run_id,
                NOTE: f"Goes on with run `{run_id}`; look there.",
            }
            self.client.log_batch(self.visitor, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    @property
    def run_id(self) -> str:
        """The id of the study's run."""
        return str(self.parent.info.run_id)

    @property
    def experiment_id(self) -> str:
        """The id of the experiment that the study's run is in."""
        return str(self.parent.info.experiment_id)

    def _create_parent(self, study: Study) -> Run:
        return self.client.create_run(self._experiment(), run_name=study.name, tags=_source_tags())

    def _find(self, run_id: str, study: Study) -> Run:
        try:
            run = self.client.get_run(run_id)
            if run.info.lifecycle_stage == "active":
                return run
        except MlflowException:
            pass
        raise ValueError(
            f"study {study.name!r} was recorded under MLflow run {run_id}, which is not at {redact(self.uri)}. "
            "Give the --tracking-uri it was recorded at, restore the run, or give the study another name"
        )

    def record(self, study: Study, trials: Sequence[FinishedTrial]) -> list[str]:
        """Write each finished trial as a whole child run of the study's; their run ids, in order."""
        return [self._record(study, trial) for trial in trials]

    def _record(self, study: Study, trial: FinishedTrial) -> str:
        ended = int(trial.result.ended * 1000)
        started = ended - int(trial.result.seconds * 1000)
        tags = trial_tags(trial) | _source_tags() | {"mlflow.parentRunId": self.run_id}
        run = self.client.create_run(self.experiment_id, start_time=started, tags=tags, run_name=trial.plan.name)
        params = [Param(key, str(value)) for key, value in trial_params(study, trial).items()]
        self.client.log_batch(run.info.run_id, metrics=trial_metrics(trial, ended), params=params)
        self.client.set_terminated(run.info.run_id, "FINISHED", end_time=ended)
        return str(run.info.run_id)

    def discard_unknown(self, known: Collection[str]) -> int:
        """Delete the trials' runs that no record of a trial names; how many they were.

        A record that was cut short leaves such a run. Deleted runs can still be seen, and restored, in MLflow.
        """
        stray = [run.info.run_id for run in self._children() if run.info.run_id not in known]
        for run_id in stray:
            self.client.set_terminated(run_id, "KILLED")
            self.client.delete_run(run_id)
        return len(stray)

    def _children(self) -> list[Run]:
        runs: list[Run] = []
        token: str | None = ""
        query = f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.kind = 'trial'"
        while token is not None:
            page = self.client.search_runs([self.experiment_id], query, max_results=5000, page_token=token or None)
            runs += page
            token = page.token or None
        return runs

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set several tags of the study's run in one call."""
        self.client.log_batch(self.run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log several numbers of the study's run in one call; those that are not finite are left out."""
        now = int(time.time() * 1000)
        finite = [Metric(key, float(value), now, 0) for key, value in metrics.items() if math.isfinite(value)]
        self.client.log_batch(self.run_id, metrics=finite)

    def log_files(self, folder: Path, artifact_path: str) -> None:
        """Log a folder of files with the study's run."""
        self.client.log_artifacts(self.run_id, str(folder), artifact_path)

    def charts_link(self, server: str = "http://127.0.0.1:5000") -> str:
        """Where MLflow UI shows the trials' curves: flat, best first, as charts; a bare experiment's page shows none of it."""
        query = {
            "workflowType": "machine_learning",
            "searchFilter": f"tags.kind = 'trial' and tags.`mlflow.parentRunId` = '{self.run_id}'",
            "orderByKey": "metrics.`best/val_accuracy`",
            "orderByAsc": "false",
            "compareRunsMode": "CHART",
        }
        return f"{server}/#/experiments/{self.experiment_id}/runs?{urlencode(query, quote_via=quote)}"

    def finish(self, status: str) -> None:
        """End the study's run: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name))
        if found.lifecycle_stage != "active":
            raise ValueError(
                f"MLflow's experiment {name!r} is deleted; restore it, or name another in MLFLOW_EXPERIMENT_NAME"
            )
        return str(found.experiment_id)


def trial_tags(trial: FinishedTrial) -> dict[str, str]:
    """What to group and filter the runs by."""
    tags = {"kind": "trial", **trial.identity, "diverged": trial.result.diverged}
    return {key: str(value) for key, value in tags.items()}


def trial_params(study: Study, trial: FinishedTrial) -> dict[str, Any]:
    """The searched values alone, and their ``log10_`` twins."""
    return {**trial.plan.point, **log10_twins(study.space, trial.plan.point)}


def log10_twins(space: SearchSpace, point: Mapping[str, Any]) -> dict[str, float]:
    """``log10_<name>`` of each hyperparameter on a log scale, for charts whose axes are linear."""
    logs = [name for name, dimension in space.items() if isinstance(dimension, Float) and dimension.log]
    return {f"log10_{name}": math.log10(point[name]) for name in logs}


def trial_metrics(trial: FinishedTrial, timestamp: int) -> list[Metric]:
    """The curves by epoch, from step 1, and the scores of the checkpoint; finite numbers only.

    A score that is also a curve (``train/loss``) is that curve's value at the checkpoint, and not repeated.
    """
    curves = trial.result.curves
    steps = [
        Metric(key, float(v), timestamp, step)
        for key, values in curves.items()
        for step, v in enumerate(values, start=1)
    ]
    scores = {key: value for key, value in trial.metrics.items() if key not in curves}
    return steps + [Metric(key, float(value), timestamp, 0) for key, value in scores.items()]


def _source_tags() -> dict[str, str]:
    return {"mlflow.user": getpass.getuser(), "mlflow.source.name": "babysit", "mlflow.source.type": "LOCAL"}
