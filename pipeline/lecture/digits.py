"""The digits as the demonstrations take them: less their mean image, over 8, so that a pixel's spread is about a half."""

from __future__ import annotations

import numpy as np

from pipeline.data import Dataset, Split, load_block
from pipeline.study.hparams import TrainConfig

SCALE = 8


def load_digits(seed: int, *, noise: float = 0.0, config: TrainConfig | None = None) -> Dataset:
    """One block's splits; a share ``noise`` of the training labels is drawn afresh from all classes."""
    config = config or TrainConfig(validation=0.1, test=0.1)
    centred = TrainConfig(preprocessing="centre", validation=config.validation, test=config.test, dtype=config.dtype)
    block, rng = load_block("digits", centred, seed), np.random.default_rng(seed)
    parts = {name: getattr(block, name) for name in ("train", "val", "test")}
    scaled = {name: Split(part.inputs / SCALE, part.labels.copy()) for name, part in parts.items()}
    wrong = rng.random(len(block.train)) < noise
    scaled["train"].labels[wrong] = rng.integers(0, block.classes, wrong.sum())
    return Dataset(scaled["train"], scaled["val"], scaled["test"], block.classes)


def first_rows(data: Dataset, rows: int) -> Dataset:
    """The same, with the first training rows alone."""
    few = Split(data.train.inputs[:rows], data.train.labels[:rows])
    return Dataset(few, data.val, data.test, data.classes)
