"""What a group of planned trials is handed to: the network's lockstep training, or a study's own model."""

from __future__ import annotations

import importlib.util
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.data import Dataset
from pipeline.study.hparams import TrainConfig
from pipeline.study.metrics import ACCURACY, find_metric, score_rows
from pipeline.training import train
from pipeline.training.metrics import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    GAP,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_ACCURACY,
    VAL_LOSS,
)
from pipeline.trials.model_process import ModelProcess
from pipeline.trials.own_models import ModelData, Outcome
from pipeline.trials.predictions import accuracy, classes_of, log_loss
from pipeline.trials.row_scores import pack_bits, pack_scores
from pipeline.trials.trial import Failure, PlannedTrial, TrialResult, results


class PruningWatch(Protocol):
    """Watches the trials of a task in training, and stops some early: :class:`pipeline.search.pruners.PruningWatch`.

    ``pruned`` holds True for each trial that was stopped, by its place in the task.
    """

    pruned: list[bool]

    def __call__(self, members: np.ndarray, epoch: int, values: np.ndarray) -> np.ndarray:
        """Return a mask (n,) of the members (n,) that continue after an epoch, given their validation values (n,)."""

    def rungs(self, place: int) -> Mapping[str, Any]:
        """Return what the pruner has stored about a trial."""


class Trainer(Protocol):
    """Trains a group of planned trials of one block. Nothing above knows which trainer a study has."""

    def train(
        self,
        trials: Sequence[PlannedTrial],
        data: Dataset,
        config: TrainConfig,
        order_seed: int,
        watch: PruningWatch | None = None,
    ) -> list[TrialResult]:
        """Return the result of each trial, in order; ``watch`` decides which of them are pruned."""


class Lockstep:
    """Trains networks of one structure in lockstep."""

    def train(
        self,
        trials: Sequence[PlannedTrial],
        data: Dataset,
        config: TrainConfig,
        order_seed: int,
        watch: PruningWatch | None = None,
    ) -> list[TrialResult]:
        """Train the group as one set of arrays."""
        watched = {"watch": watch} if watch else {}
        history = train([trial.hparams for trial in trials], data, config, order_seed=order_seed, **watched)
        return results(history, time.time())


@dataclass(frozen=True)
class OwnModel:
    """Fits an estimator or calls a function, one trial after the other, in a child process of the worker.

    Parameters
    ----------
    path
        The import path, as in ``sklearn.svm:SVC``.
    folders
        Where its module is, if the search has found it outside of the installed packages.
    timeout
        The most seconds of a trial; 0 for any number.
    """

    path: str
    folders: tuple[str, ...] = ()
    timeout: float = 0.0

    @classmethod
    def of(cls, path: str, timeout: float) -> OwnModel:
        """Return the trainer of a model that this process can import, with the folder of its module."""
        found = importlib.util.find_spec(path.partition(":")[0].partition(".")[0])
        origin = Path(found.origin).absolute() if found and found.origin else None
        if origin is None or "site-packages" in origin.parts:
            return cls(path, (), timeout)
        folder = origin.parents[1] if origin.name == "__init__.py" else origin.parent
        return cls(path, (str(folder),), timeout)

    def train(
        self,
        trials: Sequence[PlannedTrial],
        data: Dataset,
        config: TrainConfig,
        order_seed: int,
        watch: PruningWatch | None = None,
    ) -> list[TrialResult]:
        """Fit one trial after the other. A trial that raises, hangs or is killed has a guess's scores."""

        def result(place: int, trial: PlannedTrial) -> TrialResult:
            def stop(epoch: int, value: float) -> bool:
                return not watch([place], epoch, [value])[0]  # type: ignore[misc, arg-type]

            start = time.perf_counter()
            answer = self.fit(trial, data, config, order_seed, stop if watch else None)
            seconds = time.perf_counter() - start
            if isinstance(answer, Failure):
                return failed(answer, data, config, seconds)
            return scored(answer, data, config, seconds)

        return [result(place, trial) for place, trial in enumerate(trials)]

    def fit(
        self,
        trial: PlannedTrial,
        data: Dataset,
        config: TrainConfig,
        order_seed: int,
        stop: Callable[[int, float], bool] | None = None,
        *,
        save: bool = False,
    ) -> Outcome | Failure:
        """Fit one trial in the child process; with ``save``, the outcome has the estimator."""
        return _process(self.folders).fit(
            self.path,
            trial.hparams.values,
            trial.hparams.seed,
            (config, order_seed, _checksum(data)),
            lambda: model_data(data, config),
            self.timeout,
            stop,
            find_metric(config.metric).val,
            save=save,
        )


