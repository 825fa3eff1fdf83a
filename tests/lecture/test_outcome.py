"""Claims and their outcome."""

import numpy as np

from pipeline.lecture.outcome import Outcome, at_least, at_most, between, near, shown


def test_one_claim_that_does_not_hold_decides_the_verdict():
    """Each kind of claim fails beyond its limit, and on NaN; one such claim makes the verdict."""
    good = [
        near("1", "a", 1.0, 1.1, 0.11),
        between("1", "b", 2.0, 2.0, 3.0),
        at_most("1", "c", 1.0, 1.0),
        at_least("1", "d", 1.0, 1.0),
        shown("1", "e", "so", holds=True),
    ]
    bad = [
        near("1", "a", 1.0, 1.2, 0.11),
        between("1", "b", 1.9, 2.0, 3.0),
        at_most("1", "c", 1.1, 1.0),
        at_least("1", "d", 0.9, 1.0),
        shown("1", "e", "not so", holds=False),
        *(near("1", "f", value, 1.0, 0.1) for value in (np.nan, np.inf)),
    ]
    assert all(claim.holds for claim in good)
    assert not any(claim.holds for claim in bad)
    assert Outcome(good, []).verdict == "reproduced"
    assert all(Outcome([*good, claim], []).verdict == "not reproduced" for claim in bad)
