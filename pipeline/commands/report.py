"""The verb ``report``: the report, the summary of the diagnoses, the best model, and where to look."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import pipeline
from pipeline import __version__
from pipeline.commands import Context
from pipeline.commands.job import Job, recorded_study
from pipeline.commands.suite import SuiteRun
from pipeline.commands.train import HYPERPARAMETERS
from pipeline.console.console import Console
from pipeline.diagnosis.diagnose import GOOD
from pipeline.diagnosis.summary import summary
from pipeline.errors import UserError
from pipeline.model.best import saved_model, train_again
from pipeline.model.estimators import call_text, saved_classifier
from pipeline.report.analysis import Analysis
from pipeline.report.figures.network import save_figures
from pipeline.report.formatting import number
from pipeline.report.trials_table import RUN_ADDRESS
from pipeline.report.winner import Winner, find_winner
from pipeline.report.writer import Report, write_analysis
from pipeline.search.engine import Background, in_this_process
from pipeline.search.recording import arm_runs_of
from pipeline.storage.addresses import is_url, redact, sqlite_address, sqlite_file, storage_file
from pipeline.storage.dashboard import Shown
from pipeline.study.loading import find_declared
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Study
from pipeline.tracking import ui_of
from pipeline.tracking.registry import SavedModel

CLONE = Path(pipeline.__file__).parents[1]
SENTENCES_SHOWN = 5
"""At most this many of the commonest diagnoses are printed."""

Record = Mapping[str, Any]


def command(args: argparse.Namespace, context: Context) -> None:
    """Report the study, or those of a suite that are recorded, as they were declared when they last ran."""
    declared = find_declared(args.study, {})
    if isinstance(declared, Study):
        job = Job(recorded_study(declared, context.stores.storage), context)
        with job.owned():
            _report_owned(job, args)
        return
    suite_run = SuiteRun(declared, context)
    jobs = suite_run.recorded_jobs()
    with suite_run.owned(), ExitStack() as stack:
        for job in jobs:
            stack.enter_context(job.owned())
        with suite_run.opened(jobs):
            for job in jobs:
                suite_run.add(job, _report_owned(job, args))
            suite_run.report()


def _report_owned(job: Job, args: argparse.Namespace) -> Report:
    with job.study_run():
        result = report(job, keep_model=not args.no_model)
        job.report_foreign()
    return result


def report(
    job: Job, background: Background = in_this_process, *, keep_model: bool = True, known: Analysis | None = None
) -> Report:
    """Write the report, log it to the study's run, register the best model, and print where to look.

    ``known`` is the analysis of all trials that a look has made; it is not made again.
    """
    store = job.optuna_store
    if store.blocks > job.study.blocks:  # a later run asked for fewer blocks; what is decided stays decided
        job.extend(store.blocks)
    study, trials = job.study, store.table()
    if trials.empty:
        raise UserError(
            f"study {study.name!r}: no trial of it is recorded yet; there is nothing to report. Run the search first"
        )
    records = trials.to_dict("records")
    analysis = known if known and known.study == study else Analysis(job.table(trials))
    importance = analysis.start_importance(background)
    with job.console.timed("report"), job.console.working("report"):
        diagnosis = diagnose(records, study, job.console)
        facts: dict[str, Any] = {
            **versions(),
            "diagnosis": diagnosis,
            RUN_ADDRESS: job.tracker.links(ui_of(job.stores.tracking)).run,
            **({"blas": blas} if (blas := store.blas) else {}),
        }
        winner = find_winner(study, trials)
        if winner:
            facts["winner"] = winner_facts(job, winner)
        try:
            model = add_model(job, winner, facts["winner"]) if winner and keep_model else ()
        except Exception:  # such as a lost registry; the page needs none
            write_analysis(analysis.with_facts(facts), folder_of(job))
            raise
        result = _write(job, analysis.with_facts(facts, importance))
        job.tracker.log_metrics({f"health/{word}": count for word, count in diagnosis["health"].items()})
        if keep_model:
            _print_model(job, model)
        _print_where(job)
    return result


def folder_of(job: Job) -> Path:
    """Return the folder of the report."""
    return job.stores.folder / "reports" / job.study.name


def _write(job: Job, analysis: Analysis) -> Report:
    folder = folder_of(job)
    result = write_analysis(analysis, folder)
    job.tracker.log_metrics(result.metrics)
    job.tracker.set_tags(result.tags)
    job.tracker.describe(job.study, result.sentences)
    arm_runs = arm_runs_of(job.study, job.optuna_store.recorded(), job.tracker)
    arm_runs.set_curves(result.arm_curves)
    arm_runs.close()
    job.tracker.log_files(folder, "report")
    links = job.tracker.links(ui_of(job.stores.tracking))
    job.optuna_store.show(Shown(result.figures, result.verdicts, lambda run_id: replace(links, run_id=run_id).run))
    for sentence in result.verdicts:
        job.console.result(f"report: {sentence}")
    job.console.result(f"page: {result.page}")
    if job.console.verbose:
        job.console.detail(f"  {sum(path.is_file() for path in folder.rglob('*'))} files in {folder}")
    return result


def diagnose(trials: Sequence[Record], study: Study, console: Console) -> dict[str, Any]:
    """Print how many trials are healthy or pruned, and where in the space the diagnoses gather; return plain values."""
    health = Counter(trial["health"] for trial in trials)
    sentences = [tally.sentence for tally in summary(trials, study.space)]
    pruned = sum(bool(trial.get("pruned")) for trial in trials)
    stopped = f"; {pruned:,} were pruned" if pruned else ""
    console.say(f"diagnosis: {health[GOOD]:,} of {len(trials):,} trials have nothing wrong{stopped}")
    for sentence in sentences[:SENTENCES_SHOWN]:
        console.say(f"  {sentence}")
    return {"health": dict(health.most_common()), "sentences": sentences, **({"pruned": pruned} if pruned else {})}


def add_model(job: Job, winner: Winner, facts: dict[str, Any]) -> tuple[str, ...]:
    """Register the winner, trained again, as a model; add what the page says of it to the facts. Return lines on it."""
    with (_saved_classifier if job.study.model else _saved_network)(job, winner, facts) as saved:
        if isinstance(saved, str):
            return (f"{winner.name}; its configuration alone is kept, on the page: {saved}",)
        name = f"babysit-{job.study.name}"
        number, champion = job.tracker.register(name, saved)
    facts |= {"model": f"models:/{name}/{number}", "tracking": tracking_address(job.stores.tracking)}
    return f"{winner.name}, {_score(saved)}, is {name}/{number}; the page has its values", champion


@contextmanager
def _saved_network(job: Job, winner: Winner, facts: dict[str, Any]) -> Iterator[SavedModel]:
    """Train the winner's network again, draw it and save it."""
    best = train_again(job.study, winner, job.basis)
    facts |= {"curves": best.curves, "image_shape": best.classifier.image_shape}
    folder = folder_of(job) / "best"
    save_figures(best.figures, folder)
    job.tracker.log_files(folder, "best")
    with saved_model(best) as saved:
        yield saved


