"""Results that a training history lacks: the network itself, losses of minibatches, and the health of trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.data import Dataset
from pipeline.diagnosis.diagnose import diagnose, health
from pipeline.nn.layers import Array
from pipeline.nn.network import Network
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import History
from pipeline.training.lockstep import make_tiles
from pipeline.training.minibatches import Feed
from pipeline.trials.task import facts_of
from pipeline.trials.trial import results


def fit_network(trial: HyperParams, data: Dataset, config: TrainConfig, order_seed: int = 0) -> Network:
    """The network of a trial after all of its epochs, trained as the pipeline trains."""
    with np.errstate(all="ignore"):
        *_, (network, _) = _epochs(trial, data, config, order_seed)
    return network


def minibatch_losses(trial: HyperParams, data: Dataset, config: TrainConfig) -> Array:
    """The mean loss (steps,) of each full minibatch of the last epoch, before its step."""
    *_, (_, losses) = _epochs(trial, data, config, order_seed=0)
    full = len(losses) // config.batch_size
    means: Array = losses[: full * config.batch_size].reshape(full, -1).mean(axis=1)
    return means


def _epochs(trial: HyperParams, data: Dataset, config: TrainConfig, order_seed: int) -> Iterator[tuple[Network, Array]]:
    """Train one network; after each epoch yield it, with the losses (N,) of the training rows in their random order."""
    (tile,) = make_tiles([trial], data.features, data.classes, config)
    rng, feed = np.random.default_rng(order_seed), Feed(data.train, data.classes, config)
    for epoch in range(config.epochs):
        tile.begin_epoch(epoch, config.epochs)
        order = rng.permutation(len(data.train))
        yield tile.network, np.concatenate([tile.take_steps(batches)[0] for batches in feed.lists(order)], axis=1)[0]


def first_layer(network: Network, shape: tuple[int, ...], units: int = 12) -> Array:
    """The weights of the first hidden units as images (H, *shape)."""
    return np.asarray(network.params.weights[0][0].T[:units].reshape(-1, *shape), float)


def healths(trials: Sequence[HyperParams], history: History, data: Dataset, config: TrainConfig) -> list[str]:
    """The health of each trial, as a search records it."""
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    pairs = zip(trials, results(history, 0.0), strict=True)
    return [health(diagnose(result.curves, facts_of(trial, result, config, sizes))) for trial, result in pairs]
