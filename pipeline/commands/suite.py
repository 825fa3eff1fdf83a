"""A suite as a command: the lock on it, its run in MLflow, the order of its studies, and its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from pipeline.commands import Context
from pipeline.commands.job import Job, find_recorded, finished
from pipeline.errors import Failed, UserError
from pipeline.report.formatting import count, listed
from pipeline.storage.failures import opening
from pipeline.storage.study_lock import study_lock
from pipeline.study.spec import Study
from pipeline.study.suite import Suite
from pipeline.tracking import Tracker, ui_of
from pipeline.tracking.tracker import SUITE_KIND

if TYPE_CHECKING:
    from pipeline.report.analysis import Analysis
    from pipeline.report.writer import Report

DECLARED = "declared_studies"
"""The tag of a suite's run that holds the names of the studies that it was first declared with."""


@dataclass
class SuiteRun:
    """A suite, its run in MLflow, and the analyses of its studies so far, by the names in its declaration.

    ``failures`` has the reason of each study that failed, by its name.
    """

    suite: Suite
    context: Context
    analyses: dict[str, Analysis] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @cached_property
    def tracker(self) -> Tracker:
        with opening("--tracking-uri", self.context.stores.tracking):
            return Tracker(self.context.stores.tracking)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the suite's lock during the body. The storage exists already."""
        with study_lock(self.context.stores.storage, self.suite.name):
            yield

    @contextmanager
    def opened(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Open the suite's MLflow run during the body; the runs of these jobs' studies become its children."""
        names = listed([job.study.name for job in jobs])
        self.context.console.say(f"suite: {self.suite.name}, {count(len(jobs), 'study', 'studies')}: {names}")
        self.tracker.open(self.suite, self.tracker.find_suite(self.suite.name), kind=SUITE_KIND)
        if DECLARED not in self.tracker.parent.data.tags:
            self.tracker.set_tags({DECLARED: ", ".join(study.name for study in self.suite.studies)})
        for job in jobs:
            job.suite_run = self.tracker.run_id
        with finished(self.tracker), threadpool_limits(1):  # as in a study's run
            yield

    def context_of(self, study: Study) -> Context:
        """Return the context of one of its studies, which commands name as ``SUITE/STUDY``."""
        return replace(self.context, study=f"{self.context.study}/{study.name}")

    def recorded_jobs(self) -> list[Job]:
        """Return the jobs of the studies that are recorded, as they were declared when they last ran.

        Raises :class:`UserError` if none is recorded.
        """
        jobs, missing = [], []
        for study in self.suite.studies:
            recorded = find_recorded(study, self.context.stores.storage)
            job = Job(recorded, self.context_of(study)) if recorded else None
            if job and job.optuna_store.recorded():
                jobs.append(job)
            else:
                missing.append(study.name)
        if not jobs:
            raise UserError(f"suite {self.suite.name!r}: no trial of it is recorded yet. Run it first")
        if missing:
            self.context.console.say(f"suite: not recorded yet, and left out: {listed(missing)}")
        return jobs

    def add(self, job: Job, report: Report) -> None:
        """Take the report of one of its studies."""
        self.analyses[_declared_name(job)] = report.analysis

    @contextmanager
    def failures_of(self, job: Job) -> Iterator[None]:
        """Note the failure of one of its studies in the body, so that the others continue."""
        try:
            yield
        except Failed as failure:
            name, reason = _declared_name(job), str(failure).splitlines()[0]
            self.failures[name] = reason
            self.context.console.say(f"suite: {name} failed, and the others continue: {reason}")

    def require_all(self) -> None:
        """Raise :class:`Failed` if a study has failed."""
        if self.failures:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.failures.items())
            studies = count(len(self.suite.studies), "study", "studies")
            raise Failed(f"suite {self.suite.name!r}: {len(self.failures)} of {studies} failed. {reasons}")

    def report(self) -> None:
        """Write the page over its studies, log it to the suite's run, and print its verdicts; without any study, nothing."""
        if not self.analyses:
            return
        from pipeline.report.suite.writer import change_notes, write_suite_report

        folder = self.context.stores.folder / "reports" / self.suite.name
        first = self.tracker.parent.data.tags.get(DECLARED, "")
        notes = change_notes(self.suite, first.split(", ")) if first else []
        run = self.tracker.links(ui_of(self.tracker.uri)).run
        result = write_suite_report(self.suite, self.analyses, folder, run, notes, self.failures)
        self.tracker.log_metrics(result.metrics)
        self.tracker.set_tags(result.tags)
        self.tracker.describe(self.suite, result.sentences)
        self.tracker.log_files(folder, "report")
        for sentence in result.verdicts:
            self.context.console.result(f"suite: {sentence}")
        self.context.console.result(f"page: {result.page}")


def _declared_name(job: Job) -> str:
    """Return the study's name in the suite; it may be recorded under another, as ``STUDY-2``."""
    return job.context.study.rpartition("/")[2]


def smallest_first(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs in the order of the arithmetic up to their first look: trials x epochs x rows x inputs."""

    def size(job: Job) -> int:
        study = job.declared
        return study.total_trials * study.config.epochs * job.data.rows * job.data.columns

    return sorted(jobs, key=size)
