"""scikit-learn's digits with factors of variation: enlarged, rotated, and on backgrounds, after Larochelle et al. (2007).

The paper varies MNIST. These are other, fewer and coarser digits: 1,797 of 8 x 8 pixels. Each one is used once, so that no
digit is in two splits. The images have 28 x 28 pixels of 0 to 255, and are always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from pipeline.data.generated import SIDE, Images
from pipeline.data.published import load_digits
from pipeline.data.rows import Rows
from pipeline.seeds import derive_seed

BOX = 20
"""The pixels of a side of the enlarged digit, in the middle of the image, as in MNIST."""

Background = Callable[[np.random.Generator, int], Images]


def noise(rng: np.random.Generator, count: int) -> Images:
    """Return images of pixels that are uniform from 0 to 255."""
    return rng.integers(256, size=(count, SIDE, SIDE))


@cache
def load_digits28(name: str, background: Background | None = None, *, rotated: bool = False) -> Rows:
    """The digits at 28 x 28 pixels; ``name`` seeds the angles and the background.

    An angle is uniform from 0 to 2π. A background shows through where the digit is not fully white.
    """
    rows = load_digits()
    rng, count = np.random.default_rng(derive_seed(0, name)), len(rows)
    angles = rng.uniform(0, 2 * np.pi, count) if rotated else np.zeros(count)
    white = enlarged(rows.inputs.reshape(-1, 8, 8) / 16, angles)
    images = 255 * white
    if background:
        images += (1 - white) * background(rng, count)
    pixels = images.reshape(count, -1).round().astype(np.uint8)
    return Rows(pixels, rows.labels, rows.class_names, shape=(SIDE, SIDE))


def enlarged(digits: Images, angles: np.ndarray) -> Images:
    """Return digits (N, 8, 8) turned by angles (N,) and enlarged to 28 x 28 pixels, with linear interpolation."""
    from scipy.ndimage import map_coordinates  # here, since training needs none of SciPy

    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    scale, middle = digits.shape[1] / BOX, (digits.shape[1] - 1) / 2
    places = [rows * cosine + columns * sine, columns * cosine - rows * sine]
    which = np.broadcast_to(np.arange(len(digits))[:, None, None], places[0].shape)
    turned: Images = map_coordinates(
        digits, [which, *(scale * place + middle for place in places)], order=1, mode="grid-constant"
    )
    return turned