@contextmanager
def _saved_classifier(job: Job, winner: Winner, facts: dict[str, Any]) -> Iterator[SavedModel | str]:
    """Save the winner of a study's own model, or give the reason why its configuration alone is kept."""
    with suppress(UserError):  # its module may be gone since the search
        facts["call"] = call_text(job.study.model, winner.plan.hparams)
    with saved_classifier(job.study, winner, job.basis) as saved:
        yield saved


def _score(saved: SavedModel) -> str:
    score, metric = float(saved.tags[f"val_{saved.metric.name}"]), saved.metric
    if metric is ACCURACY:
        return f"{score:.3f} of validation rows right"
    return f"validation {metric.title} {number(score, 3)}"


def winner_facts(job: Job, winner: Winner) -> dict[str, Any]:
    """Return what the page says of the best trial and the table lacks, as plain values."""
    facts: dict[str, Any] = {"trial": winner.name}
    if job.study.model or set(job.study.space) <= set(HYPERPARAMETERS):
        facts["train"] = train_command(job, winner)
    return facts


def train_command(job: Job, winner: Winner) -> str:
    """Return the shell command that trains the best trial's values, from the folder of this command."""
    context = job.context
    stores = {"--tracking-uri": redact(context.tracking_uri), "--storage": redact(context.storage)}
    point = winner.plan.point.items()
    if job.study.model:
        words = [word for name, value in point for word in ("--set", f"{name}={json.dumps(value)}")]
    else:
        texts = ((name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in point)
        words = [word for name, text in texts for word in (f"--{name.replace('_', '-')}", text)]
    flags = {"--epochs": str(job.study.config.epochs), **{name: value for name, value in stores.items() if value}}
    return shlex.join(["babysit", "train", context.study, *words, *chain.from_iterable(flags.items())])


def _print_model(job: Job, lines: Sequence[str]) -> None:
    first, *others = lines or ("none, since every trial diverged or was pruned",)
    job.console.say(f"model: {first}")
    for line in others:
        job.console.say(f"  {line}")


def _print_where(job: Job) -> None:
    """Print the command that opens both interfaces; in detail the commands and the address for each."""
    uri, words = job.stores.tracking, shlex.join(["babysit", "ui", *job.stores.flags])
    in_clone = words == "babysit ui" and Path.cwd() == CLONE
    job.console.say(f"look at every trial: {words}{' (or make ui)' if in_clone else ''}")
    job.console.detail(f"  MLflow UI         {redact(uri) if uri.startswith('http') else mlflow_command(uri)}")
    job.console.detail(f"    then open       {job.tracker.links(ui_of(uri)).charts}")
    job.console.detail(f"  Optuna Dashboard  {dashboard_command(job.stores.storage)}")


def mlflow_command(tracking: str) -> str:
    """Return the shell command that opens MLflow UI on a database, from any folder."""
    line = shlex.join(["mlflow", "ui", "--workers", "1", "--backend-store-uri", tracking_address(tracking)])
    return f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {line}"


def tracking_address(tracking: str) -> str:
    """Return the address of MLflow's store that holds in any folder, without its password."""
    file = sqlite_file(tracking)
    return sqlite_address(file) if file else redact(tracking)


def dashboard_command(storage: str) -> str:
    """Return the shell command that opens Optuna Dashboard on a storage, from any folder."""
    file = storage_file(storage)
    address = redact(storage) if file is None else sqlite_address(file) if is_url(storage) else str(file)
    return shlex.join(["optuna-dashboard", address])


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide the numbers."""
    packages = ("numpy", "optuna", "scikit-learn", "scipy", "mlflow")
    return {"babysit": __version__} | {name: version(name) for name in packages}