_local = threading.local()


def _process(folders: tuple[str, ...]) -> ModelProcess:
    """Return this thread's child process, which later tasks use again."""
    processes: dict[tuple[str, ...], ModelProcess] = _local.__dict__.setdefault("processes", {})
    if folders not in processes:
        processes[folders] = ModelProcess(folders)
    return processes[folders]


def model_data(data: Dataset, config: TrainConfig) -> ModelData:
    """Return the rows of a block as a model gets them, without the labels of the test rows."""
    train, val, test = data.train, data.val, data.test.inputs
    return ModelData(train.inputs, train.labels, val.inputs, val.labels, test, data.classes, config.epochs, data.shape)


def _checksum(data: Dataset) -> int:
    """Return a number that tells the rows of two data sets apart: of all labels, and of some inputs."""
    few = np.ascontiguousarray(data.train.inputs[:64])
    return zlib.crc32(few.data, zlib.crc32(np.concatenate([data.train.labels, data.val.labels]).data))


def scored(outcome: Outcome, data: Dataset, config: TrainConfig, seconds: float) -> TrialResult:
    """Return the result of a trial by its predictions.

    A trial that is not pruned counts as trained for at least the epochs of the study, whether or not it has curves.
    """
    val, test, metric = data.val.labels, data.test.labels, find_metric(config.metric)
    scores = {
        BEST_VAL_ACCURACY: accuracy(outcome.val, val),
        TEST_ACCURACY: accuracy(outcome.test, test),
        BEST_EPOCH: float(outcome.epochs),
    }
    of_metric: dict[str, str] = {}
    if metric is not ACCURACY:
        for rows, key, labels, outputs in (
            ("val", metric.best_val, val, outcome.val),
            ("test", metric.test, test, outcome.test),
        ):
            (value,), (of_rows,) = score_rows(metric, labels, outputs[None])
            scores[key], of_metric[f"{rows}_scores"] = float(value), pack_scores(of_rows)
    if outcome.val.ndim == outcome.test.ndim == 2:
        scores |= {VAL_LOSS: log_loss(outcome.val, val), TEST_LOSS: log_loss(outcome.test, test)}
    if train_accuracy := outcome.curves.get(TRAIN_ACCURACY):
        scores |= {TRAIN_ACCURACY: train_accuracy[-1], GAP: train_accuracy[-1] - scores[BEST_VAL_ACCURACY]}
    whole = max(outcome.epochs, config.epochs)
    return TrialResult(
        curves=outcome.curves,
        scores=scores,
        diverged=False,
        epochs=min(outcome.epochs, config.epochs - 1) if outcome.stopped else whole,
        seconds=seconds,
        ended=time.time(),
        n_val=len(val),
        n_test=len(test),
        val_correct=pack_bits(classes_of(outcome.val) == val),
        test_correct=pack_bits(classes_of(outcome.test) == test),
        val_scores=of_metric.get("val_scores"),
        test_scores=of_metric.get("test_scores"),
    )


def failed(failure: Failure, data: Dataset, config: TrainConfig, seconds: float) -> TrialResult:
    """Return the result of a trial that has none: the scores of a guess, and the failure."""
    metric = find_metric(config.metric)
    guesses = dict.fromkeys((metric.best_val, metric.test), metric.guess(data.classes))
    unknown = None if metric is ACCURACY else ""
    return TrialResult(
        curves={},
        scores={BEST_VAL_ACCURACY: data.chance, TEST_ACCURACY: data.chance, **guesses, BEST_EPOCH: 0.0},
        diverged=True,
        epochs=0,
        seconds=seconds,
        ended=time.time(),
        n_val=len(data.val),
        n_test=len(data.test),
        val_correct="",
        test_correct="",
        failure=failure,
        val_scores=unknown,
        test_scores=unknown,
    )


def with_pruning(trained: Sequence[TrialResult], watch: PruningWatch) -> list[TrialResult]:
    """Return the results with what the pruner says of each trial."""
    return [replace(result, pruned=watch.pruned[k], rungs=watch.rungs(k)) for k, result in enumerate(trained)]
