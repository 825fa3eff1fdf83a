"""One network, trained as the pipeline trains, and kept: for what a history does not hold."""

from __future__ import annotations

import numpy as np

from pipeline.data import Dataset
from pipeline.nn.layers import Array
from pipeline.nn.network import Network
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.lockstep import make_tiles
from pipeline.training.minibatches import Feed


def fit_network(trial: HyperParams, data: Dataset, config: TrainConfig, order_seed: int = 0) -> Network:
    """The network of a trial after all of its epochs."""
    (tile,) = make_tiles([trial], data.features, data.classes, config)
    rng, feed = np.random.default_rng(order_seed), Feed(data.train, data.classes, config)
    with np.errstate(all="ignore"):
        for epoch in range(config.epochs):
            tile.begin_epoch(epoch, config.epochs)
            order = rng.permutation(len(data.train))
            for batches in feed.lists(order):
                tile.take_steps(batches)
    return tile.network


def minibatch_losses(trial: HyperParams, data: Dataset, config: TrainConfig) -> Array:
    """The mean loss of each full minibatch of the last epoch, before its step, (steps,)."""
    (tile,) = make_tiles([trial], data.features, data.classes, config)
    rng, feed = np.random.default_rng(0), Feed(data.train, data.classes, config)
    for epoch in range(config.epochs):
        tile.begin_epoch(epoch, config.epochs)
        order = rng.permutation(len(data.train))
        losses = np.concatenate([tile.take_steps(batches)[0] for batches in feed.lists(order)], axis=1)
    full = len(order) // config.batch_size
    means: Array = losses[0, : full * config.batch_size].reshape(full, -1).mean(axis=1)
    return means


def first_layer(network: Network, shape: tuple[int, ...], units: int = 12) -> Array:
    """The weights into the first hidden units as images, (H, *shape)."""
    return np.asarray(network.params.weights[0][0].T[:units].reshape(-1, *shape), float)
