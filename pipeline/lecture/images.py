"""CIFAR-10 as the lecture takes it, where its files are at hand; else a stand-in of coloured clouds, which is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data import Dataset, Split
from pipeline.data.dataset import load_rows
from pipeline.data.folder import data_folder
from pipeline.nn.layers import Array

SHAPE = (3, 32, 32)
CLASSES = 10
SPREAD, CUE = 60.0, 0.35
"""Of a pixel of the stand-in: its standard deviation, and the share of it that the class decides."""


@dataclass(frozen=True)
class Pictures:
    """Images less their mean, pixels of 0 to 255 not divided, and what they are."""

    data: Dataset
    real: bool

    @property
    def said(self) -> str:
        """In words."""
        rows = f"{len(self.data.train):,} training rows"
        if self.real:
            return f"CIFAR-10 less its mean image, {rows}"
        return f"a stand-in for CIFAR-10, which is not at hand: images of 1/f noise, {CUE:.0%} of it their class's own, {rows}"


def load_images(seed: int) -> Pictures:
    """The training rows of CIFAR-10 if its archive lies in the data folder, or a few of the stand-in; nothing is downloaded.

    Of the true images all are taken: how far a loss moves in an epoch, and whether it explodes, hangs on the steps of one.
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
    """Images (N, 3072) of pixels from 0 to 255: the cloud of their class, and one of their own; and labels (N,)."""
    rng = np.random.default_rng([seed, 32])
    templates, labels = noise(rng, CLASSES), rng.integers(0, CLASSES, rows)
    own = np.concatenate([noise(rng, len(part)) for part in np.array_split(labels, 10)])
    images = 120 + SPREAD * (CUE * templates[labels] + np.sqrt(1 - CUE**2) * own)
    return np.clip(images, 0, 255).astype("float32"), labels


def noise(rng: np.random.Generator, count: int) -> Array:
    """Coloured 1/f noise (count, 3072) with mean 0 and standard deviation 1, as photographs roughly have (Field 1987)."""
    across, down = np.meshgrid(np.fft.rfftfreq(32), np.fft.fftfreq(32))
    falls = 1 / np.maximum(np.hypot(across, down), 1 / 32)
    white = np.fft.rfft2(rng.standard_normal((count, *SHAPE), dtype="float32"))
    grey = white.mean(axis=1, keepdims=True)
    pink: Array = np.fft.irfft2((white + 3 * grey) * falls, SHAPE[1:]).reshape(count, -1)
    return np.asarray((pink - pink.mean()) / pink.std())
