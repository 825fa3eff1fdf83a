"""Variants of the digits keep each digit's class and shape, and add the factors of variation that their names say."""

import numpy as np
import pytest
from scipy.ndimage import rotate

from pipeline.data.dataset import load_rows
from pipeline.data.digit_variants import enlarged


def images_of(name):
    """The images (N, 28, 28) of a data set."""
    return load_rows(name).inputs.reshape(-1, 28, 28).astype(float)


@pytest.mark.parametrize("name", ["", "_rotated", "_random", "_images", "_rotated_images"])
def test_variants_have_the_classes_of_the_digits(name):
    """Each of the 1,797 digits is there once, as 28 x 28 bytes with its label."""
    rows, digits = load_rows(f"digits28{name}"), load_rows("digits")
    assert np.array_equal(rows.labels, digits.labels)
    assert (rows.shape, rows.inputs.dtype, rows.inputs.shape) == ((28, 28), np.uint8, (1797, 784))


def test_an_enlarged_digit_is_the_digit():
    """The mean of the digit's pixels, times 255 / 16, is that of the middle 20 x 20 pixels; the frame is black."""
    images, digits = images_of("digits28"), load_rows("digits").inputs.reshape(-1, 8, 8)
    assert not images[:, :2].any()
    assert not images[:, :, -2:].any()
    means = images[:, 4:-4, 4:-4].mean(axis=(1, 2)), digits.mean(axis=(1, 2)) * 255 / 16
    assert np.corrcoef(*means)[0, 1] > 0.98
    small = images[:, 4:-4, 4:-4].reshape(-1, 4, 5, 4, 5).mean(axis=(2, 4))
    coarse = digits.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    assert np.corrcoef(small.ravel(), coarse.ravel())[0, 1] > 0.98


def test_rotation_turns_a_digit_about_the_middle():
    """A turn by an angle is that of SciPy's rotation of the enlarged digit."""
    digits = load_rows("digits").inputs.reshape(-1, 8, 8)[:20]
    angles = np.linspace(0, 2 * np.pi, 20)
    upright, turned = enlarged(digits, np.zeros(20)), enlarged(digits, angles)
    for image, angle, result in zip(upright, angles, turned, strict=True):
        other = rotate(image, np.degrees(angle), reshape=False, order=1)
        assert np.corrcoef(other.ravel(), result.ravel())[0, 1] > 0.98
    frames = images_of("digits28_rotated")[:, 4:-4, 4:-4].sum(axis=(1, 2)), images_of("digits28").sum(axis=(1, 2))
    assert np.corrcoef(*frames)[0, 1] > 0.95  # the ink stays


@pytest.mark.parametrize(("name", "neighbours"), [("random", (-0.05, 0.05)), ("images", (0.8, 1))])
def test_backgrounds_fill_what_the_digit_leaves(name, neighbours):
    """The frame around the digit is noise, or correlates like a photograph; where the digit is white, it stays."""
    images, plain = images_of(f"digits28_{name}"), images_of("digits28")
    frame = images[:, :2]
    low, high = neighbours
    assert low < np.corrcoef(frame[:, :, 1:].ravel(), frame[:, :, :-1].ravel())[0, 1] < high
    assert (images >= plain - 1).all()
    assert frame.std() > 50
