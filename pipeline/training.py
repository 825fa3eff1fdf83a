"""Training takes a group of trials through the same minibatches in lockstep, and returns their curves.

A trial's numbers never depend on its company: trained alone, among 31 others or on another worker, they are the same
bits (with one BLAS thread). A trial that diverges leaves its group at the end of the epoch; the rest go on undisturbed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any

import numpy as np

from pipeline.data import Dataset, Split
from pipeline.hparams import HyperParams, TrainConfig
from pipeline.nn.layers import Array, Workspace
from pipeline.nn.losses import softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, Network, Parameters, backward, forward, init_network
from pipeline.nn.optimizers import SGD

CURVES = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")
EVALUATION_ROWS = 256
Minibatch = tuple[Array, Array, Array]


@dataclass(frozen=True)
class History:
    """What became of K trials.

    ``curves[key]`` is (K, epochs): the data loss and accuracy of each epoch, of training as the running mean over its
    minibatches, NaN from the epoch in which the trial diverged. ``scores[key]`` is (K,): those of the checkpoint, which
    is the first epoch of the best validation accuracy. ``val_correct`` and ``test_correct`` (K, N) say which rows the
    checkpoint classifies right. ``epochs`` (K,) counts the finite epochs; ``seconds`` (K,) is each trial's share of the time.
    A diverged trial scores as a guess does, 1/C; its losses are NaN.
    """

    curves: dict[str, Array]
    scores: dict[str, Array]
    val_correct: Array
    test_correct: Array
    diverged: Array
    epochs: Array
    seconds: Array

    def __len__(self) -> int:
        return len(self.epochs)


def train(trials: Sequence[HyperParams], data: Dataset, config: TrainConfig, *, order_seed: int = 0) -> History:
    """Train trials of any structures, in lockstep those that share one; K = 1 is a group like any other.

    ``order_seed`` decides the order of the minibatches, the same for all trials. Raises ``ValueError`` for a batch
    larger than the training split.
    """
    if config.batch_size > len(data.train):
        raise ValueError(f"batch_size: got {config.batch_size}; the training split has {len(data.train)} rows")
    ranked = sorted(range(len(trials)), key=lambda k: repr(trials[k].structure))
    groups = [list(members) for _, members in groupby(ranked, key=lambda k: trials[k].structure)]
    histories = [train_group([trials[k] for k in members], data, config, order_seed) for members in groups]
    return _in_order(histories, [k for members in groups for k in members])


def train_group(trials: Sequence[HyperParams], data: Dataset, config: TrainConfig, order_seed: int) -> History:
    """Train K trials of one structure: this loop is the algorithm."""
    start = time.perf_counter()
    group = _Group.of(trials, data, config)
    record = _Record(group.network, data, config.epochs)
    with np.errstate(all="ignore"):  # a diverging trial overflows; it is told by its losses, not by warnings
        for epoch, minibatches in enumerate(
            minibatches_by_epoch(data.train, data.classes, config, order_seed), start=1
        ):
            train_loss, train_accuracy = group.fit(minibatches)
            val_loss, val_correct = evaluate(group.network, data.val)
            finite = np.isfinite(train_loss) & np.isfinite(val_loss)
            record.epoch(
                epoch,
                group.network,
                finite,
                (train_loss, val_loss, train_accuracy, val_correct.mean(axis=1)),
                val_correct,
            )
            if not finite.any():
                break
            if not finite.all():
                group = group.select(finite)
        history = record.history()
    return replace(history, seconds=np.full(len(trials), (time.perf_counter() - start) / len(trials)))


def evaluate(network: Network, rows: Split) -> tuple[Array, Array]:
    """The mean data loss (K,) and the rows classified right (K, N), in test mode."""
    trials, dtype = network.params.values.shape[0], network.params.values.dtype.name
    losses, correct = np.empty((trials, len(rows)), dtype), np.empty((trials, len(rows)), bool)
    spaces: dict[int, Workspace] = {}
    for start in range(0, len(rows), EVALUATION_ROWS):
        part = slice(start, start + EVALUATION_ROWS)
        labels = rows.labels[part]
        space = spaces.setdefault(len(labels), Workspace(trials, len(labels), dtype))
        logits = forward(network, rows.inputs[part], space, training=False)[-1]
        losses[:, part], correct[:, part], _ = softmax_cross_entropy(logits, labels)
    return losses.mean(axis=1), correct


@dataclass
class _Group:
    """K trials in training: the networks, their gradients, the optimizer, and a workspace for each minibatch size."""

    network: Network
    grads: Parameters
    optimizer: SGD
    spaces: dict[int, Workspace]

    @classmethod
    def of(cls, trials: Sequence[HyperParams], data: Dataset, config: TrainConfig) -> _Group:
        one = trials[0]
        architecture = Architecture((data.features, *one.hidden, data.classes), one.activation, one.batch_norm)
        network = init_network(architecture, [t.init for t in trials], [t.seed for t in trials], config.dtype)
        numbers = (np.array([getattr(t, name) for t in trials]) for name in ("learning_rate", "l2", "momentum"))
        grads = network.params.with_values(np.zeros_like(network.params.values))
        return cls(network, grads, SGD(network.params, *numbers), {})

    def select(self, members: Array) -> _Group:
        return _Group(self.network.select(members), self.grads.select(members), self.optimizer.select(members), {})

    def fit(self, minibatches: Sequence[Minibatch]) -> tuple[Array, Array]:
        """One epoch of updates; the mean training loss and accuracy (K,) over its minibatches."""
        rows, loss, correct = 0, np.zeros(len(self.grads.values)), np.zeros(len(self.grads.values))
        for inputs, labels, one_hot in minibatches:
            losses, right = self.step(inputs, labels, one_hot)
            loss += losses.sum(axis=1)
            correct += right.sum(axis=1)
            rows += len(labels)
        return loss / rows, correct / rows

    def step(self, inputs: Array, labels: Array, one_hot: Array) -> tuple[Array, Array]:
        """One update; the losses (K, B) and the rows classified right (K, B) before it."""
        space = self._space(len(labels))
        signals = forward(self.network, inputs, space, training=True)
        losses, right, probabilities = softmax_cross_entropy(signals[-1], labels)
        upstream = softmax_cross_entropy_gradient(probabilities, one_hot)
        backward(self.network, self.grads, signals, upstream, space)
        self.optimizer.update(self.network.params, self.grads)
        return losses, right

    def _space(self, rows: int) -> Workspace:
        if rows not in self.spaces:
            self.spaces[rows] = Workspace(len(self.grads.values), rows, self.grads.values.dtype.name)
        return self.spaces[rows]


class _Record:
    """The curves of K trials so far, and a checkpoint of each at its best epoch."""

    def __init__(self, network: Network, data: Dataset, epochs: int) -> None:
        trials = len(network.params.values)
        self.data, self.checkpoint = data, network.select(np.arange(trials))
        self.alive = np.arange(trials)
        self.curves = {key: np.full((trials, epochs), np.nan) for key in CURVES}
        self.val_correct = np.zeros((trials, len(data.val)), bool)
        self.best_epoch = np.zeros(trials, int)
        self.best = np.full(trials, -np.inf)

    def epoch(self, epoch: int, network: Network, finite: Array, values: Sequence[Array], val_correct: Array) -> None:
        """Take down what the trials still in training did in an epoch, from 1; those not ``finite`` leave."""
        for key, value in zip(CURVES, values, strict=True):
            self.curves[key][self.alive[finite], epoch - 1] = value[finite]
        better = finite & (values[-1] > self.best[self.alive])
        members = self.alive[better]
        self.best[members], self.best_epoch[members] = values[-1][better], epoch
        self.val_correct[members] = val_correct[better]
        self.checkpoint.params.values[members] = network.params.values[better]
        self.checkpoint.stats.values[members] = network.stats.values[better]
        self.alive = self.alive[finite]

    def history(self) -> History:
        """Score every checkpoint on the test split, once; a diverged trial as a guess."""
        trials = len(self.best)
        diverged = ~np.isin(np.arange(trials), self.alive)
        test_loss, test_correct = evaluate(self.checkpoint, self.data.test)
        scores = {key: self.curves[key][np.arange(trials), self.best_epoch - 1] for key in CURVES}
        scores["best/val_accuracy"] = scores.pop("val/accuracy")
        scores |= {"test/accuracy": test_correct.mean(axis=1), "test/loss": test_loss.astype(float)}
        for key, value in scores.items():
            value[diverged] = np.nan if key.endswith("loss") else self.data.chance
        scores["gap"] = scores["train/accuracy"] - scores["best/val_accuracy"]
        scores["best/epoch"] = np.where(diverged, 0, self.best_epoch)
        finite_epochs = np.isfinite(self.curves["val/loss"]).sum(axis=1)
        return History(self.curves, scores, self.val_correct, test_correct, diverged, finite_epochs, np.zeros(trials))


def minibatches_by_epoch(rows: Split, classes: int, config: TrainConfig, order_seed: int) -> Iterator[list[Minibatch]]:
    """Each epoch's minibatches in a fresh order: inputs (B, D), labels (B,), one-hot labels (B, C); the last may be short.

    The rows are gathered once an epoch; a minibatch is a slice of them.
    """
    rng = np.random.default_rng(order_seed)
    one_hot = np.eye(classes, dtype=rows.inputs.dtype)
    for _ in range(config.epochs):
        order = rng.permutation(len(rows))
        inputs, labels = rows.inputs[order], rows.labels[order]
        whole = (inputs, labels, one_hot[labels])
        parts = [slice(start, start + config.batch_size) for start in range(0, len(rows), config.batch_size)]
        yield [(whole[0][part], whole[1][part], whole[2][part]) for part in parts]


def _in_order(histories: Sequence[History], order: Sequence[int]) -> History:
    """One history of the groups' trials, each back in its place."""
    place = np.argsort(order)

    def join(arrays: Sequence[Array]) -> Array:
        joined: Array = np.concatenate(arrays)[place]
        return joined

    def merge(name: str) -> Any:
        values = [getattr(history, name) for history in histories]
        return (
            {key: join([v[key] for v in values]) for key in values[0]} if isinstance(values[0], dict) else join(values)
        )

    return History(**{field.name: merge(field.name) for field in fields(History)})
