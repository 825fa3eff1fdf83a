"""The tracker: one MLflow run for a study, and a child run for each finished trial, written by one process."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipeline.errors import UserError
from pipeline.storage.addresses import redact
from pipeline.storage.attributes import STUDY_GENERATION
from pipeline.study.metrics import ACCURACY, find_metric
from pipeline.study.spec import Study
from pipeline.tracking import runs, views
from pipeline.tracking.client_writer import choose_writer
from pipeline.tracking.experiments import ensure_experiment, find_experiment
from pipeline.tracking.links import Links
from pipeline.tracking.run_record import NOTE, PARENT, TRIAL_GENERATION, run_record, source_tags
from pipeline.trials.trial import FinishedTrial

if TYPE_CHECKING:
    from pipeline.tracking.registry import SavedModel

# MLflow logs that it creates a new database. Its errors are raised, too.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logger = logging.getLogger(__name__)
METRIC = "metric"
"""The tag of a study's run with the metric that the study is judged by, unless that is accuracy."""
STUDY_TAGS = ("study", "study_hash")
"""The tags of a study's run, besides its kind."""
SUITE_KIND = "suite"
"""The kind of the run of a suite, whose children are the runs of its studies."""
GENERATED_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")
"""The names that MLflow makes up for runs."""
DIGEST = 36
"""The number of characters that MLflow keeps of a digest."""


class Declared(Protocol):
    """A declaration that gets an MLflow run: a study, a suite, or an experiment of the lecture."""

    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def hash(self) -> str: ...

    def to_json(self) -> dict[str, Any]:
        """Return the whole declaration as plain values."""


