"""Row scores as text: what is packed comes back, with the mean that is recorded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.trials.row_scores import pack_bits, pack_scores, unpack


@settings(deadline=None)
@given(arrays(float, st.integers(1, 60), elements=st.floats(-36, 60)))
def test_scores_come_back_to_half_a_step_with_their_mean(scores):
    """Each score is within half of 1/255 of the range, up to a common shift that gives the recorded mean exactly."""
    (found,) = unpack([pack_scores(scores)], len(scores), np.array([scores.mean()]))
    half = (np.ptp(scores) / 255 or 1) / 2
    assert found.mean() == pytest.approx(scores.mean(), abs=1e-12)
    assert np.abs(found - scores).max() <= 2 * half + 1e-9
    assert np.abs((found - scores) - np.median(found - scores)).max() <= 2 * half + 1e-9


def test_a_text_of_other_rows_is_unknown():
    """A missing text, one of another number of rows, or bits among scores give None."""
    scores, values = np.linspace(-1, 0, 9), np.zeros(2)
    for other in ("", pack_scores(scores[:8]), pack_bits(scores > -0.5)):
        assert unpack([pack_scores(scores), other], 9, values) is None
    assert unpack([pack_scores(scores)], 0, values) is None
