"""A trial: its plan, its result, and the plain values that every store records of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.diagnosis.diagnose import health
from pipeline.diagnosis.trial_facts import Finding
from pipeline.training import History
from pipeline.training.metrics import BATCH_MODE_ACCURACY, INITIAL_LOSS, TEST_LOSS, TRAIN_LOSS, UPDATE_RATIO, VAL_LOSS
from pipeline.trials.row_scores import pack_bits, pack_scores

Plain = str | float | int | bool
LOSSES = (TRAIN_LOSS, VAL_LOSS, TEST_LOSS)


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result: ``kind`` is ``failed``, ``timed-out`` or ``killed``; ``trace`` is a traceback, or empty."""

    kind: str
    sentence: str
    trace: str = ""


def trial_name(arm: str, block: int, number: int) -> str:
    """Return the name of a trial of the search."""
    return f"{arm}-b{block:02d}-{number:04d}"


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of the plan.

    ``number`` counts from 0 within the arm and block, in the order of the arm's points. ``repetition`` is 0 for a trial
    of the search; the trainings that confirm it, from other initial weights, count from 1.
    """

    arm: str
    sampler: str
    block: int
    number: int
    point: dict[str, Any]
    hparams: Any  # HyperParams, or ModelParams of a study's own model
    repetition: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        """The arm, block and number; unique within the study, except for repetitions."""
        return self.arm, self.block, self.number

    @property
    def name(self) -> str:
        """The name of the MLflow run: unique within the study, and sortable."""
        return trial_name(self.arm, self.block, self.number) + (f"-r{self.repetition}" if self.repetition else "")

    @property
    def kind(self) -> str:
        """The kind of MLflow run: a trial of the search, or the confirmation of one."""
        return "confirmation" if self.repetition else "trial"


@dataclass(frozen=True)
class TrialResult:
    """The curves, scores and costs of one trial.

    ``curves`` hold the values of each epoch, up to the last finite one, and ``scores`` those of the checkpoint, by metric
    key. ``epochs`` counts the epochs with finite losses. ``seconds`` is the trial's share of its group's training time,
    and ``ended`` is in seconds since 1970. ``val_correct`` and ``test_correct`` tell which of the ``n_val`` and ``n_test``
    rows the checkpoint classifies correctly (:func:`pack_bits`). ``val_scores`` and ``test_scores`` are the metric's row
    scores (:func:`pack_scores`), None if it is accuracy. ``pruned`` trials were stopped early; ``rungs`` is what the pruner
    has stored about them. ``failure`` tells why a trial of a study's own model has no result.
    """

    curves: Mapping[str, Sequence[float]]
    scores: Mapping[str, float]
    diverged: bool
    epochs: int
    seconds: float
    ended: float
    n_val: int
    n_test: int
    val_correct: str
    test_correct: str
    pruned: bool = False
    rungs: Mapping[str, Any] = field(default_factory=dict)
    val_scores: str | None = None
    test_scores: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class FinishedTrial:
    """A planned trial with its result and the findings of its diagnosis.

    ``blas`` names the BLAS library that trained it, which is recorded with the study instead of the trial.
    """

    plan: PlannedTrial
    result: TrialResult
    findings: tuple[Finding, ...] = ()
    blas: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """The finite scores of the checkpoint, by metric key."""
        return {key: value for key, value in self.result.scores.items() if math.isfinite(value)}

    @property
    def not_finite(self) -> str:
        """The keys of metrics that stores cannot hold: infinite, or NaN although the trial has such a metric.

        The losses of a diverged trial are left out, since its ``diverged`` says the same.
        """
        r = self.result
        never_nan = {INITIAL_LOSS, *(() if r.diverged else LOSSES)}
        scores = {key for key, x in r.scores.items() if math.isinf(x) or (key in never_nan and math.isnan(x))}
        curves = {key for key, xs in r.curves.items() if not np.isfinite(np.asarray(xs, float)).all()}
        return " ".join(sorted(scores | curves))

    @property
    def identity(self) -> dict[str, Plain]:
        """The values that identify the trial within its study; the study's name is added where it is recorded."""
        plan = self.plan
        repetition: dict[str, Plain] = {"repetition": plan.repetition} if plan.repetition else {}
        return {
            "arm": plan.arm,
            "block": plan.block,
            "trial": plan.number,
            "sampler": plan.sampler,
            "seed": plan.hparams.seed,
            **repetition,
        }

    @property
    def diagnosis(self) -> dict[str, Plain]:
        """Its health as one code, and its findings as sentences."""
        return {"health": health(self.findings), "diagnosis": " ".join(f"{f.sentence}." for f in self.findings)}

    @property
    def attributes(self) -> dict[str, Plain]:
        """Everything but the point and the curves, as plain values."""
        r = self.result
        costs = {"diverged": r.diverged, "epochs": r.epochs, "seconds": r.seconds, "n_val": r.n_val, "n_test": r.n_test}
        return {
            **self.identity,
            **self.metrics,
            **self.diagnosis,
            **costs,
            "not_finite": self.not_finite,
            "val_correct": r.val_correct,
            "test_correct": r.test_correct,
            **{k: v for k, v in (("val_scores", r.val_scores), ("test_scores", r.test_scores)) if v is not None},
        }


