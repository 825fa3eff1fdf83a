"""Minibatches: the rows of a split, cut up and laid out as the network reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data import Split
from pipeline.data.augmentation import Augment
from pipeline.hparams import TrainConfig
from pipeline.nn.layers import Array
from pipeline.nn.network import with_ones

BLOCK_BYTES = 64 * 2**20
"""How much of a split is laid out at a time, so that its size does not matter."""


@dataclass(frozen=True)
class Minibatch:
    """``inputs`` (B, D + 1), from :func:`with_ones`, ``labels`` (B,), and ``targets`` (B, C), one-hot."""

    inputs: Array
    labels: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.labels)


def minibatches(
    rows: Split, classes: int, size: int, dtype: str, order: Array | None = None, augment: Augment | None = None
) -> Iterator[Minibatch]:
    """The rows in an order of theirs, ``size`` at a time and augmented, if at all; the last minibatch may be short."""
    order = np.arange(len(rows)) if order is None else order
    one_hot = np.eye(classes, dtype=dtype)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        labels = rows.labels[part]
        inputs = rows.inputs[part] if augment is None else augment(rows.inputs[part])
        yield Minibatch(with_ones(inputs, dtype), labels, one_hot.take(labels, axis=1).T)


def blocks(
    rows: Split, classes: int, config: TrainConfig, order: Array, augment: Augment | None = None
) -> Iterator[Sequence[Minibatch]]:
    """The minibatches in lists of at most ``BLOCK_BYTES``, so that all trials may go through a list in turn."""
    length = config.batch_size * max(1, BLOCK_BYTES // (config.batch_size * rows.inputs[0].nbytes))
    for start in range(0, len(order), length):
        yield list(minibatches(rows, classes, config.batch_size, config.dtype, order[start : start + length], augment))
