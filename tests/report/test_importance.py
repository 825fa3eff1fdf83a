"""Importances: numbers that can be computed by hand, and studies in which the answer is known."""

import re

import numpy as np
import pytest
from synthetic import make_table, unit

from pipeline.report.analysis import Analysis
from pipeline.report.figures.importance import above_noise, importance_figure
from pipeline.report.importance import Importance, effective_number, noise_band
from pipeline.study.spec import Arm


def make_importance(**changes):
    """Importances of three hyperparameters over two blocks."""
    variance = np.array([[0.6, 0.6, 0.1], [0.6, 0.6, 0.05]])
    plain = {"separates": np.zeros(3), "band": np.zeros(3), "variance": variance, "noise": np.full(3, 0.1)}
    return Importance(("a", "b", "c"), **{**plain, **changes})


@pytest.mark.parametrize(
    ("shares", "number"), [([0.2] * 4, 4), ([0.5, 0.5, 0], 2), ([0.7, -0.3, -0.1], 1), ([-0.1, 0, -0.2], 0)]
)
def test_the_effective_number_is_that_of_equal_shares(shares, number):
    """Equal shares count in full, whatever their sum; negative ones do not count."""
    assert effective_number(np.array(shares)) == pytest.approx(number)


def test_the_effective_number_is_above_noise_and_within_bounds():
    """Noise is subtracted from each share; the interval is cut at 1 and at the number of hyperparameters."""
    found = make_importance().effective
    assert (found.estimate, found.low, found.high) == pytest.approx((2, 2, 2))
    wide = make_importance(variance=np.array([[0.6, 0.1, 0.1], [0.6, 0.6, 0.6]])).effective
    assert (wide.estimate, wide.low, wide.high) == pytest.approx((2, 1, 3))
    assert make_importance(noise=np.ones(3)).effective is None


def test_hyperparameters_above_the_band_are_named_in_order():
    """The most important comes first; a bar below its own band is not named."""
    found = make_importance(separates=np.array([0.1, 0.5, 0.3]), band=np.array([0.05, 0.05, 0.4]))
    assert found.distinguishable == ["b", "a"]


def test_each_bar_is_compared_with_its_own_mark_of_noise():
    """A bar's colour and the sentence follow one rule: a bar below its own mark is not called above noise."""
    found = make_importance(
        separates=np.array([0.1, 0.5, 0.3]), band=np.array([0.05, 0.05, 0.4]), noise=np.array([0.1, 0.7, 0.3])
    )
    assert found.above_noise.tolist() == [[True, True, False], [True, False, False]]
    assert above_noise(found) == (
        "Above noise: a by both measures, b by PED-ANOVA alone. Not distinguishable from noise: c."
    )
    assert above_noise(make_importance(noise=np.ones(3))) == "No hyperparameter is distinguishable from noise."
    bars = re.findall(r"fill: (#0072b2|var\(--muted\))", importance_figure(found).svg.lower())
    assert bars.count("#0072b2") == 3
    one_block = make_importance(variance=np.array([[0.9, 0.9, 0.9]]))
    assert not one_block.above_noise.any()


@pytest.mark.parametrize(("shuffles", "below"), [(59, 57), (99, 95)])
def test_the_band_holds_all_bars_in_95_of_100_shuffles(shuffles, below):
    """Of R shuffles 0.95 (R + 1) lie below it with all of their bars; each bar's height is in proportion to its mean."""
    null = np.random.default_rng(0).exponential(size=(shuffles, 3)) * [1, 10, 100]
    band = noise_band(null)
    assert (null <= band * (1 + 1e-12)).all(axis=1).sum() == below
    assert np.ptp(band / null.mean(axis=0)) == pytest.approx(0)


def top_and_bottom(frame, study, rng):
    """The learning rate decides which trials are the best, and l2 which are the worst."""
    rate, l2 = (np.abs(unit(study.space[name], frame[name]) - 0.5) < 0.1 for name in ("learning_rate", "l2"))
    return 0.5 + 0.3 * rate - 0.3 * l2 + 0.02 * rng.normal(size=len(frame))


def test_importance_is_for_being_among_the_best():
    """A hyperparameter that decides the best tenth is named; one that decides the worst, or noise, is not."""
    arms = (Arm("random"),)
    assert Analysis(make_table(top_and_bottom, arms=arms, blocks=4, trials=100)).importance.distinguishable == [
        "learning_rate"
    ]
    noise = make_table(lambda frame, _, rng: rng.uniform(0.4, 0.6, len(frame)), arms=arms, blocks=2, trials=25)
    assert Analysis(noise).importance.distinguishable == []  # 50 trials, which are enough
    assert Analysis(make_table(arms=arms, blocks=1, trials=49)).importance is None
