"""The pending_trials: what a study still owes, once its plan is laid beside what is recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from optuna.trial import FrozenTrial, TrialState

from pipeline.errors import UserError
from pipeline.search.plan import planned_trial, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.search.samplers import Trajectory, is_planned
from pipeline.storage.optuna_store import Key
from pipeline.study.spec import Point, Study
from pipeline.trials.task import Task
from pipeline.trials.trial import PlannedTrial


@dataclass(frozen=True)
class PendingTrials:
    """The trials of the plan that are not recorded, and the adaptive arms, told all that is recorded of them.

    ``pruning_history`` are what the study's pruner, if it has one, holds trials against.
    """

    study: Study
    planned: list[PlannedTrial]
    trajectories: list[Trajectory]
    recorded: Mapping[Key, FrozenTrial]
    pruning_history: PruningHistory

    def __len__(self) -> int:
        return len(self.planned) + sum(self.study.trials - trajectory.told for trajectory in self.trajectories)

    @property
    def run_ids(self) -> set[str]:
        """The MLflow runs of the recorded trials."""
        return {trial.user_attrs["run_id"] for trial in self.recorded.values()}

    @property
    def done(self) -> dict[Key, FrozenTrial]:
        """What is recorded of the declared budget; more may be, from a larger one."""
        return {key: trial for key, trial in self.recorded.items() if self.study.budgets(*key)}

    def waves(self) -> Iterator[list[PlannedTrial]]:
        """The planned trials, all those that may train side by side at a time."""
        in_waves = sorted(self.planned, key=self.pruning_history.wave)  # and as planned within a wave
        return (list(wave) for _, wave in groupby(in_waves, key=self.pruning_history.wave))

    def tasks(self, trials: Collection[PlannedTrial], budget_bytes: int) -> list[Task]:
        """The tasks that train these trials, of one wave, each within a budget of memory."""
        return tasks(self.study, trials, self.pruning_history, budget_bytes)

    def ask(self) -> dict[Key, tuple[Trajectory, PlannedTrial]]:
        """The next trial of every adaptive arm in every block that has one left."""
        asked = {}
        for trajectory in self.trajectories:
            if trajectory.told < self.study.trials:
                trial = planned_trial(self.study, trajectory.arm, trajectory.block, trajectory.told, trajectory.ask())
                asked[trial.key] = trajectory, trial
        return asked


def find_pending(study: Study, planned: Sequence[PlannedTrial], recorded: Mapping[Key, FrozenTrial]) -> PendingTrials:
    """Lay the plan beside the record. Raises :class:`UserError` if a recorded trial is not the one the plan has in its place."""
    for trial in planned:
        _check_place(trial.name, trial.point, recorded.get(trial.key))
    adaptive = [arm for arm in study.arms if not is_planned(arm)]
    trajectories = [
        _replay(Trajectory(arm, study, block), study, recorded) for block in range(study.blocks) for arm in adaptive
    ]
    pending = [trial for trial in planned if trial.key not in recorded]
    return PendingTrials(study, pending, trajectories, recorded, PruningHistory(study, recorded))


def _replay(trajectory: Trajectory, study: Study, recorded: Mapping[Key, FrozenTrial]) -> Trajectory:
    """Tell it what is recorded. It asks again for the same points, so that it goes on as if it had never been stopped."""
    while trajectory.told < study.trials:
        found = recorded.get((trajectory.arm.name, trajectory.block, trajectory.told))
        if found is None or found.value is None:
            break
        _check_place(
            f"{trajectory.arm.name}, block {trajectory.block}, trial {trajectory.told}", trajectory.ask(), found
        )
        trajectory.tell(found.value, found.last_step if found.state == TrialState.PRUNED else None)
    return trajectory


def _check_place(name: str, point: Point, found: FrozenTrial | None) -> None:
    if found is not None and found.params != point:
        raise UserError(
            f"{name} is recorded at {found.params}, and the plan has {point} there: "
            "a sampler has changed since. Give the study another name"
        )
