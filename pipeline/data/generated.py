"""Images that are drawn instead of collected: rectangles and convex regions, after Larochelle et al. (2007).

Larochelle, Erhan, Courville, Bergstra and Bengio, "An empirical evaluation of deep architectures on problems with many
factors of variation", ICML 2007. Every image has 28 x 28 pixels of 0 to 255. The images are always the same.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pipeline.data.rows import Rows
from pipeline.seeds import derive_seed

SIDE = 28
"""The pixels of a side."""
ROWS = 8_000
"""The images of a data set, half of them of each class; ``rectangles-2500`` has fewer."""
FLAT = 10.0
"""Patches of photographs whose pixels have a smaller standard deviation are left out, as in the paper."""
HOLLOW = 10
"""A region counts as not convex if it lacks this number of pixels that lie in the middle of two others."""
AREAS = (20, 600)
"""The fewest and the most white pixels of a region."""
AREA_STEP = 10
"""Both classes of regions have equal numbers of images in each step of areas."""

Images = np.ndarray
"""Images (N, 28, 28)."""


@cache
def load_rectangles() -> Rows:
    """White outlines of rectangles on black: are they wide or tall? Sides differ by 3 pixels or more."""
    rng = _generator("rectangles")
    inside, outline, wide = _rectangles(rng, least=1, difference=3, areas=(0.0, 1.0))
    return _rows(np.where(outline & inside, 255, 0), wide, ("tall", "wide"))


@cache
def load_rectangles_images() -> Rows:
    """Wide or tall rectangles cut from one photograph and put on another."""
    rng = _generator("rectangles_images")
    inside, _, wide = _rectangles(rng, least=10, difference=5, areas=(0.25, 0.75))
    return _rows(np.where(inside, patches(rng, ROWS), patches(rng, ROWS)), wide, ("tall", "wide"))


@cache
def load_convex() -> Rows:
    """White regions on black: are they convex? A convex one is an intersection of half-planes, the others unions of such.

    Areas have the same distribution in both classes, so that the number of white pixels says nothing.
    """
    rng, kept = _generator("convex"), [np.zeros((2, 0, SIDE, SIDE), bool)]
    while sum(pairs.shape[1] for pairs in kept) < ROWS // 2:
        kept.append(_pairs_of_equal_area(_convex_regions(rng, ROWS // 2), _other_regions(rng, ROWS // 2)))
    others, convex = np.concatenate(kept, axis=1)[:, : ROWS // 2]
    order = rng.permutation(ROWS)
    labels = np.repeat([0, 1], ROWS // 2)[order]
    return _rows(255 * np.concatenate([others, convex])[order], labels, ("not convex", "convex"))


def patches(rng: np.random.Generator, count: int) -> Images:
    """Return random patches of scikit-learn's two photographs in grey, without flat ones such as sky."""
    windows = np.lib.stride_tricks.sliding_window_view(_photographs(), (SIDE, SIDE), axis=(1, 2))
    found = [np.zeros((0, SIDE, SIDE), windows.dtype)]
    while sum(map(len, found)) < count:
        drawn = windows[tuple(rng.integers(size, size=count) for size in windows.shape[:3])]
        found.append(drawn[drawn.std(axis=(1, 2)) >= FLAT])
    return np.concatenate(found)[:count]


@cache
def _photographs() -> np.ndarray:
    """China and flower, both of 427 x 640 pixels, in grey: the mean of their three colours."""
    from sklearn.datasets import load_sample_image

    return np.stack([load_sample_image(f"{name}.jpg").mean(axis=2, dtype="float32") for name in ("china", "flower")])


def hollow_pixels(regions: np.ndarray) -> np.ndarray:
    """Count the pixels (N,) outside of each region that lie exactly in the middle of two of its pixels.

    The number of pairs with p + q = 2m is the self-convolution of the region at 2m. Without any such pixel, every pair
    passes the paper's condition of convexity at its middle; an intersection of half-planes has none.
    """
    from scipy.fft import irfft2, rfft2  # here, since training needs none of SciPy

    spectrum = rfft2(regions.astype("float32"), s=(2 * SIDE, 2 * SIDE))
    sums = irfft2(spectrum**2, s=(2 * SIDE, 2 * SIDE))
    counts: np.ndarray = ((sums[:, ::2, ::2] > 0.5) & ~regions).sum(axis=(1, 2))
    return counts


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(0, name))


