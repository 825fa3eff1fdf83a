"""The text of convolutions, and the shapes of images."""

import pytest

from pipeline.nn.conv_text import image_of, parse_conv
from pipeline.study.hparams import HyperParams


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        ((), ()),
        (16, ("16",)),
        ("16x32", ("16", "32")),
        ("32x32px64sx8sp", ("32", "32p", "64s", "8sp")),
        (["16", 8], ("16", "8")),
    ],
)
def test_convolutions_are_read(value, expected):
    """They are read from text, a number or a list, and reading the result again changes nothing."""
    assert parse_conv(value) == parse_conv(parse_conv(value)) == expected
    assert HyperParams(conv=value).conv == expected


@pytest.mark.parametrize("value", ["x", "16y", "0", "-3", "p", "16x", "16pp", 1.5, {"a": 1}, True, [3.5], "١٦"])
def test_other_values_are_refused(value):
    """The error has the value and an example, and is raised when the hyperparameters are made."""
    with pytest.raises(ValueError, match=r"conv: got .*; expected text like 32x32px64s"):
        HyperParams(conv=value)


def test_the_channel_axis_is_found():
    """Grey images have no channel axis; if the first and the last could be it, it is the last."""
    assert image_of((8, 6)) == ((1, 8, 6), False)
    assert image_of((3, 8, 6)) == ((3, 8, 6), False)
    assert image_of((8, 6, 4)) == ((4, 8, 6), True)
    assert image_of((3, 8, 3)) == ((3, 3, 8), True)
