"""The thin layer over MLflow: one parent run for a study, one child run for each finished trial, all from one process."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.errors import UserError

# Said before mlflow is imported: no telemetry; a server may be away for a minute; no links printed by
# MLflow at the end of every run, for which it would ask the server once more.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.tracking import MlflowClient

from pipeline.storage.addresses import redact
from pipeline.study.spec import Study
from pipeline.tracking import views
from pipeline.tracking.links import Links
from pipeline.tracking.run_record import GENERATION, run_record, source_tags
from pipeline.tracking.writers import choose_route
from pipeline.trials.trial import FinishedTrial

EXPERIMENT = "babysit"
EXPERIMENT_ID, EXPERIMENT_NAME = "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"
"""Where the environment says which experiment a new run is in."""
logging.getLogger("mlflow.store.db.utils").setLevel(
    logging.CRITICAL
)  # a new database is no news; errors are raised too
logger = logging.getLogger(__name__)
NOTE = "mlflow.note.content"
OPENING = "opening"
"""The tag of a study's run that holds the study's generation."""
SOURCE_TAGS = ("study", "study_hash")
"""The tags, beside its kind, that a study's run bears."""
GENERATED = re.compile(r"[a-z]+-[a-z]+-\d+")
"""The names that MLflow makes up for runs."""
LONGEST_NAME = 500
LARGEST_ID = 2**63
"""What databases hold in an integer; MLflow's experiments are numbered from 0."""
DIGEST = 36
"""Characters that MLflow keeps of a digest."""


T = TypeVar("T")


class Declared(Protocol):
    """What a run of its own is made of: a study, or an experiment."""

    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def hash(self) -> str: ...

    def to_json(self) -> dict[str, Any]:
        """The whole declaration as plain values."""


