"""The facts of a trial that its curves do not show, and the findings of diagnosis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.metrics import BATCH_MODE_ACCURACY, BEST_VAL_ACCURACY, INITIAL_LOSS, UPDATE_RATIO
from pipeline.training.minibatches import training_cuts

SCORES = {
    "initial_loss": INITIAL_LOSS,
    "dead": "dead_units",
    "saturated": "saturated_units",
    "batch_accuracy": BATCH_MODE_ACCURACY,
    "best_accuracy": BEST_VAL_ACCURACY,
}
"""The keys of the facts that are recorded as scores."""

RULE_FAILED = "rule-failed"
"""The code of the finding that an installed rule failed."""


@dataclass(frozen=True)
class Finding:
    """One finding: a short code to count and filter by, a sentence with the numbers, and what to do."""

    code: str
    sentence: str
    advice: str


@dataclass(frozen=True)
class Facts:
    """The settings of a trial, and the measurements of its training in addition to its curves.

    Attributes
    ----------
    classes
        The number of classes, C.
    hparams
        The hyperparameters.
    epochs, steps
        The planned epochs, and the updates in each.
    rows
        The number of validation rows; 0 if unknown.
    diverged
        True if the loss became infinite or NaN.
    initial_loss
        The loss before the first step.
    update_ratios
        The median of |update|/|W| of each layer, first to last.
    dead, saturated
        The greatest share of dead or saturated units in a layer.
    batch_accuracy, best_accuracy
        The checkpoint's validation accuracy with the statistics of each batch, and with the running statistics, of batch norm.

    Measurements may be absent.
    """

    classes: int
    hparams: HyperParams = field(default_factory=HyperParams)
    epochs: int = 0
    steps: int = 1
    rows: int = 0
    diverged: bool = False
    initial_loss: float | None = None
    update_ratios: Sequence[float] = ()
    dead: float | None = None
    saturated: float | None = None
    batch_accuracy: float | None = None
    best_accuracy: float | None = None

    @classmethod
    def of(
        cls,
        hparams: HyperParams,
        config: TrainConfig,
        *,
        classes: int,
        train_rows: int,
        val_rows: int = 0,
        diverged: bool = False,
        curves: Mapping[str, Sequence[float]] | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> Facts:
        """The facts of a trial, from its hyperparameters, the settings of its study and the size of its data.

        ``curves`` and ``scores`` have the recorded keys, including those of measurements.
        """
        steps = len(training_cuts(train_rows, hparams.configured(config).batch_size))
        facts = cls(classes, hparams, config.epochs, steps, val_rows, diverged)
        return replace(facts, **_measured(curves or {}, scores or {}))


def _measured(curves: Mapping[str, Sequence[float]], scores: Mapping[str, float]) -> dict[str, Any]:
    """The measurements among recorded curves and scores, without those that are missing or not finite."""
    ratios = {
        key: [r for r in values if math.isfinite(r)] for key, values in curves.items() if key.startswith(UPDATE_RATIO)
    }
    finite_scores = {name: scores[key] for name, key in SCORES.items() if math.isfinite(scores.get(key, math.nan))}
    layers = sorted(ratios, key=lambda key: int(key.removeprefix(UPDATE_RATIO)))
    return {"update_ratios": tuple(median(ratios[key]) for key in layers if ratios[key]), **finite_scores}
