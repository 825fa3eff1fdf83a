"""The facts of a trial that its curves do not tell, and the findings that diagnosis makes of both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.minibatches import training_cuts

RATIO = "update_ratio/layer"
SCORES = {
    "initial_loss": "initial/loss",
    "dead": "dead_units",
    "saturated": "saturated_units",
    "batch_accuracy": "batch_mode/accuracy",
    "best_accuracy": "best/val_accuracy",
}
"""The facts that are among a trial's recorded scores, by their keys."""

RULE_FAILED = "rule-failed"
"""The code of what is said where a rule of one's own could not judge a trial."""


@dataclass(frozen=True)
class Finding:
    """One complaint: a short code to count and filter by, a sentence with the numbers, and what to do about it."""

    code: str
    sentence: str
    advice: str


@dataclass(frozen=True)
class Facts:
    """What decided a trial, and what was measured while it trained, beside its curves.

    ``epochs`` and ``steps`` are the epochs planned and the updates in each; ``rows`` counts the validation rows (0:
    unknown). ``initial_loss`` is the loss before the first step, where it was recorded. ``update_ratios`` is the
    median of |update|/|W| of each layer, first to last; ``dead`` and ``saturated`` are the greatest share of dead or
    saturated units in a layer; ``batch_accuracy`` is the checkpoint's validation accuracy where batch norm goes by each batch's own
    statistics, and ``best_accuracy`` where it goes by the running ones. All of these may be absent.
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
        """The facts of a trial, from its point, the settings of its study and the size of its data.

        ``curves`` and ``scores`` are as they are recorded, with what was measured while it trained.
        """
        steps = len(training_cuts(train_rows, config.batch_size))
        facts = cls(classes, hparams, config.epochs, steps, val_rows, diverged)
        return replace(facts, **_measured(curves or {}, scores or {}))


def _measured(curves: Mapping[str, Sequence[float]], scores: Mapping[str, float]) -> dict[str, Any]:
    """The measurements among recorded curves and scores; those that are missing or not finite are absent."""
    ratios = {key: [r for r in values if math.isfinite(r)] for key, values in curves.items() if key.startswith(RATIO)}
    known = {name: scores[key] for name, key in SCORES.items() if math.isfinite(scores.get(key, math.nan))}
    layers = sorted(ratios, key=lambda key: int(key.removeprefix(RATIO)))
    return {"update_ratios": tuple(median(ratios[key]) for key in layers if ratios[key]), **known}
