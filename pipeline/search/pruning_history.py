"""The finished trials that a study's pruner compares others with.

It is a separate module: workers import the pruners, and need neither the samplers nor the Optuna store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from pipeline.search.pruners import PastTrial, Pruning
from pipeline.search.samplers import is_planned
from pipeline.storage.attributes import Key
from pipeline.study.spec import Study
from pipeline.trials.trial import FinishedTrial, PlannedTrial


class PruningHistory:
    """The trials of a study that are recorded or finish during the search; empty for a study without a pruner."""

    def __init__(self, study: Study, recorded: Mapping[Key, FrozenTrial]) -> None:
        self._study = study
        self._wave_size = study.pruner.wave if study.pruner and is_planned(study.arms[0]) else 1
        self._past_trials: dict[Key, PastTrial] = {}
        if study.pruner:
            self._past_trials = {key: _past_recorded(key, trial) for key, trial in recorded.items()}

    def wave(self, trial: PlannedTrial) -> int:
        """Return the number of a trial's wave, from 0; without a pruner, all trials are in one wave."""
        return trial.number // self._wave_size if self._study.pruner else 0

    def add(self, finished: Iterable[FinishedTrial]) -> None:
        """Add trials that have just finished."""
        if self._study.pruner:
            key = self._study.objective.val
            self._past_trials |= {trial.plan.key: _past_finished(trial, key) for trial in finished}

    def pruning(self, trials: Sequence[PlannedTrial]) -> Pruning | None:
        """Return how to prune these trials, all of one wave, arm and block; None if the study has no pruner."""
        study, first = self._study, trials[0]
        if study.pruner is None:
            return None
        numbers = range(self.wave(first) * self._wave_size)
        past_trials = tuple(self._past_trials[first.arm, first.block, number] for number in numbers)
        return Pruning(study.pruner, f"{first.arm}/b{first.block:02d}", study.config.epochs, past_trials)


def _past_recorded(key: Key, trial: FrozenTrial) -> PastTrial:
    curve = tuple(trial.intermediate_values.values())
    return PastTrial(key[-1], curve, trial.state == TrialState.PRUNED, trial.system_attrs)


def _past_finished(trial: FinishedTrial, key: str) -> PastTrial:
    result = trial.result
    return PastTrial(trial.plan.number, tuple(result.curves[key]), result.pruned, result.rungs)
