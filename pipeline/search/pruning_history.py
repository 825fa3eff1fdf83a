"""What a study's pruner may look at: the trials that are done, by arm and block, in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from pipeline.search.pruners import PastTrial, Pruning
from pipeline.search.samplers import is_planned
from pipeline.storage.optuna_store import Key
from pipeline.study.spec import Study
from pipeline.training.metrics import VAL_ACCURACY
from pipeline.trials.trial import FinishedTrial, PlannedTrial


class PruningHistory:
    """The trials that are recorded, and those that finish meanwhile; nothing, for a study that prunes none."""

    def __init__(self, study: Study, recorded: Mapping[Key, FrozenTrial]) -> None:
        self._study = study
        self._wave = study.pruner.wave if study.pruner and is_planned(study.arms[0]) else 1
        self._done = {key: _recorded(key, trial) for key, trial in recorded.items()} if study.pruner else {}

    def wave(self, trial: PlannedTrial) -> int:
        """The wave of the plan that a trial is in; all are in one where none is pruned."""
        return trial.number // self._wave if self._study.pruner else 0

    def add(self, finished: Iterable[FinishedTrial]) -> None:
        """Take down trials that are done now."""
        if self._study.pruner:
            self._done |= {trial.plan.key: _finished(trial) for trial in finished}

    def pruning(self, trials: Sequence[PlannedTrial]) -> Pruning | None:
        """What decides which of these trials, of one wave, are pruned; nothing, if the study prunes none."""
        study, one = self._study, trials[0]
        if study.pruner is None:
            return None
        earlier = (self._done[one.arm, one.block, n] for n in range(self.wave(one) * self._wave))
        return Pruning(study.pruner, f"{one.arm}/b{one.block:02d}", study.config.epochs, tuple(earlier))


def _recorded(key: Key, trial: FrozenTrial) -> PastTrial:
    curve = tuple(trial.intermediate_values.values())
    return PastTrial(key[-1], curve, trial.state == TrialState.PRUNED, trial.system_attrs)


def _finished(trial: FinishedTrial) -> PastTrial:
    result = trial.result
    return PastTrial(trial.plan.number, tuple(result.curves[VAL_ACCURACY]), result.pruned, result.rungs)
