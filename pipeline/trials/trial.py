"""A trial, from plan to record: the point it was given, what became of it, and the words it is recorded in."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.diagnosis.diagnose import health
from pipeline.diagnosis.trial_facts import Finding
from pipeline.study.hparams import HyperParams
from pipeline.training import History
from pipeline.training.metrics import BATCH_MODE_ACCURACY, INITIAL_LOSS, TEST_LOSS, TRAIN_LOSS, UPDATE_RATIO, VAL_LOSS

Plain = str | float | int | bool
LOSSES = (TRAIN_LOSS, VAL_LOSS, TEST_LOSS)


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of the plan. ``number`` counts from 0 within its arm and block, in the order the arm visits its points.

    ``repetition`` is 0; where a trial is trained again to confirm it, from other weights, it counts from 1.
    """

    arm: str
    sampler: str
    block: int
    number: int
    point: dict[str, Any]
    hparams: HyperParams
    repetition: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from the other trials of its study."""
        return self.arm, self.block, self.number

    @property
    def name(self) -> str:
        """A run name that sorts, and that no other trial or repetition of its study has."""
        return f"{self.arm}-b{self.block:02d}-{self.number:04d}" + (f"-r{self.repetition}" if self.repetition else "")

    @property
    def kind(self) -> str:
        """What its run is called: a trial of the search, or the confirmation of one."""
        return "confirmation" if self.repetition else "trial"


@dataclass(frozen=True)
class TrialResult:
    """What became of one trial: its curves as far as they are finite, the scores of its checkpoint, and its costs.

    ``val_correct`` and ``test_correct`` are the rows that the checkpoint classifies right, packed eight to a byte and
    written in base64; ``n_val`` and ``n_test`` count the rows. ``ended`` is in seconds since 1970, ``seconds`` the
    trial's share of its group's training time. ``pruned`` trials were stopped early; ``rungs`` are what their pruner
    noted about them.
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


@dataclass(frozen=True)
class FinishedTrial:
    """A planned trial, its result, and what its curves say; how it is recorded, the same words in every store.

    ``blas`` is the library that it was trained on, which is recorded with its study and not with the trial.
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
        """The measurements, by metric key, that no store can keep: infinite, or NaN though the trial has such a number.

        The losses of a diverged trial are not named; that it diverged says it.
        """
        r = self.result
        never_nan = {INITIAL_LOSS, *(() if r.diverged else LOSSES)}
        scores = {key for key, x in r.scores.items() if math.isinf(x) or (key in never_nan and math.isnan(x))}
        curves = {key for key, xs in r.curves.items() if not np.isfinite(np.asarray(xs, float)).all()}
        return " ".join(sorted(scores | curves))

    @property
    def identity(self) -> dict[str, Plain]:
        """What the trial is within its study, whose name is added where it is recorded."""
        plan = self.plan
        again: dict[str, Plain] = {"repetition": plan.repetition} if plan.repetition else {}
        return {
            "arm": plan.arm,
            "block": plan.block,
            "trial": plan.number,
            "sampler": plan.sampler,
            "seed": plan.hparams.seed,
            **again,
        }

    @property
    def diagnosis(self) -> dict[str, Plain]:
        """How it is, in a word, and what its curves show, in sentences."""
        return {"health": health(self.findings), "diagnosis": " ".join(f"{f.sentence}." for f in self.findings)}

    @property
    def attributes(self) -> dict[str, Plain]:
        """All of it but the point and the curves, as plain values."""
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
        }


def results(history: History, ended: float) -> list[TrialResult]:
    """The trials of a history, one by one, as plain values that any process or store can hold."""
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
    )


def _ratios(history: History, k: int, epochs: int) -> dict[str, list[float]]:
    """``update_ratio/layer1`` and so on by epoch: the one statistic that is worth a curve."""
    ratios = history.layers["update_ratio"][k, :epochs]
    return {
        f"{UPDATE_RATIO}{i}": ratio.tolist() for i, ratio in enumerate(ratios.T, start=1) if np.isfinite(ratio).any()
    }


def _measured(history: History, k: int, epochs: int) -> dict[str, float]:
    """The other statistics as single numbers: of the last epoch, and of the layer that is worst off; NaN if there is none."""
    last = {key: values[k, epochs - 1] if epochs else np.full(1, np.nan) for key, values in history.layers.items()}
    norms = {f"gradient_norm/layer{i}": float(norm) for i, norm in enumerate(last["gradient_norm"], start=1)}
    worst = {key: float(np.nanmax(last[key], initial=-1)) for key in ("dead", "saturated")}
    units = {f"{key}_units": share if share >= 0 else math.nan for key, share in worst.items()}
    first = {INITIAL_LOSS: float(history.first_loss[k]), BATCH_MODE_ACCURACY: float(history.batch_accuracy[k])}
    return first | units | norms


def pack_bits(correct: np.ndarray) -> str:
    """Booleans (N,), eight to a byte, in base64."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()
