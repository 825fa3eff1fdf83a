"""The training of the one configuration that a person chose: its curves, its scores, its diagnosis, and its pictures."""

from __future__ import annotations

from pipeline.commands.job import Job
from pipeline.data import Dataset, load_block
from pipeline.search.plan import make_task, planned_trial
from pipeline.study.hparams import as_choice
from pipeline.study.single_trial import MANUAL
from pipeline.training import TrainingRecord
from pipeline.trials.task import train_alone
from pipeline.trials.trial import FinishedTrial


def train(job: Job) -> None:
    """Train the configuration on the first block's data, and record it as the next trial of its arm."""
    study = job.study
    point = {name: as_choice(getattr(study.fixed, name)) for name in study.space}
    job.optuna_store.open(job.tracker.run_id, job.basis)
    number = 1 + max((number for *_, number in job.optuna_store.recorded()), default=-1)
    task = make_task(study, [planned_trial(study, MANUAL, 0, number, point)])
    data = load_block(task.dataset, task.config, task.split_seed)
    trial, record = train_alone(task, data)
    with job.interrupts.deferred():
        (run_id,) = job.tracker.record(study, [trial])
        job.optuna_store.add(trial, run_id)
        job.tell_blas()
    _tell(job, trial)
    if not trial.result.diverged:
        _draw(job, trial, record, data, run_id)


def _tell(job: Job, trial: FinishedTrial) -> None:
    """Say how a trial went, epoch by epoch, and what came of it."""
    for step in range(trial.result.epochs):
        shown = "  ".join(f"{key} {values[step]:.4f}" for key, values in trial.result.curves.items())
        job.console.say(f"  epoch {step + 1:3d}  {shown}")
    scores = "  ".join(f"{key} {value:.4g}" for key, value in trial.metrics.items())
    job.console.result(f"{'diverged' if trial.result.diverged else 'checkpoint'}: {scores}")
    job.console.result(f"diagnosis: {trial.diagnosis['health']}: {trial.diagnosis['diagnosis'] or 'nothing wrong'}")


def _draw(job: Job, trial: FinishedTrial, record: TrainingRecord, data: Dataset, run_id: str) -> None:
    """Save the portrait of a trial's network, and log it with its run."""
    from pipeline.report.figures.network import portrait, save_pictures  # matplotlib takes a second to import

    folder = job.stores.folder / "reports" / job.study.name / trial.plan.name
    save_pictures(portrait(record, data), folder)
    job.tracker.log_files(folder, "pictures", run_id)
    job.console.result(f"pictures: {folder}")
