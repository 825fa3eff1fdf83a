"""The training loop: groups of trials go through the same minibatches in lockstep, and their curves are returned.

A trial's numbers never depend on the trials it is trained with. Alone, with 31 others or on another worker, it gets the
same bits, given one BLAS kernel and one BLAS thread; the loop limits the threads. A trial that diverges, or that a
watch stops, leaves its group at the end of the epoch, and the others continue.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from pipeline.data import Dataset
from pipeline.data.augmentation import augmentation
from pipeline.errors import UserError
from pipeline.nn.layers import BatchNorm
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.blas import one_thread
from pipeline.training.history import AfterEpoch, History, TrainingRecord, Watch, never_stop, split_by_tile
from pipeline.training.inputs import check_data
from pipeline.training.lockstep import (
    Evaluation,
    Tile,
    concatenated,
    evaluate,
    evaluate_in_batches,
    make_tiles,
    prepare,
    train_epoch,
)
from pipeline.training.minibatches import Feed, weighted

FIRST_ROWS = 2048
"""The greatest number of rows for the loss before the first step: a hundredth of a slow trial's time is enough for it."""


def train(
    trials: Sequence[HyperParams],
    data: Dataset,
    config: TrainConfig,
    *,
    order_seed: int = 0,
    watch: Watch = never_stop,
) -> History:
    """Train trials of any structures; those of one structure train in lockstep.

    Parameters
    ----------
    trials
        The hyperparameters of K trials; K may be 1.
    data
        The splits of one block.
    config
        What all trials have in common.
    order_seed
        The seed of the order of the minibatches, which all trials share.
    watch
        Called after each epoch; it may stop trials early.

    Returns
    -------
    The curves and scores of the trials, in their order.

    Raises
    ------
    UserError
        For no trials, for data that cannot be trained on, and for a batch larger than the training split.

    """
    if not trials:
        raise UserError("trials: got none; expected at least one")
    for trial in {trial.batch_size: trial for trial in trials}.values():
        check_data(data, trial.configured(config))
    ranked = sorted(range(len(trials)), key=lambda k: repr(trials[k].structure))
    groups = [list(members) for _, members in groupby(ranked, key=lambda k: trials[k].structure)]
    histories = []
    for members in groups:
        start = time.perf_counter()
        record = train_group([trials[k] for k in members], data, config, order_seed, _watch_of(members, watch))
        histories.append(score_checkpoints(record, data, start))
    return History.join(histories, [k for members in groups for k in members])


def _watch_of(members: Sequence[int], watch: Watch) -> Watch:
    """Return the watch of a group from that of all trials; ``members`` are the group's places among them."""
    places = np.asarray(members)
    return lambda within, epoch, values: watch(places[within], epoch, values)


def train_group(
    trials: Sequence[HyperParams], data: Dataset, config: TrainConfig, order_seed: int, watch: Watch = never_stop
) -> TrainingRecord:
    """Train K trials of one structure, and return their curves and networks; the parameters are those of :func:`train`."""
    config = trials[0].configured(config)
    tiles = make_tiles(trials, data.features, data.classes, config, data.shape)
    return run_epochs(tiles, data, config, np.random.default_rng(order_seed), watch=watch)


def score_checkpoints(record: TrainingRecord, data: Dataset, start: float) -> History:
    """Score the checkpoints of a record on the test split.

    ``start`` is when training started, by the performance counter, in seconds.
    """
    network = record.checkpoint
    has_batch_norm = any(isinstance(layer, BatchNorm) for layer in network.layers)
    # A diverging trial overflows. Its losses show that; NumPy's warnings would not name it.
    with one_thread(), np.errstate(all="ignore"):
        test = evaluate(network, data.test, None, record.metric)
        in_batches = evaluate_in_batches(network, data.val) if has_batch_norm else np.full(len(network), np.nan)
        return record.history(test, in_batches, seconds=time.perf_counter() - start)


def run_epochs(
    tiles: Sequence[Tile],
    data: Dataset,
    config: TrainConfig,
    rng: np.random.Generator,
    *,
    watch: Watch = never_stop,
    epochs: range | None = None,
    after: AfterEpoch | None = None,
) -> TrainingRecord:
    """Train K networks of one structure for some epochs. This loop is the algorithm.

    If there are no validation rows, the training scores take the place of the validation scores.

    Parameters
    ----------
    tiles
        The K networks, which are changed in place.
    data
        The splits of one block.
    config
        What all trials have in common.
    rng
        Draws the order of the rows of each epoch, and their augmentation.
    watch
        Called after each epoch; it may stop trials early.
    epochs
        The epochs to train, counted from 1; all by default.
    after
        Called after each epoch with the whole record; it may end the training of all trials.

    """
    epochs = epochs or range(1, config.epochs + 1)
    # With more threads, the bits could depend on the machine's load.
    with one_thread(), np.errstate(all="ignore"):
        first_rows = prepare(data.train.take(slice(FIRST_ROWS)), tiles[0].network)
        first_loss = np.concatenate([evaluate(tile.network, first_rows)[0] for tile in tiles])
        record = TrainingRecord(tiles, data, epochs[-1], first_loss, watch, config.objective)
        val = prepare(data.val, tiles[0].network)
        train = weighted(data.train, tiles[0].trials[0].class_weight, data.classes)
        feed = Feed(train, data.classes, config, augmentation(config, data.shape, rng))
        for epoch in epochs:
            for tile in tiles:
                tile.begin_epoch(epoch - 1, max(config.epochs, epochs[-1]))
            order = rng.permutation(len(data.train))
            sums = train_epoch(tiles, feed.lists(order))
            train_loss, train_accuracy = (total / len(order) for total in sums)
            no_rows = np.zeros((len(train_loss), 0), bool)
            scored = Evaluation(train_loss, no_rows, train_accuracy, no_rows)
            if len(data.val):
                measure = epoch == epochs[-1]
                scored = Evaluation(*concatenated([tile.score(val, record.metric, measure=measure) for tile in tiles]))
            stay = record.add(epoch, tiles, (train_loss, train_accuracy), scored)
            if not stay.any() or (after and not after(record, epoch)):
                break
            tiles = [
                tile.select(part) for tile, part in zip(tiles, split_by_tile(stay, tiles), strict=True) if part.any()
            ]
    return record
