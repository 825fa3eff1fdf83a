"""The verdict's rules and sentences, from given differences."""

import numpy as np
import pytest

from pipeline.report.comparison import Comparison
from pipeline.report.verdict import decide
from pipeline.study.spec import Arm

SPREAD = np.array([-1.5, -1.0, -0.6, -0.3, -0.1, 0.1, 0.3, 0.6, 1.0, 1.5])

UNDETECTED = (
    "No difference detected. This experiment would have found a difference of 0.90 points four times out of five; "
    "smaller ones it could miss."
)
TOO_FEW = (
    "Too few repeats for a verdict (K of at least 6 needed: with 5 the smallest possible p is 0.06). What was seen: the "
    "model that random search chose after 108 trials scored 1.3 points higher, over 5 blocks."
)


def ahead(leader):
    """The sentence of rule 2 for a lead of one point."""
    return (
        f"{leader} is ahead: after 108 trials its chosen model scores 1.00 points higher on held-out test data "
        "(95% CI 0.68 to 1.32; 10 blocks)."
    )


def comparison(test, validation=None, first="random", second="shifted_grid"):
    """A comparison with the given differences after 108 trials."""
    test = np.asarray(test, float)[:, None]
    validation = test if validation is None else np.asarray(validation, float)[:, None]
    return Comparison(Arm(first), Arm(second), tuple(range(len(test))), np.array([108]), test, validation)


@pytest.mark.parametrize(
    ("differences", "rule", "sentence"),
    [
        (
            0.01 + 0.005 * SPREAD,
            2,
            ahead("Random search"),
        ),
        (
            -0.01 + 0.005 * SPREAD,
            2,
            ahead("The shifted grid"),
        ),
        (
            0.002 + 0.001 * SPREAD,
            3,
            "Random search is measurably but not usefully ahead: 0.2 points, less than the 0.5 declared to matter.",
        ),
        (0.0005 + 0.004 * SPREAD, 4, "Equal enough: the difference is within ±0.5 points."),
        (np.zeros(10), 4, "Equal enough: the difference is within ±0.5 points."),
        (
            0.002 + 0.01 * SPREAD,
            5,
            UNDETECTED,
        ),
        (
            [0.01, 0.02, 0.01, 0.015, 0.012],
            0,
            TOO_FEW,
        ),
    ],
)
def test_each_rule_has_its_sentence(differences, rule, sentence):
    """The first rule that matches decides, and its sentence is generated from the numbers."""
    verdict = decide(comparison(differences), delta=0.005)
    assert (verdict.rule, verdict.sentence) == (rule, sentence)


def test_an_obstacle_withholds_the_verdict():
    """With an obstacle a clear difference has no verdict; the reason is named."""
    verdict = decide(comparison(0.01 + 0.005 * SPREAD), 0.005, ["the budgets are unequal"])
    assert (verdict.rule, verdict.sentence) == (1, "Verdict withheld: the budgets are unequal.")


def test_swapped_arms_give_the_mirrored_sentence():
    """The order of the arms changes neither the leader nor a digit."""
    there = decide(comparison(0.0123 + 0.005 * SPREAD), 0.005)
    back = decide(comparison(-0.0123 - 0.005 * SPREAD[::-1], first="shifted_grid", second="random"), 0.005)
    assert there == back


def test_a_verdict_that_validation_contradicts_is_no_difference_detected():
    """If test and validation have different leaders, no difference is detected."""
    ahead, behind = 0.01 + 0.005 * SPREAD, -0.01 + 0.005 * SPREAD
    assert decide(comparison(ahead, behind), 0.005).rule == 5
    assert decide(comparison(ahead, ahead), 0.005).rule == 2


def test_validation_without_a_claim_contradicts_nothing():
    """A difference by test accuracy stands if validation accuracy detects none."""
    assert decide(comparison(0.01 + 0.005 * SPREAD, 0.002 + 0.01 * SPREAD), 0.005).rule == 2


def test_no_sentence_says_that_there_is_no_difference():
    """An interval never proves a zero, so no sentence claims one."""
    rng = np.random.default_rng(0)
    for scale in (0, 0.001, 0.01):
        for K in (1, 3, 6, 10):
            assert (
                "there is no difference" not in decide(comparison(scale * rng.normal(size=K)), 0.005).sentence.lower()
            )


def test_blocks_without_a_difference_have_no_detectable_one():
    """With a delta of 0 and no difference anywhere, the sentence has no detectable difference."""
    verdict = decide(comparison([0.0] * 8), delta=0.0)
    assert verdict.sentence == "No difference detected: what the arms chose scored the same in all 8 blocks."
    few = decide(comparison([0.0] * 3), 0.005, ["every trial scored the same (90.0%)"])
    assert few.sentence.endswith(
        "What was seen: no difference after 108 trials, over 3 blocks. Besides: every trial scored the same (90.0%)."
    )


def test_a_lead_that_is_the_same_in_all_blocks_has_no_interval():
    """An interval of width 0 would look like certainty."""
    verdict = decide(comparison([0.02] * 8), 0.005)
    assert "2.00 points higher on held-out test data (the same in all 8 blocks: no interval)." in verdict.sentence


def test_six_blocks_have_a_verdict_and_five_have_none():
    """A sign-flip test can reach 0.05 from six blocks on."""
    assert [decide(comparison([0.01] * blocks), 0.005).rule for blocks in (5, 6)] == [0, 2]


def test_a_difference_as_large_as_was_declared_to_matter_is_useful():
    """Only a smaller difference is measurably but not usefully ahead."""
    assert decide(comparison([0.25] * 8), 0.25).rule == 2
    assert decide(comparison([0.25] * 8), 0.26).rule == 3


def test_equality_on_validation_contradicts_a_lead():
    """If validation claims that the arms are equal, a lead by test accuracy is not claimed."""
    equal = 0.0005 + 0.004 * SPREAD
    assert decide(comparison(0.01 + 0.005 * SPREAD, equal), 0.005).rule == 5
    assert decide(comparison(equal, equal), 0.005).rule == 4
