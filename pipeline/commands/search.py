"""The verb ``search``: train the missing trials, then confirm the arms' choices; from look to look, until all is decided."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.checks import CheckResult
from pipeline.commands import Context, given, workers_of
from pipeline.commands.check import require
from pipeline.commands.columns import print_columns, record, treatments
from pipeline.commands.job import Job
from pipeline.commands.suite import SuiteRun, smallest_first
from pipeline.console.progress import Progress
from pipeline.diagnosis.diagnose import RULES
from pipeline.diagnosis.plugins import load_rules
from pipeline.errors import UserError
from pipeline.report.formatting import count, markdown_table
from pipeline.search import confirmation
from pipeline.search.engine import Engine
from pipeline.search.recording import arm_runs_of, reconcile, train_and_record
from pipeline.search.worker_memory import check_affordable
from pipeline.storage.attributes import COLUMNS
from pipeline.study.loading import find_declared
from pipeline.study.spec import Study
from pipeline.study.suite import Suite

if TYPE_CHECKING:
    from pipeline.report.analysis import Analysis


def command(args: argparse.Namespace, context: Context) -> None:
    """Search the study, or those of a suite."""
    declared = find_declared(args.study, given(args, "seed", "trials"))
    with workers_of(args) as engine, claimed_jobs(declared, args, context) as (jobs, suite_run):
        for job in jobs:
            with suite_run.failures_of(job) if suite_run else nullcontext(), opened(job):
                print_look(job, search_until_decided(job, engine))
        if suite_run:
            suite_run.require_all()
        words = ["babysit", "report", args.study, *context.stores.flags]
        context.console.say(f"now write the report: {shlex.join(words)}")


@contextmanager
def claimed_jobs(
    declared: Study | Suite, args: argparse.Namespace, context: Context
) -> Iterator[tuple[list[Job], SuiteRun | None]]:
    """Give the body the jobs of the studies that are declared, each claimed, and the run of their suite, if any.

    Those of a suite come smallest first, so that its first result comes early. All are claimed before anything is written.
    """
    with ExitStack() as stack:
        if isinstance(declared, Study):
            jobs, suite_run = [searching_job(declared, args, context)], None
            stack.enter_context(claimed(jobs[0]))
        else:
            if args.new:
                raise UserError(
                    f"--new: {args.study} is a suite. Start one of its studies again: {args.study}/{declared.studies[0].name} --new"
                )
            suite_run = SuiteRun(declared, context)
            studies = declared.studies
            jobs = smallest_first([searching_job(study, args, suite_run.context_of(study)) for study in studies])
            for job in jobs:
                check_ready(job)
            _ = jobs[0].optuna_store  # makes the storage, which the lock needs
            stack.enter_context(suite_run.owned())
            for job in jobs:
                stack.enter_context(claimed(job))
            stack.enter_context(suite_run.opened(jobs))
        yield jobs, suite_run


def searching_job(study: Study, args: argparse.Namespace, context: Context) -> Job:
    """Return the job of a study, up to its first look, or to the blocks of the flag."""
    looks = (args.blocks,) if args.blocks else study.looks
    return Job(replace(study, blocks=looks[0]), context, new=args.new, looks=looks)


@contextmanager
def claimed(job: Job) -> Iterator[None]:
    """Hold the study's lock during the body.

    A study that cannot be planned up to its last look, trained or continued is refused before anything is written.
    """
    check_ready(job)
    with job.owned():
        print_columns(job.declared, job.console)
        # compares the plan with the records now, so that an error comes before anything is written
        _ = job.pending_trials
        yield


def check_ready(job: Job) -> None:
    """Raise :class:`UserError` for a study that cannot be planned up to its last look or trained; nothing is written."""
    check_affordable(job.declared, job.planned)
    _ = job.basis  # loads the data


@contextmanager
def opened(job: Job, checks: Sequence[CheckResult] = ()) -> Iterator[None]:
    """Open the study's MLflow run and its Optuna studies during the body; log the checks.

    Raises :class:`Failed` if a check is not passed. The checks come before the run, so that a process that is killed
    while it checks leaves no run.
    """
    with job.study_run():
        if checks:
            cells = [(result.status, result.name, result.message, result.advice) for result in checks]
            job.tracker.log_text(markdown_table(("result", "check", "observed", "advice"), cells), "check.md")
            job.tracker.log_metrics({key: value for result in checks for key, value in result.metrics.items()})
            require(checks)
        if job.data.uses:
            job.tracker.log_text(json.dumps(record(job.declared), indent=1, ensure_ascii=False), "columns.json")
        _open_store(job)
        yield


def _open_store(job: Job) -> None:
    done = treatments(job.declared)
    attributes = {"classes": job.data.classes, **({COLUMNS: [list(row) for row in done]} if done else {}), **job.links}
    job.optuna_store.open(job.tracker.run_id, job.basis, attributes)


def search_until_decided(job: Job, engine: Engine) -> Analysis | None:
    """Search and confirm up to each number of blocks in turn. Stop when more blocks can change no verdict.

    The verdicts of a look are printed before the search goes on. The analysis of the last look is returned. If there is
    one look, no verdict is computed and None is returned.
    """
    analysis: Analysis | None = None
    for blocks in job.looks:
        if blocks != job.study.blocks:
            job.extend(blocks)
            _ = job.pending_trials  # compares the plan with the records before anything is written
            _open_store(job)
        if len(job.pending_trials):
            print_look(job, analysis)
        with job.console.timed("search"):
            search(job, engine)
        with job.console.timed("confirm"):
            confirm(job, engine)
        if len(job.looks) > 1:
            analysis, settled = look(job)
            if settled:
                break
    return analysis


def print_look(job: Job, analysis: Analysis | None) -> None:
    """Print the verdicts of a look, if there was one."""
    for verdict in analysis.verdicts if analysis else ():
        job.console.say(f"look: {verdict.sentence}")


def look(job: Job) -> tuple[Analysis, bool]:
    """Return the analysis of the blocks so far, and True if no more blocks can change its verdicts.

    More blocks change no verdict that is decided or withheld, and none after the last look that was declared.
    """
    from pipeline.report.analysis import Analysis  # SciPy's statistics take a second to import
    from pipeline.report.verdict import WITHHELD

    analysis = Analysis(job.table(job.optuna_store.table()))
    settled = all(verdict.decided_at or verdict.rule == WITHHELD for verdict in analysis.verdicts)
    return analysis, settled or job.study.blocks >= analysis.rules.looks[-1]


def search(job: Job, engine: Engine) -> None:
    """Train and record the missing trials of the plan."""
    study, console, pending_trials = job.study, job.console, job.pending_trials
    if changes := reconcile(pending_trials, job.tracker):
        console.say(f"search: MLflow differed from Optuna: {changes}")
    job.tracker.add_dataset(study.dataset, job.data.sha256)
    if not len(pending_trials):
        arm_runs_of(study, pending_trials.recorded, job.tracker).close()
        console.say(f"search: nothing to train, all {study.total_trials:,} trials are recorded")
        return
    console.say(f"search: {len(pending_trials):,} of {study.total_trials:,} trials to train, {engine.description}")
    if console.verbose:
        own_rules = ", ".join(rule.name for rule in load_rules()) or "none"
        console.detail(f"  diagnosed by {len(RULES)} built-in rules; installed rules: {own_rules}")
        console.detail(f"  recorded in MLflow {job.tracker.writer_description}")
        console.detail(f"  {_groups(job, engine)}")
    before = [
        (arm, trial.user_attrs[study.objective.best_val], trial.user_attrs["diverged"])
        for (arm, *_), trial in pending_trials.done.items()
    ]
    with Progress(study, before, console.display) as progress:
        train_and_record(
            pending_trials,
            job.optuna_store,
            job.tracker,
            engine=engine,
            interrupts=job.context.interrupts,
            on_record=progress.count,
        )
    console.say(f"  {progress.summary()}")
    job.report_blas()


def _groups(job: Job, engine: Engine) -> str:
    """Return the number and sizes of the groups that train in lockstep; with a pruner, those of the first wave."""
    pending_trials = job.pending_trials
    wave = next(pending_trials.waves(), [])
    sizes = [len(task.trials) for task in pending_trials.tasks(wave, engine.limit_bytes)]
    asked = len(pending_trials) - len(pending_trials.unrecorded)
    adaptive = f"{asked:,} trials of adaptive arms train one after the other"
    if not sizes:
        return f"groups: none, {adaptive}"
    structures = len({trial.hparams.structure for trial in wave})
    groups = f"groups: {len(sizes):,} of {min(sizes)} to {max(sizes)} trials, of {structures} structures"
    return f"{groups}; {adaptive}" if pending_trials.trajectories else groups


def confirm(job: Job, engine: Engine) -> None:
    """Train the likely choices of each arm in each block again from other weights, as often as the study declares."""
    if not job.study.confirm:
        return
    confirmation.reconcile(job.optuna_store, job.tracker)
    pending = confirmation.pending(job.optuna_store)
    if not pending:
        job.console.say("confirm: nothing to train, all repetitions are recorded")
        return
    repetitions = count(len(pending), "repetition")
    again = "with other seeds" if job.study.model else "from other weights"
    job.console.say(f"confirm: {repetitions} to train: each arm's likely choices in each block, {again}")
    with job.console.working("confirm", len(pending)) as advance:
        confirmation.confirm(
            job.optuna_store,
            job.tracker,
            pending,
            engine=engine,
            interrupts=job.context.interrupts,
            on_record=advance,
        )
    job.report_blas()
    if job.tracker.is_server:
        confirmation.reconcile(job.optuna_store, job.tracker)
