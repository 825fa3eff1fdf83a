"""The verb ``run``: check, search, confirm and report."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pipeline.checks import CheckResult
from pipeline.commands import Context, given, workers_of
from pipeline.commands.check import check, check_on_worker
from pipeline.search.engine import Engine
from pipeline.study.loading import find_declared, is_experiment
from pipeline.study.spec import Study

if TYPE_CHECKING:
    from pipeline.commands.job import Job
    from pipeline.report.writer import Report


def command(args: argparse.Namespace, context: Context) -> None:
    """Run the study, the suite, or the experiment of the lecture, that the command line names."""
    if is_experiment(args.study):
        from pipeline.commands import lecture

        lecture.command(args, context)
        return
    declared = find_declared(args.study, given(args, "seed", "trials"))
    checked = not args.skip_checks
    with workers_of(args) as engine:
        results_of = check_on_worker(declared, engine) if checked and isinstance(declared, Study) else None
        # MLflow takes more than a second to import. The workers start, and one of them checks, at the same time.
        from pipeline.commands.search import claimed_jobs

        with claimed_jobs(declared, args, context) as (jobs, suite_run):
            for job in jobs:
                with suite_run.failures_of(job) if suite_run else nullcontext():
                    model = not args.no_model
                    result = run_claimed(job, engine, keep_model=model, checked=checked, results_of=results_of)
                    if suite_run:
                        suite_run.add(job, result)
            if suite_run:
                suite_run.report()
                suite_run.require_all()


def run(job: Job, engine: Engine) -> None:
    """Claim a study, and run it."""
    from pipeline.commands.search import claimed

    with claimed(job):
        run_claimed(job, engine)


def run_claimed(
    job: Job,
    engine: Engine,
    *,
    keep_model: bool = True,
    checked: bool = True,
    results_of: Callable[[], list[CheckResult]] | None = None,
) -> Report:
    """Check the network, search, confirm, and report.

    ``keep_model`` registers the model of the best trial. Without ``checked`` no check is run, and the study's run gets
    the tag ``checks`` that says so. ``results_of`` gives the results of checks that are already under way.
    """
    from pipeline.commands.search import opened, search_until_decided

    checks = check(job.study, job.console, results_of) if checked else ()
    with opened(job, checks):
        if not checked:
            job.console.say("check: skipped")
            job.tracker.set_tags({"checks": "skipped"})
        known = search_until_decided(job, engine)
        from pipeline.commands.report import report  # figures and scikit-learn take a second to import

        return report(job, engine.background, keep_model=keep_model, known=known)
