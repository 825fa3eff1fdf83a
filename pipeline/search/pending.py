"""Pending trials: those of a study's plan that are not recorded yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from optuna.trial import FrozenTrial, TrialState

from pipeline.errors import UserError
from pipeline.search.plan import planned_trial, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.search.samplers import Trajectory, is_planned
from pipeline.storage.attributes import Key
from pipeline.study.spec import Point, Study
from pipeline.trials.task import Task
from pipeline.trials.trial import PlannedTrial


@dataclass(frozen=True)
class PendingTrials:
    """The trials of a study that are still to train.

    ``unrecorded`` are those of the planned arms; ``trajectories`` are the adaptive arms in each block, whose samplers
    know the recorded trials.
    """

    study: Study
    unrecorded: list[PlannedTrial]
    trajectories: list[Trajectory]
    recorded: Mapping[Key, FrozenTrial]
    pruning_history: PruningHistory

    def __len__(self) -> int:
        return len(self.unrecorded) + sum(self.study.trials - trajectory.number for trajectory in self.trajectories)

    @property
    def run_ids(self) -> set[str]:
        """The ids of the recorded trials' MLflow runs."""
        return {trial.user_attrs["run_id"] for trial in self.recorded.values()}

    @property
    def done(self) -> dict[Key, FrozenTrial]:
        """The recorded trials within the declared budget; an earlier, larger budget may have left more."""
        return {key: trial for key, trial in self.recorded.items() if self.study.includes(*key)}

    def waves(self) -> Iterator[list[PlannedTrial]]:
        """Yield the unrecorded trials in waves; the trials of a wave may train at the same time."""
        wave_of = self.pruning_history.wave
        by_wave = sorted(self.unrecorded, key=wave_of)  # a stable sort: the plan's order within a wave
        return (list(wave) for _, wave in groupby(by_wave, key=wave_of))

    def tasks(self, trials: Collection[PlannedTrial], limit_bytes: int) -> list[Task]:
        """Return the tasks that train these trials of one wave, each within that limit of memory."""
        return tasks(self.study, trials, self.pruning_history, limit_bytes)

    def ask(self) -> dict[Key, tuple[Trajectory, PlannedTrial]]:
        """Return the next trial of every adaptive arm and block whose budget is not used up, with its trajectory."""
        asked = {}
        for trajectory in self.trajectories:
            if trajectory.number < self.study.trials:
                trial = planned_trial(self.study, trajectory.arm, trajectory.block, trajectory.number, trajectory.ask())
                asked[trial.key] = trajectory, trial
        return asked


def find_pending(study: Study, planned: Sequence[PlannedTrial], recorded: Mapping[Key, FrozenTrial]) -> PendingTrials:
    """Return the trials of a plan that are not recorded yet.

    Raises :class:`UserError` if a recorded trial has another point than the plan.
    """
    for trial in planned:
        _check_point(trial.name, trial.point, recorded.get(trial.key))
    adaptive = [arm for arm in study.arms if not is_planned(arm)]
    trajectories = [
        _replay(Trajectory(arm, study, block), study, recorded) for block in range(study.blocks) for arm in adaptive
    ]
    unrecorded = [trial for trial in planned if trial.key not in recorded]
    return PendingTrials(study, unrecorded, trajectories, recorded, PruningHistory(study, recorded))


def _replay(trajectory: Trajectory, study: Study, recorded: Mapping[Key, FrozenTrial]) -> Trajectory:
    """Replay the recorded trials to a new trajectory's sampler, so that it continues as if it had not been stopped."""
    while trajectory.number < study.trials:
        trial = recorded.get((trajectory.arm.name, trajectory.block, trajectory.number))
        if trial is None or trial.value is None:
            break
        _check_point(
            f"{trajectory.arm.name}, block {trajectory.block}, trial {trajectory.number}", trajectory.ask(), trial
        )
        trajectory.tell(trial.value, trial.last_step if trial.state == TrialState.PRUNED else None)
    return trajectory


def _check_point(name: str, point: Point, trial: FrozenTrial | None) -> None:
    if trial is not None and trial.params != point:
        raise UserError(
            f"{name} is recorded at {trial.params}, and the plan has {point} there: "
            "a sampler has changed since. Give the study another name"
        )