class Tracker:
    """MLflow at one address, through ``MlflowClient`` alone: no global state, whole runs, few calls.

    ``parent`` is the run of the study, of which every trial is a child. ``visitor`` is the run that ``mlflow run``
    opened for a study that already had one: it only points there. ``route`` says in words how trials are recorded.
    ``study`` and ``generation`` are what the study's trials bear as tags: no run without them is touched.
    """

    parent: Run
    visitor: str | None = None
    study = generation = ""

    def __init__(self, uri: str) -> None:
        """Open the store; a new database is made here, by this one process, before any worker starts."""
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri) if self.repeats else self._open_database()
        self.client.search_experiments(max_results=1)
        self.writer, self.route = choose_route(self.client)
        logger.info("MLflow at %s: trials are recorded %s", redact(uri), self.route)

    def _open_database(self) -> MlflowClient:
        from pipeline.tracking.database import open_client  # here, since a server's client needs no database libraries

        return open_client(self.uri)

    def verify(self) -> None:
        """Raise :class:`UserError` if a study's run could not be opened here; nothing is written."""
        if not self._given():
            self._active_experiment()

    def open(self, study: Declared, run_id: str | None = None, generation: str = "", kind: str = "study") -> None:
        """Go on with the study's run; or start it: the run that ``mlflow run`` opened, or a new one.

        A RUNNING run of the same ``generation``, whose id its study did not live to record, is gone on with. A run that
        ``mlflow run`` opened and that another study, or the user, has marked stays as it is; the new run is its child.
        Raises :class:`UserError` if either run is named but is not in this store.
        """
        given = self._given()
        self.study, self.generation = study.name, generation
        marks = {OPENING: generation} if generation else {}
        if run_id is None:
            self.parent = self._started() or self._free(given) or self._create_parent(study, marks, given)
        else:
            self.parent = self._known(run_id, study)
            self.client.update_run(run_id, status="RUNNING")
            self._end_pending_models()
        about = {"kind": kind, "study": study.name, "study_hash": study.hash, NOTE: f"**{study.question}**"}
        self.set_tags(about | marks)
        if run_id is None:
            self.client.log_dict(self.run_id, study.to_json(), "study.json")
        if isinstance(study, Study):  # an experiment has no arms or trials to set the UI up for
            self._set_up(study)
        if given and given.info.run_id != self.run_id and self._free(given):
            self.visitor = str(given.info.run_id)
            self._tag(self.visitor, self._pointer(study))

    def _free(self, given: Run | None) -> Run | None:
        """The run that ``mlflow run`` opened, unless it is marked as something already."""
        return given if given and "kind" not in given.data.tags else None

    @property
    def repeats(self) -> bool:
        """Whether a run may be made twice: a request to a server is sent again when its answer is lost."""
        return self.uri.startswith("http")

    @property
    def run_id(self) -> str:
        """The id of the study's run."""
        return str(self.parent.info.run_id)

    @property
    def experiment_id(self) -> str:
        """The id of the experiment that the study's run is in."""
        return str(self.parent.info.experiment_id)

    def _create_parent(self, study: Declared, marks: dict[str, str], given: Run | None) -> Run:
        tags = source_tags() | marks
        if given:
            tags |= {"mlflow.parentRunId": str(given.info.run_id)}
        where = str(given.info.experiment_id) if given else self._experiment()
        return self.client.create_run(where, run_name=study.name, tags=tags)

    def _started(self) -> Run | None:
        """The run of this generation that is RUNNING still: one that failed is over."""
        return next(iter(self._running()), None)

    def _running(self) -> list[Run]:
        """The runs of this generation that are RUNNING."""
        if not self.generation:
            return []
        query = f"tags.{OPENING} = '{self.generation}' and status = 'RUNNING'"
        return self._search(self._experiments(), query)

    def _experiments(self) -> list[str]:
        pages = self._pages(lambda token: self.client.search_experiments(page_token=token))
        return [str(experiment.experiment_id) for experiment in pages]

    def _search(self, experiments: list[str], query: str) -> list[Run]:
        return self._pages(
            lambda token: self.client.search_runs(experiments, query, max_results=5000, page_token=token)
        )

    def _pages(self, ask: Callable[[str | None], PagedList[T]]) -> list[T]:
        """All that a search of MLflow answers, page by page."""
        page = ask(None)
        found = [*page]
        while page.token:
            page = ask(page.token)
            found += page
        return found

    def _given(self) -> Run | None:
        """The run that ``mlflow run`` opened for this process, if it did."""
        run_id = os.environ.get("MLFLOW_RUN_ID")
        if not run_id:
            return None
        if run := self._active(run_id):
            return run
        raise UserError(
            f"MLFLOW_RUN_ID names run {run_id}, which is not at {redact(self.uri)}. "
            "Unset it, or give the --tracking-uri that the run is at"
        )

    def _known(self, run_id: str, study: Declared) -> Run:
        if run := self._active(run_id):
            return run
        raise UserError(
            f"study {study.name!r} was recorded under MLflow run {run_id}, which is not at {redact(self.uri)}. "
            "Give the --tracking-uri it was recorded at, restore the run, or give the study another name"
        )

    def _active(self, run_id: str) -> Run | None:
        run = self._look_up(run_id)
        return run if run and run.info.lifecycle_stage == "active" else None

    def _look_up(self, run_id: str) -> Run | None:
        """The run with an id, active or deleted; None if the store answers that there is none, or that it is no id."""
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _pointer(self, study: Declared) -> dict[str, str]:
        note = f"Goes on with run `{self.run_id}`; look there."
        return {"kind": "visit", "study": study.name, "study_run": self.run_id, NOTE: note}

    def _set_up(self, study: Study) -> None:
        """Give the study's run the name that the UI lists it by, unless its user gave one, and the UI its views of it."""
        if GENERATED.fullmatch(self.parent.info.run_name or ""):
            self.client.update_run(self.run_id, name=study.name)
        for tag, value in views.views(study, self.run_id, int(self.parent.info.start_time)).items():
            self.client.set_experiment_tag(self.experiment_id, tag, value)

    def add_dataset(self, name: str, sha256: str) -> None:
        """Record the data set as an input of the study's run: its name and the hash of its arrays, in 36 characters."""
        data = Dataset(name, sha256[:DIGEST], "babysit", json.dumps({"dataset": name, "sha256": sha256}))
        self.client.log_inputs(
            self.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train, val and test")])]
        )

    def describe(self, study: Study, sentences: Sequence[str]) -> None:
        """The study's run in words, with links, as the UI shows it: the question, the verdict, and where to look."""
        to = self.links()
        arms, best = to.view(views.ARMS), to.view(views.BEST)
        links = f"[The report]({to.report}) · [the arms compared]({arms}) · [the best trials]({best})"
        verdict, *rest = sentences
        # The links come before what the UI folds away: it shows the first few lines.
        parts = [f"**{study.question}** {links}", verdict, "\n".join(f"- {sentence}" for sentence in rest)]
        self.set_tags({NOTE: "\n\n".join(parts)})

    def record(self, study: Study, trials: Sequence[FinishedTrial]) -> list[str]:
        """Write each finished trial as a whole child run of the study's; their run ids, in order."""
        records = [run_record(study, trial, self.run_id, self.generation) for trial in trials]
        return self.writer.write(self.experiment_id, records)

    def discard_unknown(self, known: Collection[str], kind: str = "trial") -> int:
        """Delete this study's trials' runs, or those of another kind, that no record of a trial names; their number.

        A record that was cut short leaves such a run. Deleted runs can still be seen, and restored, in MLflow. A run of
        another study, or of another generation of this one, stays.
        """
        stray = [run.info.run_id for run in self._children(kind) if run.info.run_id not in known]
        for run_id in stray:
            self._discard(run_id)
        return len(stray)

    def end_abandoned(self, study: str, generation: str) -> None:
        """End the runs of a study that are RUNNING still; the caller knows that no process is at work on it.

        A trial's run below them that is RUNNING was cut short, and is deleted. Runs of older versions bear no generation.
        """
        query = f"tags.study = '{study}' and tags.study_hash LIKE '%' and tags.kind = 'study' and status = 'RUNNING'"
        for run in self._search(self._experiments(), query):
            if run.data.tags.get(OPENING, generation) != generation:
                continue
            parent, where = run.info.run_id, str(run.info.experiment_id)
            below = f"tags.`mlflow.parentRunId` = '{parent}' and tags.study = '{study}' and tags.kind = 'trial'"
            for half in self._search([where], f"{below} and status = 'RUNNING'"):
                self._discard(half.info.run_id)
            self.client.set_terminated(parent, "KILLED")

    def _discard(self, run_id: str) -> None:
        self.client.set_terminated(run_id, "KILLED")
        self.client.delete_run(run_id)

    def restore_deleted(self, known: Collection[str], kind: str = "trial") -> tuple[int, int]:
        """Bring back those of these runs that were deleted; their number, and the number of those that are gone for good."""
        missing = set(known) - {run.info.run_id for run in self._children(kind)}
        found = {run_id: self._look_up(run_id) for run_id in missing}
        deleted = [run_id for run_id, run in found.items() if run and run.info.lifecycle_stage != "active"]
        for run_id in deleted:
            self.client.restore_run(run_id)
        return len(deleted), sum(run is None for run in found.values())

    def _children(self, kind: str) -> list[Run]:
        """The runs below the study's that bear its name and its generation; those of older versions bear no generation."""
        query = f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.kind = '{kind}' and tags.study = '{self.study}'"
        runs = self._search([self.experiment_id], query)
        return [run for run in runs if run.data.tags.get(GENERATION, self.generation) == self.generation]

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set several tags of the study's run in one call."""
        self._tag(self.run_id, tags)

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.client.log_batch(run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log several numbers of the study's run in one call; those that are not finite are left out.

        MLflow shows the value with the latest time. If the clock was set back, the time is the one after the recorded value's.
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
        """Where the UI at a server shows the study."""
        return Links(self.experiment_id, self.run_id, server)

    def find_latest(self) -> str | None:
        """Turn to the run of the study that was started last; its id, or None where no study is recorded."""
        order = ["attributes.start_time DESC"]
        query = " and ".join(["tags.kind = 'study'", *(f"tags.{tag} LIKE '%'" for tag in SOURCE_TAGS)])
        found = self.client.search_runs(self._experiments(), query, max_results=1, order_by=order)
        if not found:
            return None
        self.parent = found[0]
        return self.run_id

    def register(self, name: str, kept: Mapping[str, Any]) -> tuple[str, str]:
        """Register a kept model under a name: its version, and what became of the champion, in words."""
        from pipeline.tracking.registry import register

        registered = register(self.client, self.experiment_id, self.run_id, name, kept)
        if self.repeats:
            self._end_pending_models()
        return registered

    def _end_pending_models(self) -> None:
        from pipeline.tracking.registry import end_pending  # here, since NumPy and pandas are not needed before

        try:
            end_pending(self.client, self.experiment_id, self.run_id)
        except MlflowException as error:
            if error.error_code != "ENDPOINT_NOT_FOUND":  # an older server has no such models
                raise

    def finish(self, status: str) -> None:
        """End the study's run: FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.run_id, status)

    def _experiment(self) -> str:
        """The experiment of a new run: what the environment names as MLflow reads it, or ``babysit``; made where missing."""
        found = self._active_experiment()
        if isinstance(found, str):
            try:
                return str(self.client.create_experiment(found))
            except MlflowException as error:  # another process may have made it in between
                if error.error_code != "RESOURCE_ALREADY_EXISTS" or isinstance(found := self._active_experiment(), str):
                    raise
        return str(found.experiment_id)

    def _active_experiment(self) -> Experiment | str:
        """The experiment to use; its name, if there is none of that name yet."""
        wanted, name = os.environ.get(EXPERIMENT_ID, ""), os.environ.get(EXPERIMENT_NAME, "")
        if len(name) > LONGEST_NAME:
            raise UserError(f"{EXPERIMENT_NAME}: got {len(name):,} characters; MLflow takes {LONGEST_NAME}. Shorten it")
        if wanted:
            found = self._experiment_with_id(wanted)
            if name and found.name != name:
                raise UserError(
                    f"{EXPERIMENT_ID}: got {wanted}, which is {found.name!r}; {EXPERIMENT_NAME} names {name!r}. Unset one"
                )
            return found
        name = name or EXPERIMENT
        by_name = self.client.get_experiment_by_name(name)
        if by_name and by_name.lifecycle_stage != "active":
            raise UserError(
                f"MLflow's experiment {name!r} is deleted; restore it, or name another in {EXPERIMENT_NAME}"
            )
        return by_name or name

    def _experiment_with_id(self, wanted: str) -> Experiment:
        found = None
        if wanted.isdecimal() and int(wanted) < LARGEST_ID:
            try:
                found = self.client.get_experiment(wanted)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        if found is None or found.lifecycle_stage != "active":
            state = "is deleted" if found else f"is not at {redact(self.uri)}"
            raise UserError(
                f"{EXPERIMENT_ID}: got {wanted!r}, an experiment that {state}. Unset it, or name one that is there"
            )
        return found
