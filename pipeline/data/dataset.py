"""A data set is three splits of labelled rows: one to train on, one to choose by, and one to be honest by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from pipeline.data.preprocessing import PREPROCESSING
from pipeline.hparams import TrainConfig, check_choice


@dataclass(frozen=True)
class Split:
    """Rows of inputs (N, D) and their labels (N,), integers from 0 to C - 1."""

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The splits of one block; ``train`` is learned from, ``val`` chosen by, and ``test`` scored once at the end."""

    train: Split
    val: Split
    test: Split
    classes: int

    @property
    def features(self) -> int:
        """D."""
        return int(self.train.inputs.shape[1])

    @property
    def chance(self) -> float:
        """The accuracy of a guess, 1/C; a diverged trial scores it."""
        return 1 / self.classes


def load_digits() -> Split:
    """scikit-learn's 1,797 handwritten digits, 8 x 8 pixels of 0 to 16: inputs (1797, 64) float64."""
    from sklearn.datasets import load_digits as load

    inputs, labels = load(return_X_y=True)
    return Split(inputs, labels.astype(np.intp))


DATASETS: dict[str, Callable[[], Split]] = {"digits": load_digits}
"""Every data set by the name that studies call it."""


@lru_cache(maxsize=4)
def load_block(dataset: str, config: TrainConfig, seed: int) -> Dataset:
    """A data set in the stratified splits of one block, preprocessed, in the precision of the network.

    Raises ``ValueError`` for an unknown data set. The result is shared; its arrays are read-only.
    """
    check_choice("dataset", dataset, DATASETS)
    return preprocess(split(DATASETS[dataset](), config, seed), config)


def split(rows: Split, config: TrainConfig, seed: int) -> Dataset:
    """Stratified splits, the same for the same seed."""
    from sklearn.model_selection import train_test_split

    def part(indices: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
        first, second = train_test_split(
            indices, test_size=round(size * len(rows)), stratify=rows.labels[indices], random_state=seed
        )
        return np.sort(first), np.sort(second)

    rest, test = part(np.arange(len(rows)), config.test)
    train, val = part(rest, config.validation)
    part_of = {"train": train, "val": val, "test": test}
    parts = {name: Split(rows.inputs[indices], rows.labels[indices]) for name, indices in part_of.items()}
    return Dataset(**parts, classes=int(rows.labels.max()) + 1)


def preprocess(data: Dataset, config: TrainConfig) -> Dataset:
    """Transform all splits by what the training rows say, and freeze them."""
    check_choice("preprocessing", config.preprocessing, PREPROCESSING)
    transform = PREPROCESSING[config.preprocessing](data.train.inputs)

    def apply(rows: Split) -> Split:
        inputs = np.ascontiguousarray(transform(rows.inputs), dtype=config.dtype)
        inputs.flags.writeable = rows.labels.flags.writeable = False
        return Split(inputs, rows.labels)

    return replace(data, train=apply(data.train), val=apply(data.val), test=apply(data.test))
