"""Augmentation: small random changes of the training images that keep their class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pipeline.nn.conv_text import image_of
from pipeline.study.hparams import TrainConfig

PADDING = 4
"""The most pixels by which a crop is shifted; the border is filled with 0, the mean of centred pixels (He et al. 2015)."""
Augment = Callable[[np.ndarray], np.ndarray]
"""A function from the rows of a minibatch (B, D) to changed rows (B, D)."""


def augmentation(config: TrainConfig, shape: tuple[int, ...], rng: np.random.Generator) -> Augment | None:
    """Return the augmentation of ``config`` for images of a shape, ``None`` if it has none.

    It draws from a child of ``rng``, so the draws of ``rng`` itself do not change. Raises :class:`UserError` if the rows
    are not images.
    """
    if config.augmentation == "none":
        return None
    (channels, height, width), last = image_of(shape, "augmentation")
    image_shape = (height, width, channels) if last else (channels, height, width)
    return partial(augment, config.augmentation, image_shape, rng.spawn(1)[0], channels_last=last)


def augment(
    name: str, image_shape: tuple[int, int, int], rng: np.random.Generator, rows: np.ndarray, *, channels_last: bool
) -> np.ndarray:
    """Return changed rows (B, D): by ``flip``, ``crop`` or both, ``flip_crop``; each row has its own draw."""
    images = rows.reshape(-1, *image_shape)
    images = np.moveaxis(images, 3, 1) if channels_last else images
    for change in name.split("_"):
        images = {"flip": flip, "crop": crop}[change](images, rng)
    return (np.moveaxis(images, 1, 3) if channels_last else images).reshape(rows.shape)


def flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror each image of (B, C, H, W) left to right with probability 1/2."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[..., ::-1], images)


def crop(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift each image of (B, C, H, W) by up to ``PADDING`` pixels vertically and horizontally."""
    edge = (PADDING, PADDING)
    padded = np.pad(images, ((0, 0), (0, 0), edge, edge))
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[2:], axis=(2, 3))
    top, left = rng.integers(0, 2 * PADDING + 1, (2, len(images)))
    return np.asarray(windows[np.arange(len(images)), :, top, left])
