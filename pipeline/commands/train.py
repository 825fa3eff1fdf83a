"""The verb ``train``: one trial with the hyperparameters that the user chose; its curves, diagnosis and figures."""

from __future__ import annotations

import argparse
from typing import Any

from pipeline.commands import Context, given
from pipeline.commands.job import Job
from pipeline.data import Dataset, load_block
from pipeline.errors import UserError
from pipeline.search.plan import make_task, planned_trial
from pipeline.study.loading import find_study
from pipeline.study.single_trial import SINGLE_TRIAL, single_trial_point, single_trial_study
from pipeline.study.space import SEARCHABLE
from pipeline.training import TrainingRecord
from pipeline.trials.own_models import check_parameters
from pipeline.trials.task import run_single_trial, run_task
from pipeline.trials.trial import FinishedTrial
from pipeline.validation import did_you_mean

HYPERPARAMETERS = ("learning_rate", "l2", "activation", "init", "batch_norm")
"""The hyperparameters that have a flag."""


def command(args: argparse.Namespace, context: Context) -> None:
    """Train one trial of the study."""
    study = find_study(args.study, given(args, "seed"))
    chosen = given(args, *HYPERPARAMETERS) | dict(filter(None, args.set or ()))
    if study.model:
        check_parameters(study.model, list(chosen))
    elif unknown := [name for name in chosen if name not in SEARCHABLE]:
        hint = did_you_mean(unknown[0], SEARCHABLE)
        raise UserError(f"--set: unknown {unknown[0]!r}; {hint}expected one of {', '.join(SEARCHABLE)}")
    job = Job(single_trial_study(study, chosen, args.epochs), context)
    _ = job.basis  # loads the data now, so that an error comes before anything is written
    with job.owned(), job.study_run():
        train(job, single_trial_point(study, chosen))


def train(job: Job, point: dict[str, Any]) -> None:
    """Train the configuration on the first block's data, and record it as the next trial of its arm."""
    study = job.study
    job.optuna_store.open(job.tracker.run_id, job.basis)
    number = 1 + max((number for *_, number in job.optuna_store.recorded()), default=-1)
    task = make_task(study, [planned_trial(study, SINGLE_TRIAL, 0, number, point)])
    data = load_block(task.dataset, task.config, task.split_seed)
    if study.model:
        (trial,), record = run_task(task, data), None
    else:
        trial, record = run_single_trial(task, data)
    with job.context.interrupts.deferred():
        (run_id,) = job.tracker.record(study, [trial])
        job.optuna_store.add_all({run_id: trial})
        job.report_blas()
    _print(job, trial)
    if record and not trial.result.diverged:
        _draw(job, trial, record, data, run_id)


def _print(job: Job, trial: FinishedTrial) -> None:
    """Print the curves of a trial epoch by epoch, its scores, and its diagnosis."""
    steps = min(trial.result.epochs, max(map(len, trial.result.curves.values()), default=0))
    for step in range(steps):
        values = "  ".join(f"{key} {curve[step]:.4f}" for key, curve in trial.result.curves.items())
        job.console.say(f"  epoch {step + 1:3d}  {values}")
    scores = "  ".join(f"{key} {value:.4g}" for key, value in trial.metrics.items())
    job.console.result(f"{'diverged' if trial.result.diverged else 'checkpoint'}: {scores}")
    job.console.result(f"diagnosis: {trial.diagnosis['health']}: {trial.diagnosis['diagnosis'] or 'nothing wrong'}")


def _draw(job: Job, trial: FinishedTrial, record: TrainingRecord, data: Dataset, run_id: str) -> None:
    """Save the figures of a trial's network, and log them with its run."""
    from pipeline.report.figures.network import network_figures, save_figures  # matplotlib takes a second to import

    folder = job.stores.folder / "reports" / job.study.name / trial.plan.name
    save_figures(network_figures(record, data), folder)
    job.tracker.log_files(folder, "pictures", run_id)
    job.console.result(f"figures: {folder}")
