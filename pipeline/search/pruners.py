"""Pruning: trials that fall behind are stopped early, by Optuna's pruners, and always the same ones.

After each epoch but the last, a trial's validation accuracies so far are shown to the pruner beside those of the trials
of **earlier waves** of its arm and block: the trials before its own in the plan, ``wave`` of them at a time. Those that
train beside it are never looked at, so that whether it is pruned depends on the plan alone: not on the number of
workers, on which trials share a group, on a crash in between, or on how large the budget is. The first wave is judged
by nobody's example. The trials of an adaptive arm come one at a time, and so do their waves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from pipeline.errors import UserError
from pipeline.study.spec import Pruner

PRUNERS: dict[str, tuple[type[BasePruner], dict[str, Any]]] = {
    "median": (
        optuna.pruners.MedianPruner,
        {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1},
    ),
    "successive_halving": (
        optuna.pruners.SuccessiveHalvingPruner,
        {"min_resource": 1, "reduction_factor": 4, "min_early_stopping_rate": 0, "bootstrap_count": 0},
    ),
    "hyperband": (optuna.pruners.HyperbandPruner, {"min_resource": 1, "reduction_factor": 3, "bootstrap_count": 0}),
    "threshold": (optuna.pruners.ThresholdPruner, {"n_warmup_steps": 0, "interval_steps": 1}),
}
"""Optuna's pruners by the words of a study, their arguments named: defaults have changed between releases."""

Rungs = Mapping[str, Any]
"""What a pruner notes about a trial in passing, such as the rungs of successive halving that it has reached."""


@dataclass(frozen=True)
class PastTrial:
    """A trial that is done, as a pruner sees it: its accuracies by epoch, from 1, and what was noted about it."""

    number: int
    curve: tuple[float, ...]
    pruned: bool
    rungs: Rungs = field(default_factory=dict)

    @property
    def frozen(self) -> FrozenTrial:
        return optuna.trial.create_trial(
            state=TrialState.PRUNED if self.pruned else TrialState.COMPLETE,
            value=self.curve[-1] if self.curve else 0.0,
            intermediate_values=dict(enumerate(self.curve, start=1)),
            system_attrs=dict(self.rungs),
        )


@dataclass(frozen=True)
class Pruning:
    """What decides which trials of a wave are pruned: the pruner, and all trials of earlier waves, in order.

    ``name`` tells arms and blocks apart, ``epochs`` is what a trial that goes on to the end trains for.
    """

    pruner: Pruner
    name: str
    epochs: int
    past_trials: tuple[PastTrial, ...] = ()

    def judge(self, numbers: Sequence[int]) -> Judge:
        """The judge of the trials of these numbers."""
        return Judge([self._live(number) for number in numbers])

    def _live(self, number: int) -> optuna.Trial:
        """A trial in training, in a study of its own beside its past_trials; those between hold their places, and say nothing."""
        study = optuna.create_study(
            study_name=self.name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(0),
            pruner=make_pruner(self.pruner, self.epochs),
        )
        study.add_trials([past_trial.frozen for past_trial in self.past_trials])
        study.add_trials([optuna.trial.create_trial(state=TrialState.FAIL)] * (number - len(self.past_trials)))
        return study.ask()


class Judge:
    """Watches trials in training, by their places, and stops those that the pruner would."""

    def __init__(self, trials: Sequence[optuna.Trial]) -> None:
        self._trials = trials
        self.pruned = [False] * len(trials)

    def __call__(self, members: np.ndarray, epoch: int, accuracy: np.ndarray) -> np.ndarray:
        """Which of the members (n,) go on after an epoch, from 1, with these accuracies (n,)."""
        return np.array([self._goes_on(k, epoch, float(value)) for k, value in zip(members, accuracy, strict=True)])

    def _goes_on(self, place: int, epoch: int, accuracy: float) -> bool:
        trial = self._trials[place]
        trial.report(accuracy, epoch)
        self.pruned[place] = trial.should_prune()
        return not self.pruned[place]

    def rungs(self, place: int) -> Rungs:
        """What the pruner has noted about a trial."""
        trial = self._trials[place]
        return dict(trial.study.get_trials(deepcopy=False)[trial.number].system_attrs)


def make_pruner(pruner: Pruner, epochs: int) -> BasePruner:
    """Optuna's pruner. Raises :class:`UserError` if there is none of that name, or its arguments do not fit."""
    if pruner.name not in PRUNERS:
        raise UserError(f"pruner: unknown name {pruner.name!r}; expected one of {', '.join(PRUNERS)}")
    kind, arguments = PRUNERS[pruner.name]
    budget = {"max_resource": epochs} if pruner.name == "hyperband" else {}
    try:
        return kind(**{**arguments, **budget, **pruner.arguments})
    except (TypeError, ValueError) as error:
        raise UserError(f"pruner {pruner.name!r}: {kind.__name__} does not take its arguments: {error}") from None
