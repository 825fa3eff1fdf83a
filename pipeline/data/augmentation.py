"""Augmentation shows training images a little changed each time, in ways that leave their class as it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pipeline.nn.conv_text import image_of
from pipeline.study.hparams import TrainConfig

PADDING = 4
"""By how many pixels a crop may be off; it is filled up with zeros, the mean of centred pixels (He et al. 2015)."""
Augment = Callable[[np.ndarray], np.ndarray]
"""From the rows of a minibatch (B, D) to as many others."""


def augmentation(config: TrainConfig, shape: tuple[int, ...], rng: np.random.Generator) -> Augment | None:
    """What ``config`` asks for, on images of that shape; ``None`` if nothing.

    It draws from a child of ``rng``, whose own numbers stay as they are. Raises :class:`UserError` for rows that are no images.
    """
    if config.augmentation == "none":
        return None
    (channels, height, width), last = image_of(shape, "augmentation")
    lies = (height, width, channels) if last else (channels, height, width)
    return partial(augment, config.augmentation, lies, rng.spawn(1)[0], channels_last=last)


def augment(
    name: str, lies: tuple[int, int, int], rng: np.random.Generator, rows: np.ndarray, *, channels_last: bool
) -> np.ndarray:
    """New rows (B, D): ``flip``, ``crop``, or ``flip_crop`` for both, drawn for each row."""
    images = rows.reshape(-1, *lies)
    images = np.moveaxis(images, 3, 1) if channels_last else images
    for change in name.split("_"):
        images = {"flip": flip, "crop": crop}[change](images, rng)
    return (np.moveaxis(images, 1, 3) if channels_last else images).reshape(rows.shape)


def flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the images (B, C, H, W), left to right."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[..., ::-1], images)


def crop(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image (B, C, H, W) moved by up to ``PADDING`` pixels down or up, and right or left."""
    edge = (PADDING, PADDING)
    padded = np.pad(images, ((0, 0), (0, 0), edge, edge))
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[2:], axis=(2, 3))
    top, left = rng.integers(0, 2 * PADDING + 1, (2, len(images)))
    return np.asarray(windows[np.arange(len(images)), :, top, left])
