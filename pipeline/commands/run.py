"""The verb ``run``: check, search, confirm and report."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pipeline.commands import Context, workers_of
from pipeline.commands.check import check
from pipeline.commands.job import Job
from pipeline.commands.search import claimed, claimed_jobs, opened, search_until_decided
from pipeline.search.engine import Engine
from pipeline.study.loading import is_experiment

if TYPE_CHECKING:
    from pipeline.report.writer import Report


def command(args: argparse.Namespace, context: Context) -> None:
    """Run the study, the suite, or the experiment of the lecture, that the command line names."""
    if is_experiment(args.study):
        from pipeline.commands import lecture

        lecture.command(args, context)
        return
    with workers_of(args) as engine, claimed_jobs(args, context) as (jobs, suite_run):
        for job in jobs:
            result = run_claimed(job, engine, keep_model=not args.no_model, checked=not args.skip_checks)
            if suite_run:
                suite_run.add(job, result)
        if suite_run:
            suite_run.report()


def run(job: Job, engine: Engine) -> None:
    """Claim a study, and run it."""
    with claimed(job):
        run_claimed(job, engine)


def run_claimed(job: Job, engine: Engine, *, keep_model: bool = True, checked: bool = True) -> Report:
    """Check the network, search, confirm, and report.

    ``keep_model`` registers the model of the best trial. Without ``checked`` no check is run, and the study's run gets
    the tag ``checks`` that says so.
    """
    checks = check(job.study, job.console) if checked else ()
    with opened(job, checks):
        if not checked:
            job.console.say("check: skipped")
            job.tracker.set_tags({"checks": "skipped"})
        search_until_decided(job, engine)
        from pipeline.commands.report import report  # figures and scikit-learn take a second to import

        return report(job, keep_model=keep_model)