def _rows(images: Images, labels: np.ndarray, names: tuple[str, str]) -> Rows:
    pixels = images.reshape(len(images), -1).round().astype(np.uint8)
    return Rows(pixels, labels.astype(np.intp), names, shape=(SIDE, SIDE))


def _rectangles(
    rng: np.random.Generator, least: int, difference: int, areas: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw rectangles; return their pixels and their outlines (N, 28, 28), and whether they are wide (N,).

    Sides are uniform from ``least``, and differ by ``difference`` or more; ``areas`` are limits, as shares of the image.
    Each corner is uniform where the rectangle fits. The classes have equal numbers.
    """
    sides = np.argwhere(np.ones((SIDE + 1, SIDE + 1), bool))
    low, high = (share * SIDE**2 for share in areas)
    area = sides.prod(axis=1)
    fits = (sides.min(axis=1) >= least) & (np.abs(np.diff(sides)[:, 0]) >= difference) & (low <= area) & (area <= high)
    wide = np.repeat([False, True], ROWS // 2)
    shapes = sides[fits & (sides[:, 1] > sides[:, 0])][rng.integers(np.sum(fits) // 2, size=ROWS)]
    shapes = np.where(wide[:, None], shapes, shapes[:, ::-1])[rng.permutation(ROWS)]  # height, width
    corners = rng.integers(SIDE - shapes + 1)
    pixels = np.arange(SIDE)
    within = [(pixels >= corners[:, [axis]]) & (pixels < (corners + shapes)[:, [axis]]) for axis in (0, 1)]
    edges = [(pixels == corners[:, [axis]]) | (pixels == (corners + shapes)[:, [axis]] - 1) for axis in (0, 1)]
    inside = within[0][:, :, None] & within[1][:, None]
    return inside, edges[0][:, :, None] | edges[1][:, None], shapes[:, 1] > shapes[:, 0]


def _convex_regions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Intersections of 1 to 6 half-planes, whose borders go through a random place in a random direction."""
    pixels, regions = np.arange(SIDE), np.ones((count, SIDE, SIDE), bool)
    planes = rng.integers(1, 7, size=count)
    for plane in range(6):
        angle, (y, x) = rng.uniform(0, 2 * np.pi, (count, 1)), rng.uniform(0, SIDE - 1, (2, count, 1))
        down, right = (pixels - y) * np.sin(angle), (pixels - x) * np.cos(angle)
        used = planes > plane
        regions[used] &= down[used, :, None] >= -right[used, None]
    return _of_middling_area(regions)


def _other_regions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Unions of 2 or 3 convex regions that are not convex."""
    parts = [_convex_regions(rng, count) for _ in range(3)]
    count = min(map(len, parts))
    third = parts[2][:count] & (rng.random(count) < 0.5)[:, None, None]
    regions = _of_middling_area(parts[0][:count] | parts[1][:count] | third)
    others: np.ndarray = regions[hollow_pixels(regions) >= HOLLOW]
    return others


def _of_middling_area(regions: np.ndarray) -> np.ndarray:
    area = regions.sum(axis=(1, 2))
    middling: np.ndarray = regions[(AREAS[0] <= area) & (area <= AREAS[1])]
    return middling


def _pairs_of_equal_area(convex: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return as many regions of both kinds for each step of areas, (2, n, 28, 28): the others, then the convex ones."""
    steps = [regions.sum(axis=(1, 2)) // AREA_STEP for regions in (others, convex)]
    counts = np.minimum(*(np.bincount(step, minlength=SIDE**2) for step in steps))
    chosen = [np.concatenate([np.flatnonzero(step == s)[:n] for s, n in enumerate(counts.tolist())]) for step in steps]
    return np.stack([others[chosen[0]], convex[chosen[1]]])
