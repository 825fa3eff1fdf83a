"""A history is what became of trials: their curves, and the scores of each at its best epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pipeline.data import Dataset
from pipeline.nn.layers import Array
from pipeline.nn.network import Network
from pipeline.training.lockstep import Tile

CURVES = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")

Watch = Callable[[Array, int, Array], Array]
"""Called after each epoch but the last with trials (n,), by their places, the epoch, from 1, and their validation
accuracies (n,); says which of them (n,) go on."""


def all_go_on(members: Array, *_: Any) -> Array:
    """The watch that stops nobody."""
    return np.ones(len(members), bool)


@dataclass(frozen=True)
class History:
    """What became of K trials.

    ``curves[key]`` is (K, epochs): the data loss and accuracy of each epoch, of training as the running mean over its
    minibatches, NaN from the epoch in which the trial diverged. ``scores[key]`` is (K,): those of the checkpoint, which
    is the first epoch of the best validation accuracy. ``val_correct`` and ``test_correct`` (K, N) say which rows the
    checkpoint classifies right. ``layers[key]`` is (K, epochs, L): of one step of the epoch, |update|/|W| and |gradient| of
    each layer's weights, and, in the last epoch alone, the dead and saturated shares of each hidden layer's units over
    the validation rows (L - 1 of them); NaN where a trial has no such layer. ``first_loss`` (K,) is over some training rows,
    before the first step; ``batch_accuracy`` (K,) the checkpoint's on the validation rows where batch norm goes by each batch's own statistics,
    NaN without batch norm. ``epochs`` (K,) counts the finite epochs; ``seconds`` (K,) is each trial's share of the time.
    A diverged trial scores as a guess does, 1/C; its losses are NaN.
    """

    curves: dict[str, Array]
    scores: dict[str, Array]
    val_correct: Array
    test_correct: Array
    diverged: Array
    epochs: Array
    seconds: Array
    layers: dict[str, Array]
    first_loss: Array
    batch_accuracy: Array

    def __len__(self) -> int:
        return len(self.epochs)

    @classmethod
    def join(cls, histories: Sequence[History], order: Sequence[int]) -> History:
        """One history of several, the trials in the places that ``order`` gives."""
        place = np.argsort(order)

        def join(values: Sequence[Any]) -> Any:
            if isinstance(values[0], dict):
                return {key: join([value[key] for value in values]) for key in values[0]}
            return np.asarray(np.concatenate(_as_wide(values))[place])

        return cls(
            **{field.name: join([getattr(history, field.name) for history in histories]) for field in fields(cls)}
        )


def _as_wide(values: Sequence[Array]) -> list[Array]:
    """Arrays (K, epochs, L) of networks of several depths, filled up with NaN to the greatest L; others as they are."""
    if values[0].ndim < 3:
        return list(values)
    wide = max(value.shape[2] for value in values)
    return [np.pad(v, ((0, 0), (0, 0), (0, wide - v.shape[2])), constant_values=np.nan) for v in values]


class TrainingRecord:
    """The curves of K trials so far, and a checkpoint of each at its best epoch."""

    def __init__(
        self, tiles: Sequence[Tile], data: Dataset, epochs: int, first_loss: Array, watch: Watch = all_go_on
    ) -> None:
        trials, one = sum(map(len, tiles)), tiles[0].network
        self.chance, self.epochs, self.watch = data.chance, epochs, watch
        self.checkpoint = Network(
            one.layers,
            one.params.with_values(np.concatenate([tile.network.params.values for tile in tiles])),
            one.stats.with_values(np.concatenate([tile.network.stats.values for tile in tiles])),
        )
        self.first_loss = first_loss
        self.alive = np.arange(trials)
        self.layers: dict[str, Array] = {}
        self.diverged = np.zeros(trials, bool)
        self.curves = {key: np.full((trials, epochs), np.nan) for key in CURVES}
        self.val_correct = np.zeros((trials, len(data.val)), bool)
        self.best_epoch = np.zeros(trials, int)
        self.best = np.full(trials, -np.inf)

    def add(self, epoch: int, tiles: Sequence[Tile], values: Sequence[Array], val_correct: Array) -> Array:
        """Take down what the trials still in training did in an epoch, from 1; which of them go on: finite, and wanted."""
        finite: Array = np.isfinite(values[0]) & np.isfinite(values[1])
        for key, value in zip(CURVES, values, strict=True):
            self.curves[key][self.alive[finite], epoch - 1] = value[finite]
        self._note_layers(epoch, tiles, finite)
        better = finite & (values[-1] > self.best[self.alive])
        members = self.alive[better]
        self.best[members], self.best_epoch[members] = values[-1][better], epoch
        self.val_correct[members] = val_correct[better]
        self._save(tiles, better)
        self.diverged[self.alive[~finite]] = True
        stay = finite.copy()
        if epoch < self.epochs and finite.any():
            stay[finite] = self.watch(self.alive[finite], epoch, values[-1][finite])
        self.alive = self.alive[stay]
        return stay

    def _note_layers(self, epoch: int, tiles: Sequence[Tile], finite: Array) -> None:
        for key in tiles[0].statistics:  # of hidden units there are none without validation rows
            values = np.concatenate([tile.statistics[key] for tile in tiles])
            if key not in self.layers:
                self.layers[key] = np.full((len(self.best), self.epochs, values.shape[1]), np.nan)
            self.layers[key][self.alive[finite], epoch - 1] = values[finite]

    def _save(self, tiles: Sequence[Tile], better: Array) -> None:
        for tile, chosen, place in zip(tiles, split(better, tiles), split(self.alive, tiles), strict=True):
            self.checkpoint.params.values[place[chosen]] = tile.network.params.values[chosen]
            self.checkpoint.stats.values[place[chosen]] = tile.network.stats.values[chosen]

    def history(self, test_loss: Array, test_correct: Array, batch_accuracy: Array, seconds: float) -> History:
        """The record with the test scores of the checkpoints; a diverged trial scores as a guess."""
        trials = len(self.best)
        scores = {key: self.curves[key][np.arange(trials), self.best_epoch - 1] for key in CURVES}
        scores["best/val_accuracy"] = scores.pop("val/accuracy")
        scores |= {"test/accuracy": test_correct.mean(axis=1), "test/loss": test_loss.astype(float)}
        for key, value in scores.items():
            value[self.diverged] = np.nan if key.endswith("loss") else self.chance
        scores["gap"] = scores["train/accuracy"] - scores["best/val_accuracy"]
        scores["best/epoch"] = np.where(self.diverged, 0, self.best_epoch)
        epochs = np.isfinite(self.curves["val/loss"]).sum(axis=1)
        shares = np.full(trials, seconds / trials)
        return History(
            self.curves,
            scores,
            self.val_correct,
            test_correct,
            self.diverged,
            epochs,
            shares,
            self.layers,
            self.first_loss,
            np.where(self.diverged, np.nan, batch_accuracy),
        )


def split(values: Array, tiles: Sequence[Tile]) -> list[Array]:
    """Cut values (K, ...) of a group into those of its tiles."""
    return np.split(values, np.cumsum([len(tile) for tile in tiles])[:-1])
