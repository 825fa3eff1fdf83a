"""Training takes a group of trials through the same minibatches in lockstep, and returns their curves.

A trial's numbers never depend on its company: trained alone, among 31 others or on another worker, they are the same
bits, on one BLAS kernel and one thread; it sees to the thread. A trial that diverges, or that a watch stops, leaves its group at the end of the epoch; the
rest go on undisturbed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.data import Dataset, Split
from pipeline.data.augmentation import augmentation
from pipeline.errors import UserError
from pipeline.nn.layers import BatchNorm
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.history import CURVES, History, TrainingRecord, Watch, all_go_on, split
from pipeline.training.inputs import check_data
from pipeline.training.lockstep import Tile, evaluate, evaluate_in_batches, fit, make_tiles, prepare, together
from pipeline.training.memory import trials_per_group
from pipeline.training.minibatches import Feed

FIRST_ROWS = 2048
"""Rows that the loss before the first step is taken over, at most: of a slow trial a hundredth decides what it is called."""

__all__ = [
    "CURVES",
    "History",
    "TrainingRecord",
    "Watch",
    "_train_group",
    "all_go_on",
    "evaluate",
    "run_epochs",
    "score_checkpoints",
    "train",
    "train_group",
    "trials_per_group",
]


def train(
    trials: Sequence[HyperParams],
    data: Dataset,
    config: TrainConfig,
    *,
    order_seed: int = 0,
    watch: Watch = all_go_on,
) -> History:
    """Train trials of any structures, in lockstep those that share one; K = 1 is a group like any other.

    ``order_seed`` decides the order of the minibatches, the same for all trials; ``watch`` may stop some early. Raises
    ``ValueError`` for no trials, for data that cannot be trained on, and for a batch larger than the training split.
    """
    if not trials:
        raise UserError("trials: got none; expected at least one")
    check_data(data, config)
    ranked = sorted(range(len(trials)), key=lambda k: repr(trials[k].structure))
    groups = [list(members) for _, members in groupby(ranked, key=lambda k: trials[k].structure)]
    histories = [
        _train_group([trials[k] for k in members], data, config, order_seed, _placed(watch, members))
        for members in groups
    ]
    return History.join(histories, [k for members in groups for k in members])


def _placed(watch: Watch, members: Sequence[int]) -> Watch:
    """The watch over all trials as one over these members of theirs."""
    places = np.asarray(members)
    return lambda within, epoch, accuracy: watch(places[within], epoch, accuracy)


def _train_group(
    trials: Sequence[HyperParams], data: Dataset, config: TrainConfig, order_seed: int, watch: Watch = all_go_on
) -> History:
    """Train K trials of one structure, and score the checkpoint of each."""
    start = time.perf_counter()
    record = train_group(trials, data, config, order_seed, watch)
    return score_checkpoints(record, data, start)


def train_group(
    trials: Sequence[HyperParams], data: Dataset, config: TrainConfig, order_seed: int, watch: Watch = all_go_on
) -> TrainingRecord:
    """Train K trials of one structure; their curves and networks."""
    tiles = make_tiles(trials, data.features, data.classes, config, data.shape)
    return run_epochs(tiles, data, config, np.random.default_rng(order_seed), watch=watch)


def score_checkpoints(record: TrainingRecord, data: Dataset, start: float) -> History:
    """The history of what was trained since ``start``, by the performance counter, with the scores of its checkpoints."""
    network = record.checkpoint
    normed = any(isinstance(layer, BatchNorm) for layer in network.layers)
    # A diverging trial overflows; it is told by its losses, not by warnings.
    with threadpool_limits(1), np.errstate(all="ignore"):
        test = evaluate(network, data.test)
        in_batches = evaluate_in_batches(network, data.val) if normed else np.full(len(network), np.nan)
        return record.history(*test, in_batches, seconds=time.perf_counter() - start)


def run_epochs(
    tiles: Sequence[Tile],
    data: Dataset,
    config: TrainConfig,
    rng: np.random.Generator,
    *,
    watch: Watch = all_go_on,
    epochs: range | None = None,
) -> TrainingRecord:
    """Take K networks of one structure through the epochs, all from 1 on or those given: this loop is the algorithm.

    Where the data have no validation rows, the scores of training stand in for theirs.
    """
    epochs = epochs or range(1, config.epochs + 1)
    # On more threads the bits could depend on the machine's load.
    with threadpool_limits(1), np.errstate(all="ignore"):
        first_rows = prepare(Split(data.train.inputs[:FIRST_ROWS], data.train.labels[:FIRST_ROWS]), tiles[0].network)
        first_loss = np.concatenate([evaluate(tile.network, first_rows)[0] for tile in tiles])
        record = TrainingRecord(tiles, data, epochs[-1], first_loss, watch)
        val = prepare(data.val, tiles[0].network)
        feed = Feed(data.train, data.classes, config, augmentation(config, data.shape, rng))
        for epoch in epochs:
            for tile in tiles:
                tile.begin_epoch(epoch - 1, max(config.epochs, epochs[-1]))
            order = rng.permutation(len(data.train))
            sums = fit(tiles, feed.lists(order))
            train_loss, train_accuracy = (total / len(order) for total in sums)
            val_loss, val_accuracy, val_correct = train_loss, train_accuracy, np.zeros((len(train_loss), 0), bool)
            if len(data.val):
                val_loss, val_correct = together([tile.score(val, measure=epoch == epochs[-1]) for tile in tiles])
                val_accuracy = val_correct.mean(axis=1)
            stay = record.add(epoch, tiles, (train_loss, val_loss, train_accuracy, val_accuracy), val_correct)
            if not stay.any():
                break
            tiles = [tile.select(part) for tile, part in zip(tiles, split(stay, tiles), strict=True) if part.any()]
    return record
