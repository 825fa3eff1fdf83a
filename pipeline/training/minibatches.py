"""Minibatches: the rows of a split in the order and the memory layout in which the network reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from pipeline.data import Split
from pipeline.data.augmentation import Augment
from pipeline.data.rows import chunks
from pipeline.nn.layers import Array
from pipeline.nn.network import with_ones
from pipeline.study.hparams import TrainConfig

LIST_BYTES = 64 * 2**20
"""The bytes of a split that are copied at a time, so that memory does not grow with the split."""


@dataclass(frozen=True)
class Minibatch:
    """``inputs`` (B, D + 1), from :func:`with_ones`, ``labels`` (B,), ``targets`` (B, C), one-hot, and ``weights`` (B,)."""

    inputs: Array
    labels: Array
    targets: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.labels)


def training_cuts(count: int, size: int) -> list[slice]:
    """Divide training rows like :func:`chunks`, but join a last slice that is too short to the one before.

    It is too short if it has less than a quarter of ``size``. Under batch norm, a step of a few rows is as large as the
    others and undoes what an epoch has learned: with 2 rows at the end of 1,026, digits lost 14 points of accuracy.
    """
    parts = chunks(count, size)
    if len(parts) > 1 and 4 * (parts[-1].stop - parts[-1].start) < size:
        parts[-2:] = [slice(parts[-2].start, count)]
    return parts


def weighted(rows: Split, class_weight: str, classes: int) -> Split:
    """Return training rows with weights of mean 1 over all of them, or without weights if none are asked for.

    The weight of row i becomes w_i / mean(w), where w_i is its given weight or 1. ``"balanced"`` first divides w_i by the
    sum of the weights in its class, so that classes weigh the same in total (King and Zeng 2001). A step descends the mean
    of w·loss over the B rows of its minibatch: over an epoch, Σ w·loss / Σ w, as in scikit-learn's LogisticRegression.
    MLPClassifier divides by Σ w of each minibatch, which makes a row count more among light ones.
    """
    weights = rows.weights
    if class_weight == "balanced":
        labels, weights = rows.labels.astype(np.intp), np.ones(len(rows)) if weights is None else weights
        totals = np.bincount(labels, weights, classes)[labels]
        weights = np.divide(weights, totals, where=totals > 0, out=np.zeros(len(rows)))
    if weights is None:
        return rows
    shares = weights / weights.max()  # equal weights are exactly 1, and no sum overflows
    return replace(rows, weights=shares / shares.mean())


def minibatches(
    rows: Split,
    classes: int,
    parts: Iterable[Array | slice],
    dtype: str,
    augment: Augment | None = None,
    memory: Iterable[Array] = (),
) -> Iterator[Minibatch]:
    """Yield a minibatch for each part of the rows, a slice or indices, with its inputs augmented.

    ``memory`` has an array for the inputs of each part; without it, new memory is used.
    """
    one_hot = np.eye(classes, dtype=dtype)
    for part, part_memory in zip_longest(parts, memory):
        labels = rows.labels[part].astype(np.intp, copy=False)  # the loss computes with them; a small type overflows
        inputs = rows.inputs[part] if augment is None else augment(rows.inputs[part])
        weights = None if rows.weights is None else rows.weights[part].astype(dtype)
        yield Minibatch(with_ones(inputs, dtype, part_memory), labels, one_hot.take(labels, axis=1).T, weights)


class Feed:
    """The minibatches of a split, in lists of at most ``LIST_BYTES``; every tile trains on a list before the next.

    All lists use the same memory in every epoch: with new memory, whose pages the system has to provide, a large
    network takes a fifth longer.
    """

    def __init__(self, rows: Split, classes: int, config: TrainConfig, augment: Augment | None = None) -> None:
        self.rows, self.classes, self.config, self.augment = rows, classes, config, augment
        self.cuts = training_cuts(len(rows), config.batch_size)
        longest = max(part.stop - part.start for part in self.cuts)
        count = min(max(1, LIST_BYTES // (longest * rows.inputs[0].nbytes)), len(self.cuts))
        self.memory = np.empty((count, longest * (rows.inputs.shape[1] + 1)), config.dtype)

    def lists(self, order: Array) -> Iterator[Sequence[Minibatch]]:
        """Yield the lists for an order of the rows, (N,); a list is valid until the next one is requested."""
        for start in range(0, len(self.cuts), len(self.memory)):
            parts = [order[cut] for cut in self.cuts[start : start + len(self.memory)]]
            memory = self.memory[: len(parts)]
            yield list(minibatches(self.rows, self.classes, parts, self.config.dtype, self.augment, memory))
