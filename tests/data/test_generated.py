"""Generated images have the properties that their classes claim, and simpler properties do not tell the classes apart."""

import numpy as np
import pytest

from pipeline.data.dataset import DATASETS, load_rows
from pipeline.data.generated import AREAS, HOLLOW, hollow_pixels, patches


def images_of(name):
    """The images (N, 28, 28) and labels (N,) of a data set."""
    rows = load_rows(name)
    return rows.inputs.reshape(-1, *rows.shape), rows.labels


@pytest.mark.parametrize("name", ["rectangles", "rectangles_images", "convex"])
def test_images_are_always_the_same_and_balanced(name):
    """A second generation gives the same bytes; half of the images are of each class, in no order."""
    rows, again = load_rows(name), DATASETS[name].__wrapped__()
    assert rows is not again
    assert np.array_equal(rows.inputs, again.inputs)
    assert np.array_equal(rows.labels, again.labels)
    assert (rows.shape, rows.inputs.dtype, np.bincount(rows.labels).tolist()) == ((28, 28), np.uint8, [4000, 4000])
    assert abs(rows.labels[:1000].mean() - 0.5) < 0.1


def test_a_rectangle_is_an_outline_whose_longer_side_is_its_class():
    """The white pixels are the border of their bounding box, whose sides differ by at least 3."""
    images, labels = images_of("rectangles")
    for image, label in zip(images[:500], labels[:500], strict=True):
        rows, columns = (np.flatnonzero((image > 0).any(axis=axis)) for axis in (1, 0))
        box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == 255
        assert box.sum() == image.sum() / 255
        assert box[[0, -1]].all()
        assert box[:, [0, -1]].all()
        assert not box[1:-1, 1:-1].any()
        assert label == (box.shape[1] > box.shape[0])
        assert abs(box.shape[1] - box.shape[0]) >= 3


def test_the_class_of_a_region_is_its_convexity_and_not_its_area():
    """No pixel between two of a convex region is black; the others have such pixels, and the same mean area."""
    images, labels = images_of("convex")
    assert np.isin(images, (0, 255)).all()
    white = images == 255
    hollow, area = hollow_pixels(white), white.sum(axis=(1, 2))
    assert hollow[labels == 1].max() == 0
    assert hollow[labels == 0].min() >= HOLLOW
    assert AREAS[0] <= area.min() <= area.max() <= AREAS[1]
    assert abs(area[labels == 0].mean() - area[labels == 1].mean()) < 1


def test_hollow_pixels_are_those_between_two_of_the_region():
    """The count by Fourier transform is that of a loop over all pairs of pixels."""
    regions = np.random.default_rng(0).random((3, 28, 28)) < 0.02
    for region, count in zip(regions, hollow_pixels(regions), strict=True):
        places = np.argwhere(region)
        sums = (places[:, None] + places[None]).reshape(-1, 2)
        middles = {tuple(middle) for middle in sums[(sums % 2 == 0).all(axis=1)] // 2}
        assert count == sum(not region[middle] for middle in middles) > 0


def test_patches_are_varied_and_of_photographs():
    """Neighbouring pixels of a patch are alike, as those of photographs are, and no patch is flat."""
    drawn = patches(np.random.default_rng(0), 200)
    assert drawn.std(axis=(1, 2)).min() >= 10
    neighbours = np.corrcoef(drawn[:, :, 1:].ravel(), drawn[:, :, :-1].ravel())[0, 1]
    assert neighbours > 0.8
    assert len(np.unique(drawn.reshape(200, -1), axis=0)) == 200
