"""The results of training: curves, scores and checkpoints, as a record during training and as a history after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pipeline.data import Dataset
from pipeline.nn.layers import Array
from pipeline.nn.network import Network
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.training.lockstep import Evaluation, Tile
from pipeline.training.metrics import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    CURVES,
    GAP,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
)

Watch = Callable[[Array, int, Array], Array]
"""Called after each epoch except the last with the places of the trials (n,), the epoch, counted from 1, and their
validation values of the metric (n,). Returns a mask (n,) of the trials that continue."""


AfterEpoch = Callable[["TrainingRecord", int], bool]
"""Called after every epoch with the record so far and the epoch, counted from 1. Training ends if it returns False."""


def never_stop(members: Array, *_: Any) -> Array:
    """A watch that stops no trial."""
    return np.ones(len(members), bool)


@dataclass(frozen=True)
class History:
    """The results of K trials. A diverged trial has the accuracy of a guess, 1/C, and its metric's; its losses are NaN.

    Attributes
    ----------
    curves
        By metric, (K, epochs): the data loss, the accuracy and the validation value of the metric of each epoch, NaN from
        the epoch in which the trial diverged. Those of training are running means over the minibatches; the loss has the
        weights of the rows.
    scores
        By metric, (K,): the scores of the checkpoint, which is the first epoch of the metric's best validation value.
    val_correct, test_correct
        Which rows the checkpoint classifies correctly, (K, N).
    val_scores, test_scores
        The metric's score of each row, whose mean is its value, (K, N).
    diverged
        Which trials diverged, (K,).
    epochs
        The number of finite epochs, (K,).
    seconds
        Each trial's share of the training time, (K,).
    layer_statistics
        By statistic, (K, epochs, L): |update|/|W| and |gradient| of each layer's weights in one step of the epoch; and,
        in the last epoch alone, the dead and saturated shares of each hidden layer's units over the validation rows
        (L - 1 of them). NaN where a trial has no such layer.
    first_loss
        The loss of some training rows before the first step, (K,).
    batch_accuracy
        The checkpoint's validation accuracy when batch norm uses the statistics of each batch, (K,); NaN without it.

    """

    curves: dict[str, Array]
    scores: dict[str, Array]
    val_correct: Array
    test_correct: Array
    val_scores: Array
    test_scores: Array
    diverged: Array
    epochs: Array
    seconds: Array
    layer_statistics: dict[str, Array]
    first_loss: Array
    batch_accuracy: Array

    def __len__(self) -> int:
        return len(self.epochs)

    @classmethod
    def join(cls, histories: Sequence[History], order: Sequence[int]) -> History:
        """Join histories; ``order`` has the place of each of their trials in the result."""
        place = np.argsort(order)

        def join(values: Sequence[Any]) -> Any:
            if isinstance(values[0], dict):
                return {key: join([value[key] for value in values]) for key in values[0]}
            return np.asarray(np.concatenate(_as_wide(values))[place])

        return cls(
            **{field.name: join([getattr(history, field.name) for history in histories]) for field in fields(cls)}
        )


def _as_wide(values: Sequence[Array]) -> list[Array]:
    """Pad arrays (K, epochs, L) with NaN to the greatest L; return arrays of fewer axes as they are."""
    if values[0].ndim < 3:
        return list(values)
    wide = max(value.shape[2] for value in values)
    return [np.pad(v, ((0, 0), (0, 0), (0, wide - v.shape[2])), constant_values=np.nan) for v in values]


class TrainingRecord:
    """The curves of K trials in training, and a checkpoint of each at its best epoch.

    ``alive`` has the places of the trials that are still in training.
    """

    def __init__(
        self,
        tiles: Sequence[Tile],
        data: Dataset,
        epochs: int,
        first_loss: Array,
        watch: Watch = never_stop,
        metric: Metric = ACCURACY,
    ) -> None:
        trials, first = sum(map(len, tiles)), tiles[0].network
        self.classes, self.epochs, self.watch, self.metric = data.classes, epochs, watch, metric
        self.checkpoint = Network(
            first.layers,
            first.params.with_values(np.concatenate([tile.network.params.values for tile in tiles])),
            first.stats.with_values(np.concatenate([tile.network.stats.values for tile in tiles])),
        )
        self.first_loss = first_loss
        self.alive = np.arange(trials)
        self.layer_statistics: dict[str, Array] = {}
        self.diverged = np.zeros(trials, bool)
        self.curves = {key: np.full((trials, epochs), np.nan) for key in dict.fromkeys((*CURVES, metric.val))}
        self.val_correct = np.zeros((trials, len(data.val)), bool)
        self.val_scores = self.val_correct if metric is ACCURACY else np.zeros((trials, len(data.val)))
        self.best_epoch = np.zeros(trials, int)
        self.best = np.full(trials, -np.inf)

    def add(self, epoch: int, tiles: Sequence[Tile], training: tuple[Array, Array], val: Evaluation) -> Array:
        """Record an epoch, from 1, of the n trials in training; return a mask (n,) of those that continue.

        ``training`` has the loss and the accuracy of the training rows, (n,) each, and ``val`` what the validation rows
        score. Without any, the training scores take their place. A trial continues if it is finite and the watch does not
        stop it.
        """
        finite: Array = np.isfinite(training[0]) & np.isfinite(val.loss)
        accuracy = val.correct.mean(axis=1) if val.correct.size else training[1]
        values = {TRAIN_LOSS: training[0], VAL_LOSS: val.loss, TRAIN_ACCURACY: training[1], VAL_ACCURACY: accuracy}
        for key, value in {**values, self.metric.val: val.values}.items():
            self.curves[key][self.alive[finite], epoch - 1] = value[finite]
        self._add_statistics(epoch, tiles, finite)
        better = finite & (val.values > self.best[self.alive])
        members = self.alive[better]
        self.best[members], self.best_epoch[members] = val.values[better], epoch
        self.val_correct[members], self.val_scores[members] = val.correct[better], val.row_scores[better]
        self._save_checkpoints(tiles, better)
        self.diverged[self.alive[~finite]] = True
        stay = finite.copy()
        if epoch < self.epochs and finite.any():
            stay[finite] = self.watch(self.alive[finite], epoch, val.values[finite])
        self.alive = self.alive[stay]
        return stay

    def _add_statistics(self, epoch: int, tiles: Sequence[Tile], finite: Array) -> None:
        for key in tiles[0].statistics:  # no statistics of hidden units without validation rows
            values = np.concatenate([tile.statistics[key] for tile in tiles])
            if key not in self.layer_statistics:
                self.layer_statistics[key] = np.full((len(self.best), self.epochs, values.shape[1]), np.nan)
            self.layer_statistics[key][self.alive[finite], epoch - 1] = values[finite]

    def _save_checkpoints(self, tiles: Sequence[Tile], better: Array) -> None:
        for tile, chosen, place in zip(
            tiles, split_by_tile(better, tiles), split_by_tile(self.alive, tiles), strict=True
        ):
            self.checkpoint.params.values[place[chosen]] = tile.network.params.values[chosen]
            self.checkpoint.stats.values[place[chosen]] = tile.network.stats.values[chosen]

    def history(self, test: Evaluation, batch_accuracy: Array, seconds: float) -> History:
        """Return the history of the trials, given what was measured of their checkpoints, as in :class:`History`.

        ``test`` is what the test rows score; ``seconds`` is the time that all trials took.
        """
        trials, metric = len(self.best), self.metric
        scores = {key: self.curves[key][np.arange(trials), self.best_epoch - 1] for key in CURVES}
        scores[BEST_VAL_ACCURACY] = scores.pop(VAL_ACCURACY)
        scores |= {TEST_ACCURACY: test.correct.mean(axis=1), TEST_LOSS: test.loss.astype(float)}
        scores |= {} if metric is ACCURACY else {metric.best_val: self.best.copy(), metric.test: test.values.copy()}
        guesses = dict.fromkeys((TRAIN_ACCURACY, BEST_VAL_ACCURACY, TEST_ACCURACY), ACCURACY.guess(self.classes))
        guesses |= dict.fromkeys((metric.best_val, metric.test), metric.guess(self.classes))
        for key, value in scores.items():
            value[self.diverged] = guesses.get(key, np.nan)
        scores[GAP] = scores[TRAIN_ACCURACY] - scores[BEST_VAL_ACCURACY]
        scores[BEST_EPOCH] = np.where(self.diverged, 0, self.best_epoch)
        epochs = np.isfinite(self.curves[VAL_LOSS]).sum(axis=1)
        shares = np.full(trials, seconds / trials)
        return History(
            self.curves,
            scores,
            self.val_correct,
            test.correct,
            self.val_scores,
            test.row_scores,
            self.diverged,
            epochs,
            shares,
            self.layer_statistics,
            self.first_loss,
            np.where(self.diverged, np.nan, batch_accuracy),
        )


def split_by_tile(values: Array, tiles: Sequence[Tile]) -> list[Array]:
    """Split values (K, ...) of a group into those of its tiles."""
    return np.split(values, np.cumsum([len(tile) for tile in tiles])[:-1])
