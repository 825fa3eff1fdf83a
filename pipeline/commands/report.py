"""The verb ``report``: the report, the summary of the diagnoses, the best model, and where to look."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.commands import Context
from pipeline.commands.job import Job, recorded_study
from pipeline.console.console import Console
from pipeline.diagnosis.diagnose import GOOD
from pipeline.diagnosis.summary import summary
from pipeline.errors import UserError
from pipeline.model.best import best_trial, saved_model, train_again
from pipeline.report.figures.network import save_figures
from pipeline.report.trials_table import TrialsTable
from pipeline.report.writer import write_report
from pipeline.search.recording import arm_runs_of
from pipeline.storage.addresses import is_url, redact, sqlite_address, sqlite_file, storage_file
from pipeline.study.loading import find_study
from pipeline.study.spec import Study
from pipeline.tracking import ui_of

SENTENCES_SHOWN = 5
"""At most this many of the commonest diagnoses are printed."""

Record = Mapping[str, Any]


def command(args: argparse.Namespace, context: Context) -> None:
    """Report the study as it was declared when it last ran."""
    study = recorded_study(find_study(args.study, {}), context.stores.storage)
    job = Job(study, context)
    with job.owned(), job.study_run():
        report(job, keep_model=not args.no_model)
        job.report_foreign()


def report(job: Job, *, keep_model: bool = True) -> None:
    """Write the report, log it to the study's run, register the best model, and print where to look."""
    store = job.optuna_store
    if store.blocks > job.study.blocks:  # a later run asked for fewer blocks; what is decided stays decided
        job.extend(store.blocks)
    study, trials = job.study, store.table()
    if trials.empty:
        raise UserError(
            f"study {study.name!r}: no trial of it is recorded yet; there is nothing to report. Run the search first"
        )
    records = trials.to_dict("records")
    with job.console.timed("report"):
        diagnosis = diagnose(records, study, job.console)
        facts: dict[str, Any] = {
            **versions(),
            "diagnosis": diagnosis,
            **({"blas": blas} if (blas := store.blas) else {}),
        }
        _write(job, job.table(trials, facts))
        job.tracker.log_metrics({f"health/{word}": count for word, count in diagnosis["health"].items()})
        if keep_model:
            register(job, records)
        _print_where(job)


def folder_of(job: Job) -> Path:
    """Return the folder of the report."""
    return job.stores.folder / "reports" / job.study.name


def _write(job: Job, table: TrialsTable) -> None:
    folder = folder_of(job)
    result = write_report(table, folder)
    job.tracker.log_metrics(result.metrics)
    job.tracker.set_tags(result.tags)
    job.tracker.describe(job.study, result.sentences)
    arm_runs = arm_runs_of(job.study, job.optuna_store.recorded(), job.tracker)
    arm_runs.set_curves(result.arm_curves)
    arm_runs.close()
    job.tracker.log_files(folder, "report")
    job.optuna_store.save_figures(result.figures)
    for sentence in result.verdicts:
        job.console.result(f"report: {sentence}")
    job.console.result(f"page: {result.page}")
    if job.console.verbose:
        job.console.detail(f"  {sum(path.is_file() for path in folder.rglob('*'))} files in {folder}")


def diagnose(trials: Sequence[Record], study: Study, console: Console) -> dict[str, Any]:
    """Print how many trials are healthy and where in the space the diagnoses gather; return both as plain values."""
    health = Counter(trial["health"] for trial in trials)
    sentences = [tally.sentence for tally in summary(trials, study.space)]
    console.say(f"diagnosis: {health[GOOD]:,} of {len(trials):,} trials have nothing wrong")
    for sentence in sentences[:SENTENCES_SHOWN]:
        console.say(f"  {sentence}")
    return {"health": dict(health.most_common()), "sentences": sentences}


def register(job: Job, trials: Sequence[Record]) -> None:
    """Train the best trial's network again, draw it, register it as a model, and print the model's name."""
    if not (record := best_trial(trials)):
        job.console.say("model: none, since every trial diverged or was pruned")
        return
    best = train_again(job.study, record, job.basis)
    folder = folder_of(job) / "best"
    save_figures(best.figures, folder)
    job.tracker.log_files(folder, "best")
    name = f"babysit-{job.study.name}"
    with saved_model(best) as kept:
        number, champion = job.tracker.register(name, kept)
    job.console.say(
        f"model: {best.tags['trial']}, {best.val_accuracy:.3f} of validation rows right, is {name}/{number}"
    )
    job.console.say(f"  {champion}")


def _print_where(job: Job) -> None:
    uri = job.stores.tracking
    job.console.say("look at every trial in")
    job.console.say(f"  MLflow UI         {redact(uri) if uri.startswith('http') else mlflow_command(uri)}")
    job.console.say(f"    then open       {job.tracker.links(ui_of(uri)).charts}")
    job.console.say(f"  Optuna Dashboard  {dashboard_command(job.stores.storage)}")


def mlflow_command(tracking: str) -> str:
    """Return the shell command that opens MLflow UI on a database, from any folder."""
    file = sqlite_file(tracking)
    address = sqlite_address(file) if file else redact(tracking)
    line = shlex.join(["mlflow", "ui", "--workers", "1", "--backend-store-uri", address])
    return f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {line}"


def dashboard_command(storage: str) -> str:
    """Return the shell command that opens Optuna Dashboard on a storage, from any folder."""
    file = storage_file(storage)
    address = redact(storage) if file is None else sqlite_address(file) if is_url(storage) else str(file)
    return shlex.join(["optuna-dashboard", address])


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide the numbers."""
    packages = ("numpy", "optuna", "scikit-learn", "scipy", "mlflow")
    return {"babysit": __version__} | {name: version(name) for name in packages}