def results(history: History, ended: float) -> list[TrialResult]:
    """Return the result of each trial of a history, as plain values; ``ended`` is in seconds since 1970."""
    return [_result(history, k, ended) for k in range(len(history))]


def _result(history: History, k: int, ended: float) -> TrialResult:
    epochs = int(history.epochs[k])
    val, test = history.val_correct[k], history.test_correct[k]
    return TrialResult(
        curves={key: curve[k, :epochs].tolist() for key, curve in history.curves.items()} | _ratios(history, k, epochs),
        scores={key: float(values[k]) for key, values in history.scores.items()} | _measured(history, k, epochs),
        diverged=bool(history.diverged[k]),
        epochs=epochs,
        seconds=float(history.seconds[k]),
        ended=ended,
        n_val=len(val),
        n_test=len(test),
        val_correct="" if history.diverged[k] else pack_bits(val),
        test_correct="" if history.diverged[k] else pack_bits(test),
        val_scores=_row_scores(history, k, history.val_scores),
        test_scores=_row_scores(history, k, history.test_scores),
    )


def _ratios(history: History, k: int, epochs: int) -> dict[str, list[float]]:
    """Return ``update_ratio/layer1`` and so on by epoch, the only layer statistic that is kept as a curve."""
    ratios = history.layer_statistics["update_ratio"][k, :epochs]
    return {
        f"{UPDATE_RATIO}{i}": ratio.tolist() for i, ratio in enumerate(ratios.T, start=1) if np.isfinite(ratio).any()
    }


def _measured(history: History, k: int, epochs: int) -> dict[str, float]:
    """Return the other layer statistics as single numbers of the last epoch: the worst layer's, or NaN without such layers."""
    statistics = history.layer_statistics.items()
    last = {key: values[k, epochs - 1] if epochs else np.full(1, np.nan) for key, values in statistics}
    norms = {f"gradient_norm/layer{i}": float(norm) for i, norm in enumerate(last["gradient_norm"], start=1)}
    worst = {key: float(np.nanmax(last[key], initial=-1)) for key in ("dead", "saturated")}
    units = {f"{key}_units": share if share >= 0 else math.nan for key, share in worst.items()}
    first = {INITIAL_LOSS: float(history.first_loss[k]), BATCH_MODE_ACCURACY: float(history.batch_accuracy[k])}
    return first | units | norms


def _row_scores(history: History, k: int, scores: np.ndarray) -> str | None:
    """Return the row scores of a trial as text; None for accuracy, whose row scores are the bits."""
    if scores.dtype == bool:
        return None
    return "" if history.diverged[k] else pack_scores(scores[k])
