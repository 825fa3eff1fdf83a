"""Minibatches: the rows of a split, cut up and laid out as the network reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil

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
    rows: Split,
    classes: int,
    size: int,
    dtype: str,
    order: Array | None = None,
    augment: Augment | None = None,
    memory: Iterable[Array] = (),
) -> Iterator[Minibatch]:
    """The rows in an order of theirs, ``size`` at a time and augmented, if at all; the last minibatch may be short.

    Each is laid out in its part of ``memory``, if there is one.
    """
    order = np.arange(len(rows)) if order is None else order
    one_hot = np.eye(classes, dtype=dtype)
    for start, own in zip_longest(range(0, len(order), size), memory):
        part = order[start : start + size]
        labels = rows.labels[part].astype(np.intp, copy=False)  # places are reckoned from them; a small type overflows
        inputs = rows.inputs[part] if augment is None else augment(rows.inputs[part])
        yield Minibatch(with_ones(inputs, dtype, own), labels, one_hot.take(labels, axis=1).T)


class Feed:
    """The minibatches of a split in lists of at most ``BLOCK_BYTES``, so that all trials may go through a list in turn.

    All lists are laid out in the same memory, epoch after epoch: fresh memory costs a large network a fifth of its time,
    since every page of it has to be asked of the system.
    """

    def __init__(self, rows: Split, classes: int, config: TrainConfig, augment: Augment | None = None) -> None:
        self.rows, self.classes, self.config, self.augment = rows, classes, config, augment
        size = config.batch_size
        count = min(max(1, BLOCK_BYTES // (size * rows.inputs[0].nbytes)), ceil(len(rows) / size))
        self.memory = np.empty((count, size * (rows.inputs.shape[1] + 1)), config.dtype)

    def lists(self, order: Array) -> Iterator[Sequence[Minibatch]]:
        """The rows in an order of theirs; a list is good until the next is asked for."""
        size, dtype = self.config.batch_size, self.config.dtype
        for start in range(0, len(order), size * len(self.memory)):
            part = order[start : start + size * len(self.memory)]
            memory = self.memory[: ceil(len(part) / size)]
            yield list(minibatches(self.rows, self.classes, size, dtype, part, self.augment, memory))
