"""The data of the demonstrations: the digits, and CIFAR-10 or images that stand in for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data import Dataset, Split, load_block
from pipeline.data.dataset import load_rows
from pipeline.data.folder import data_folder
from pipeline.nn.layers import Array
from pipeline.study.hparams import TrainConfig

SCALE = 8
"""The digits minus their mean image are divided by this; a pixel then has a standard deviation of about a half."""
SHAPE = (3, 32, 32)
CLASSES = 10
SPREAD, CUE = 60.0, 0.35
"""Of the stand-in: the standard deviation of a pixel, and the share of it that the class decides."""


def load_digits(seed: int, *, noise: float = 0.0, config: TrainConfig | None = None) -> Dataset:
    """The splits of one block of the digits; a share ``noise`` of the training labels is drawn from all classes."""
    config = config or TrainConfig(validation=0.1, test=0.1)
    centred = TrainConfig(preprocessing="centre", validation=config.validation, test=config.test, dtype=config.dtype)
    block, rng = load_block("digits", centred, seed), np.random.default_rng(seed)
    parts = {name: getattr(block, name) for name in ("train", "val", "test")}
    scaled = {name: Split(part.inputs / SCALE, part.labels.copy()) for name, part in parts.items()}
    wrong = rng.random(len(block.train)) < noise
    scaled["train"].labels[wrong] = rng.integers(0, block.classes, wrong.sum())
    return Dataset(scaled["train"], scaled["val"], scaled["test"], block.classes)


def first_rows(data: Dataset, rows: int) -> Dataset:
    """The same data with only the first training rows."""
    few = Split(data.train.inputs[:rows], data.train.labels[:rows])
    return Dataset(few, data.val, data.test, data.classes)


@dataclass(frozen=True)
class Pictures:
    """Images minus their mean, in the scale of pixels from 0 to 255; ``real`` if they are CIFAR-10."""

    data: Dataset
    real: bool

    @property
    def description(self) -> str:
        """The images in a sentence."""
        rows = f"{len(self.data.train):,} training rows"
        if self.real:
            return f"CIFAR-10 minus its mean image, {rows}"
        return f"images of 1/f noise, {CUE:.0%} of it decided by the class, in place of CIFAR-10, which is not in the data folder, {rows}"


def load_images(seed: int) -> Pictures:
    """Training rows of CIFAR-10 if its archive is in the data folder, else fewer of the stand-in. Nothing is downloaded.

    CIFAR-10 is used completely, because the steps in an epoch decide how far a loss moves and whether it explodes.
    """
    real = data_folder().is_dir() and any(data_folder().glob("cifar*10*"))
    train, val = (48_000, 1_000) if real else (2_500, 500)
    if real:
        rows = load_rows("cifar10")
        order = np.random.default_rng(seed).permutation(len(rows) - rows.test)[: train + 2 * val]
        inputs, labels = rows.inputs[order].astype("float32"), rows.labels[order]
    else:
        inputs, labels = clouds(seed, train + 2 * val)
    inputs -= inputs[:train].mean(axis=0)
    parts = (slice(0, train), slice(train, train + val), slice(train + val, None))
    splits = [Split(inputs[part], labels[part]) for part in parts]
    return Pictures(Dataset(splits[0], splits[1], splits[2], CLASSES), real)


def clouds(seed: int, rows: int) -> tuple[Array, Array]:
    """Images (N, 3072) of pixels from 0 to 255, each its class's pattern plus noise, and labels (N,)."""
    rng = np.random.default_rng([seed, 32])
    templates, labels = noise(rng, CLASSES), rng.integers(0, CLASSES, rows)
    individual = np.concatenate([noise(rng, len(part)) for part in np.array_split(labels, 10)])
    images = 120 + SPREAD * (CUE * templates[labels] + np.sqrt(1 - CUE**2) * individual)
    return np.clip(images, 0, 255).astype("float32"), labels


def noise(rng: np.random.Generator, count: int) -> Array:
    """Coloured 1/f noise (count, 3072) with mean 0 and standard deviation 1, similar to photographs (Field 1987)."""
    across, down = np.meshgrid(np.fft.rfftfreq(32), np.fft.fftfreq(32))
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / 32)
    white = np.fft.rfft2(rng.standard_normal((count, *SHAPE), dtype="float32"))
    grey = white.mean(axis=1, keepdims=True)
    pink: Array = np.fft.irfft2((white + 3 * grey) * amplitude, SHAPE[1:]).reshape(count, -1)
    return np.asarray((pink - pink.mean()) / pink.std())
