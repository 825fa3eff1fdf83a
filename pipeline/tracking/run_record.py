"""A finished trial as an MLflow run: its tags, params and metrics, as plain values that either writer can write."""

from __future__ import annotations

import getpass
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.study.spec import Range, SearchSpace, Study
from pipeline.trials.trial import FinishedTrial

NOTE = "mlflow.note.content"
"""The tag that holds a run's description, as Markdown."""
PARENT = "mlflow.parentRunId"
"""The tag of a child run that holds the id of its parent."""
TRIAL_GENERATION = "generation"
"""The tag of a trial's run that holds the generation of its study."""
ARM = "arm"
"""The tag of a trial and of an arm's run, and the param of a trial, that names its arm."""
ARM_KIND = "arm"
"""The kind of the run of an arm in a block."""


class MetricPoint(NamedTuple):
    """One value of a metric: a finite Python float, at an integer step and a time in milliseconds since 1970.

    The types matter: a NumPy integer would be stored in SQLite as bytes, and MLflow could no longer read the experiment.
    """

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class RunRecord:
    """A whole run. Times are in milliseconds since 1970; a metric's points are in the order of their steps."""

    name: str
    started: int
    ended: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: tuple[MetricPoint, ...]


def run_record(
    study: Study, trial: FinishedTrial, parent: str, generation: str = "", study_started: int = 0
) -> RunRecord:
    """Return the trial as a child run of ``parent``. ``generation`` distinguishes studies of the same name.

    A repetition starts with the study, at ``study_started`` in milliseconds since 1970: the UI lists runs by start, the last
    first, and would show the repetitions instead of the trials. Its metrics have the true time.
    """
    ended, duration = int(trial.result.ended * 1000), int(trial.result.seconds * 1000)
    started = study_started if trial.plan.repetition else ended - duration
    return RunRecord(
        name=trial.plan.name,
        started=started,
        ended=started + duration,
        tags=trial_tags(study, trial) | child_tags(parent, generation),
        params={key: str(value) for key, value in trial_params(study, trial).items()},
        points=tuple(trial_points(trial, ended)),
    )


def trial_tags(study: Study, trial: FinishedTrial) -> dict[str, str]:
    """Return the tags, which the UI groups and filters runs by."""
    tags = {
        "kind": trial.plan.kind,
        "study": study.name,
        **trial.identity,
        "diverged": trial.result.diverged,
        "health": trial.diagnosis["health"],
    }
    tags |= {"pruned": True} if trial.result.pruned else {}
    tags |= {"not_finite": trial.not_finite} if trial.not_finite else {}
    tags |= {"traceback": trial.result.failure.trace} if trial.result.failure else {}
    tags |= {f"finding/{finding.code}": finding.sentence for finding in trial.findings}
    return {key: str(value) for key, value in tags.items()}


def trial_params(study: Study, trial: FinishedTrial) -> dict[str, Any]:
    """Return the arm, an axis of the UI's charts; the searched values; and the ``log10_`` twins of those on a log scale."""
    return {ARM: trial.plan.arm, **trial.plan.point, **log10_twins(study.space, trial.plan.point)}


def log10_twins(space: SearchSpace, point: Mapping[str, Any]) -> dict[str, float]:
    """Return ``log10_<name>`` of each hyperparameter on a log scale, for charts with linear axes."""
    logs = [name for name, dimension in space.items() if isinstance(dimension, Range) and dimension.log]
    return {f"log10_{name}": math.log10(point[name]) for name in logs}


def trial_points(trial: FinishedTrial, timestamp: int) -> Iterator[MetricPoint]:
    """Yield the finite values of the curves, from step 1, and of the checkpoint's scores, at step 0.

    A score that is also a curve (``train/loss``) is that curve's value at the checkpoint, and is left out.
    """
    curves = trial.result.curves
    for key, values in curves.items():
        for step, value in enumerate(values, start=1):
            if math.isfinite(value):
                yield MetricPoint(key, float(value), timestamp, step)
    for key, value in trial.metrics.items():
        if key not in curves:
            yield MetricPoint(key, float(value), timestamp, 0)


def child_tags(parent: str, generation: str) -> dict[str, str]:
    """Return the tags of a child run: who recorded it, its parent, and the generation of its study if it has one."""
    mark = {TRIAL_GENERATION: generation} if generation else {}
    return source_tags() | {PARENT: parent} | mark


def source_tags() -> dict[str, str]:
    """Return the tags that say who recorded a run, and with what program."""
    return {"mlflow.user": _user(), "mlflow.source.name": "babysit", "mlflow.source.type": "LOCAL"}


def _user() -> str:
    """Return the user's name. A container may run under a number without a name."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return "unknown"
