"""Pruning: Optuna's pruners stop trials that fall behind.

A plan is cut into **waves** of ``wave`` trials for each arm and block. After each epoch but the last, the pruner
compares a trial's validation values of the metric with those of the trials of earlier waves, never with those of the same wave. So
the plan alone decides which trials are pruned: not the number of workers, the groups, a crash or the size of the budget.
The first wave has nothing to be compared with. In an adaptive arm, each trial is a wave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from pipeline.console.log_records import quiet_loggers
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
"""Optuna's pruners by the names that a study uses. The arguments are explicit, since defaults change between releases."""

Rungs = Mapping[str, Any]
"""The values that a pruner stores about a trial, such as the rungs of successive halving that it has reached."""


@dataclass(frozen=True)
class PastTrial:
    """A finished trial as a pruner sees it: its validation values by epoch, from 1, and its rungs."""

    number: int
    curve: tuple[float, ...]
    pruned: bool
    rungs: Rungs = field(default_factory=dict)

    @property
    def frozen(self) -> FrozenTrial:
        """The trial in Optuna's form."""
        return optuna.trial.create_trial(
            state=TrialState.PRUNED if self.pruned else TrialState.COMPLETE,
            value=self.curve[-1] if self.curve else 0.0,
            intermediate_values=dict(enumerate(self.curve, start=1)),
            system_attrs=dict(self.rungs),
        )


@dataclass(frozen=True)
class Pruning:
    """Decides which trials of a wave are pruned; it is sent to the worker with their task.

    ``name`` identifies the arm and block; Hyperband assigns trials to its brackets by it. ``epochs`` are those of a trial
    that is not pruned. ``past_trials`` are all trials of earlier waves, in the order of the plan.
    """

    pruner: Pruner
    name: str
    epochs: int
    past_trials: tuple[PastTrial, ...] = ()

    def watch(self, numbers: Sequence[int]) -> PruningWatch:
        """Return the watch over the trials with these numbers."""
        return PruningWatch([self._live(number) for number in numbers])

    def _live(self, number: int) -> optuna.Trial:
        """Return a running Optuna trial of this number, in a new study of the past trials.

        Failed trials, which pruners ignore, fill the numbers between the past trials and this one.
        """
        quiet_loggers("optuna")  # a worker's are its own
        study = optuna.create_study(
            study_name=self.name,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(0),
            pruner=make_pruner(self.pruner, self.epochs),
        )
        study.add_trials([past_trial.frozen for past_trial in self.past_trials])
        study.add_trials([optuna.trial.create_trial(state=TrialState.FAIL)] * (number - len(self.past_trials)))
        return study.ask()


class PruningWatch:
    """Stops the trials of a task that the pruner would stop; trials are given by their place in the task."""

    def __init__(self, trials: Sequence[optuna.Trial]) -> None:
        self._trials = trials
        self.pruned = [False] * len(trials)

    def __call__(self, members: np.ndarray, epoch: int, values: np.ndarray) -> np.ndarray:
        """Report an epoch, from 1, of trials in training, and return which of them continue.

        ``members`` (n,) are their places and ``values`` (n,) their validation values; the result is a mask (n,).
        """
        return np.array([self._continues(k, epoch, float(value)) for k, value in zip(members, values, strict=True)])

    def _continues(self, place: int, epoch: int, value: float) -> bool:
        trial = self._trials[place]
        trial.report(value, epoch)
        self.pruned[place] = trial.should_prune()
        return not self.pruned[place]

    def rungs(self, place: int) -> Rungs:
        """Return what the pruner has stored about a trial."""
        trial = self._trials[place]
        return dict(trial.study.get_trials(deepcopy=False)[trial.number].system_attrs)


def make_pruner(pruner: Pruner, epochs: int) -> BasePruner:
    """Return Optuna's pruner. Raises :class:`UserError` for an unknown name or for arguments that it does not take."""
    if pruner.name not in PRUNERS:
        raise UserError(f"pruner: unknown name {pruner.name!r}; expected one of {', '.join(PRUNERS)}")
    kind, arguments = PRUNERS[pruner.name]
    resource = {"max_resource": epochs} if pruner.name == "hyperband" else {}
    try:
        return kind(**{**arguments, **resource, **pruner.arguments})
    except (TypeError, ValueError) as error:
        raise UserError(
            f"pruner {pruner.name!r}: {kind.__name__} does not take its arguments: {error}. Correct them"
        ) from None
