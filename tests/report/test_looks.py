"""The looks at a contrast that can name a leader."""

import pytest

from pipeline.report.looks import usable_looks


@pytest.mark.parametrize(
    ("looks", "contrasts", "usable"),
    [
        ((5,), 1, ()),
        ((6,), 1, (6,)),
        ((6,), 2, ()),
        ((7,), 5, ()),
        ((8,), 5, (8,)),
        ((3, 10), 1, (10,)),
        ((6, 12), 1, (12,)),
        ((6, 12), 2, (12,)),
        ((7, 14), 1, (7, 14)),
        ((10, 20, 30), 1, (10, 20, 30)),
        ((10, 20, 30), 5, (10, 20, 30)),
    ],
)
def test_a_look_is_usable_if_sign_flips_can_reach_its_level(looks, contrasts, usable):
    """Half of the error at six blocks is 0.025, below their smallest p of 0.031, so the twelve have all of it."""
    assert usable_looks(looks, contrasts) == usable