class Tracker:
    """MLflow at one address, through ``MlflowClient``: no global state, whole runs, few calls.

    Attributes
    ----------
    parent
        The run of the study, of which every trial is a child.
    pointer_run
        The id of a run that ``mlflow run`` opened although the study already had a run; it only points to that run.
    writer_description
        How trials are recorded, as a clause.
    study, generation
        The tags of the study's trials. No run without them is changed.
    score
        The key of the trials' best validation value.

    """

    parent: Run
    pointer_run: str | None = None
    study = generation = ""
    score = ACCURACY.best_val

    def __init__(self, uri: str) -> None:
        """Open the store. This one process creates a new database, before any worker starts."""
        self.uri = uri
        self.store = None
        if not self.is_server:
            # Imported here, since a server's client needs no database libraries.
            from pipeline.tracking.database import open_store

            self.store = open_store(uri)
        self.client = MlflowClient(tracking_uri=uri)
        self.client.search_experiments(max_results=1)
        self.writer, self.writer_description = choose_writer(self.client, self.store)
        logger.info("MLflow at %s: trials are recorded %s", redact(uri), self.writer_description)

    @property
    def is_server(self) -> bool:
        """True for a server. It may make a run twice: the client repeats a request whose answer is lost."""
        return self.uri.startswith("http")

    @property
    def run_id(self) -> str:
        """The id of the study's run."""
        return str(self.parent.info.run_id)

    @property
    def experiment_id(self) -> str:
        """The id of the MLflow experiment that the study's run is in."""
        return str(self.parent.info.experiment_id)

    def verify(self) -> None:
        """Raise :class:`UserError` if a study's run could not be opened here. Nothing is written."""
        if not runs.environment_run(self.client, self.uri):
            find_experiment(self.client, self.uri)

    def open(
        self, study: Declared, run_id: str | None = None, generation: str = "", kind: str = "study", suite_run: str = ""
    ) -> None:
        """Resume the study's run or start it: in the run that ``mlflow run`` opened, or in a new one.

        A run of the same generation that is still RUNNING is resumed: a crash came before its id was recorded. A run that
        ``mlflow run`` opened stays as it is if it has a kind already; the new run becomes its child.

        Parameters
        ----------
        study
            The study, or an experiment.
        run_id
            The id of the run that the study was recorded under before. Raises :class:`UserError` if it is not here.
        generation
            The study's generation (:meth:`OptunaStore.ensure_generation`).
        kind
            The tag that says what the run is of.
        suite_run
            The id of the run of the suite that the study belongs to; the study's run becomes its child.

        """
        given = runs.environment_run(self.client, self.uri)
        unused = given if given and "kind" not in given.data.tags else None
        self.study, self.generation = study.name, generation
        marks = {STUDY_GENERATION: generation} if generation else {}
        if suite_run:
            given, unused = self.client.get_run(suite_run), None
            marks |= {PARENT: suite_run}
        if run_id is None:
            self.parent = self._running() or unused or self._create_parent(study, marks, given)
        else:
            self.parent = self._recorded(run_id, study)
            self.client.update_run(run_id, status="RUNNING")
            self._end_pending_models()
        tags = {"kind": kind, "study": study.name, "study_hash": study.hash, NOTE: f"**{study.question}**"}
        if kind == runs.EXPERIMENT_KIND:
            tags |= {runs.HOST: socket.gethostname(), runs.PROCESS: str(os.getpid())}
        if isinstance(study, Study) and study.objective is not ACCURACY:
            tags[METRIC] = study.objective.name
        self.set_tags(tags | marks)
        if run_id is None:
            self.client.log_dict(self.run_id, study.to_json(), "study.json")
        if isinstance(study, Study):  # a suite and an experiment have no arms or trials of their own to show in the UI
            self.score = study.objective.best_val
            self._set_up_ui(study)
        if unused and unused.info.run_id != self.run_id:
            self.pointer_run = str(unused.info.run_id)
            note = f"The study is recorded under run `{self.run_id}`; look there."
            pointer = {"kind": "visit", "study": study.name, "study_run": self.run_id, NOTE: note}
            self.set_tags(pointer, self.pointer_run)

    def find_suite(self, name: str) -> str | None:
        """Return the id of the run of the suite of that name that was started last; None if there is none."""
        query = f"tags.kind = '{SUITE_KIND}' and tags.study = '{name}'"
        found = runs.search_runs(self.client, runs.experiment_ids(self.client), query)
        return max(found, key=lambda run: run.info.start_time).info.run_id if found else None

    def _running(self) -> Run | None:
        """Return a run of this generation that is still RUNNING."""
        if not self.generation:
            return None
        query = f"tags.{STUDY_GENERATION} = '{self.generation}' and status = 'RUNNING'"
        return next(iter(runs.search_runs(self.client, runs.experiment_ids(self.client), query)), None)

    def _recorded(self, run_id: str, study: Declared) -> Run:
        if run := runs.active_run(self.client, run_id):
            return run
        raise UserError(
            f"study {study.name!r} was recorded under MLflow run {run_id}, which is not at {redact(self.uri)}. "
            "Give the --tracking-uri it was recorded at, restore the run, or give the study another name"
        )

    def _create_parent(self, study: Declared, marks: dict[str, str], given: Run | None) -> Run:
        tags = source_tags() | marks
        if given:
            tags |= {PARENT: str(given.info.run_id)}
            experiment_id = str(given.info.experiment_id)
        else:
            experiment_id = ensure_experiment(self.client, self.store or self.client, self.uri)
        return self.client.create_run(experiment_id, run_name=study.name, tags=tags)

    def _set_up_ui(self, study: Study) -> None:
        """Name the study's run after the study, unless the user named it, and save the UI's views."""
        if GENERATED_NAME.fullmatch(self.parent.info.run_name or ""):
            self.client.update_run(self.run_id, name=study.name)
        self.save_views(study)

    def save_views(self, study: Study, limits: tuple[float, float] | None = None) -> None:
        """Save the UI's views of the study; ``limits`` are the range of its arms' curves."""
        views.save(self.client, self.parent, study, self._children_query("trial"), limits)

    def add_dataset(self, name: str, sha256: str) -> None:
        """Record the dataset as an input of the study's run: its name, and 36 digits of its hash."""
        data = Dataset(name, sha256[:DIGEST], "babysit", json.dumps({"dataset": name, "sha256": sha256}))
        self.client.log_inputs(
            self.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train, val and test")])]
        )

    def describe(self, study: Declared, sentences: Sequence[str]) -> None:
        """Set the description of the run that the UI shows: the question, links, and the verdict's sentences.

        A suite has no views of its own.
        """
        pages, titles = self.links(), views.TITLES if isinstance(study, Study) else {}
        shown = [f"[{title}]({pages.view(name)})" for name, title in titles.items()]
        links = " · ".join([f"[The report]({pages.report})", *shown])
        verdict, *rest = sentences
        # The links come first, since the UI shows the first few lines and folds the rest.
        parts = [f"**{study.question}** {links}", verdict, "\n".join(f"- {sentence}" for sentence in rest)]
        self.set_tags({NOTE: "\n\n".join(parts)})

    def record(self, study: Study, trials: Sequence[FinishedTrial]) -> list[str]:
        """Write each finished trial as a whole child of the study's run. Return the ids of the runs, in order."""
        started = int(self.parent.info.start_time)
        records = [run_record(study, trial, self.run_id, self.generation, started) for trial in trials]
        return self.writer.write(self.experiment_id, records)

    def discard_unknown(self, known: Collection[str], kind: str = "trial") -> int:
        """Delete the runs of this study's trials that no recorded trial names. Return their number.

        ``known`` are the ids of the runs that recorded trials name. A record that was cut short leaves such a run. A run of
        another study, or of another generation of this one, stays.
        """
        unknown = [run.info.run_id for run in self.children(kind) if run.info.run_id not in known]
        for run_id in unknown:
            runs.discard(self.client, run_id)
        return len(unknown)

    def restore_deleted(self, known: Collection[str], kind: str = "trial") -> tuple[int, int]:
        """Restore those of these runs that were deleted. Return their number, and the number of runs that do not exist."""
        missing = set(known) - {run.info.run_id for run in self.children(kind)}
        candidates = {run_id: runs.look_up(self.client, run_id) for run_id in missing}
        deleted = [run_id for run_id, run in candidates.items() if run and run.info.lifecycle_stage != "active"]
        for run_id in deleted:
            self.client.restore_run(run_id)
        return len(deleted), sum(run is None for run in candidates.values())

    def children(self, kind: str) -> list[Run]:
        """Return the children of the study's run with its name and generation. Older versions wrote no generation."""
        children = runs.search_runs(self.client, [self.experiment_id], self._children_query(kind))
        return [run for run in children if run.data.tags.get(TRIAL_GENERATION, self.generation) == self.generation]

    def _children_query(self, kind: str) -> str:
        return f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.kind = '{kind}' and tags.study = '{self.study}'"

    def set_tags(self, tags: Mapping[str, str], run_id: str = "") -> None:
        """Set several tags of the study's run, or of another, in one call."""
        self.client.log_batch(run_id or self.run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log several numbers of the study's run in one call. Those that are not finite are left out.

        MLflow shows the value with the latest time. If the clock was set back, the time is a millisecond after that of the
        recorded value.
        """
        finite = {key: float(value) for key, value in metrics.items() if math.isfinite(value)}
        earlier = self.client.get_metric_history(self.run_id, next(iter(finite))) if finite else []
        now = max([int(time.time() * 1000), *(metric.timestamp + 1 for metric in earlier)])
        self.client.log_batch(self.run_id, metrics=[Metric(key, value, now, 0) for key, value in finite.items()])

    def log_files(self, folder: Path, artifact_path: str, run_id: str = "") -> None:
        """Log a folder of files with the study's run, or with another."""
        self.client.log_artifacts(run_id or self.run_id, str(folder), artifact_path)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Log a text with the study's run, as a file."""
        self.client.log_text(self.run_id, text, artifact_file)

    def links(self, server: str = "") -> Links:
        """Return the pages of the study in the UI at a server."""
        return Links(self.experiment_id, self.run_id, server, self.score)

    def suite_links(self, server: str = "") -> Links | None:
        """Return the pages of the suite that the study belongs to; None if it belongs to none."""
        run_id = self.parent.data.tags.get(PARENT)
        run = runs.active_run(self.client, run_id) if run_id else None
        if run is None or run.data.tags.get("kind") != SUITE_KIND:
            return None
        return Links(str(run.info.experiment_id), str(run_id), server)

    def find_latest(self) -> str | None:
        """Make the study's run that was started last the parent. Return its id, or None if no study is recorded."""
        order = ["attributes.start_time DESC"]
        query = " and ".join(["tags.kind = 'study'", *(f"tags.{tag} LIKE '%'" for tag in STUDY_TAGS)])
        latest = self.client.search_runs(runs.experiment_ids(self.client), query, max_results=1, order_by=order)
        if not latest:
            return None
        self.parent = latest[0]
        self.score = find_metric(self.parent.data.tags.get(METRIC, ACCURACY.name)).best_val
        return self.run_id

    def register(self, name: str, model: SavedModel) -> tuple[str, str]:
        """Register a saved model under a name. Return its version, and a clause on the champion."""
        from pipeline.tracking.registry import register

        registered = register(self.client, self.experiment_id, self.run_id, name, model)
        if self.is_server:
            self._end_pending_models()
        return registered

    def _end_pending_models(self) -> None:
        from pipeline.tracking.registry import end_pending  # here, since it imports NumPy and pandas

        try:
            end_pending(self.client, self.experiment_id, self.run_id)
        except MlflowException as error:
            if error.error_code != "ENDPOINT_NOT_FOUND":  # an older server has no such models
                raise

    def finish(self, status: str) -> None:
        """End the study's run: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)
