"""The verdict's rules and sentences, from given differences."""

import re

import numpy as np
import pytest
from scipy import stats
from synthetic import RANDOM, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.boundaries import boundary_levels
from pipeline.report.comparison import Comparison
from pipeline.report.looks import Rules, fewest_blocks, judge_look
from pipeline.report.verdict import decide, one_arm
from pipeline.study.spec import Arm

SPREAD = np.array([-1.5, -1.0, -0.6, -0.3, -0.1, 0.1, 0.3, 0.6, 1.0, 1.5])
"""Ten numbers with mean 0 and standard deviation 0.91; the half-width of their 95 % interval is 0.65."""
NEXT = "The next look, after 20 blocks, costs 2,160 trials, about 9 min of training."


def comparison(expected, first="random", second="shifted_grid", test=None, validation=None):
    """A comparison with the given differences after 108 trials."""
    expected = np.asarray(expected, float)
    test, validation = (expected if x is None else np.asarray(x, float) for x in (test, validation))
    blocks = tuple(range(len(expected)))
    return Comparison(Arm(first), Arm(second), blocks, np.array([108]), test[:, None], validation[:, None], expected)


def verdict(expected, *, looks=None, contrasts=1, delta=0.005, rows=0, complete=None, obstacles=(), **arms):
    """The verdict on differences; by default of one contrast with one look, after all of its blocks."""
    compared = expected if isinstance(expected, Comparison) else comparison(expected, **arms)
    blocks = len(compared.blocks)
    rules = Rules(looks or (blocks,), contrasts, delta, rows)
    return decide(compared, rules, blocks if complete is None else complete, obstacles, NEXT)


def ahead(size, interval, matters, leader="Random search", other="the shifted grid"):
    """The sentence of a lead over ten blocks."""
    return (
        f"{leader} is ahead of {other}: what a search of 108 trials finds scores {size} points higher on test data "
        f"(95% CI {interval}; 10 blocks). {matters}"
    )


ENOUGH, LESS, OPEN = (
    "That is at least the 0.5 points declared to matter.",
    "That is less than the 0.5 points declared to matter.",
    "Whether it is at least the 0.5 points declared to matter is open.",
)


@pytest.mark.parametrize(
    ("differences", "rule", "label", "sentence"),
    [
        (0.01 + 0.005 * SPREAD, 2, "ahead", ahead("1.00", "0.68 to 1.32", ENOUGH)),
        (
            -0.01 + 0.005 * SPREAD,
            2,
            "ahead",
            ahead("1.00", "0.68 to 1.32", ENOUGH, "The shifted grid", "random search"),
        ),
        (0.002 + 0.001 * SPREAD, 2, "ahead", ahead("0.20", "0.14 to 0.26", LESS)),
        (0.006 + 0.003 * SPREAD, 2, "ahead", ahead("0.60", "0.41 to 0.79", OPEN)),
        (0.004 + 0.003 * SPREAD, 2, "ahead", ahead("0.40", "0.21 to 0.59", OPEN)),
        (
            0.0005 + 0.004 * SPREAD,
            3,
            "equal enough",
            (
                "Random search and the shifted grid are equal enough: by what a search of 108 trials finds, the first minus the "
                "second is \u22120.16 to 0.26 points on test data (90% CI; 10 blocks), within the ±0.5 points that do not matter."
            ),
        ),
        (
            0.002 + 0.01 * SPREAD,
            4,
            "undecided",
            (
                "Undecided after 10 blocks: by what a search of 108 trials finds, random search minus the shifted grid is 0.2 "
                f"points on test data (95% CI \u22120.4 to 0.8). {NEXT}"
            ),
        ),
        (
            [0.01, 0.02, 0.01, 0.015, 0.012],
            0,
            "too few repeats",
            (
                "Too few repeats for a verdict. A verdict needs at least 6 blocks: with fewer, any lead can be chance. So far "
                "random search is 1.3 points ahead of the shifted grid, over 5 blocks. This decides nothing."
            ),
        ),
    ],
)
def test_each_rule_has_its_sentence(differences, rule, label, sentence):
    """The first rule that matches decides, and its sentence is generated from the numbers."""
    found = verdict(differences)
    assert (found.rule, found.label, found.sentence) == (rule, label, sentence)


@pytest.mark.parametrize(
    ("delta", "matters"),
    [(0.0066, "at least"), (0.0068, "is open"), (0.0131, "is open"), (0.0133, "less than")],
)
def test_a_lead_matters_by_the_ends_of_its_interval(delta, matters):
    """A lead of 0.68 to 1.32 points is at least a delta below its low end, less than one above its high end, else open."""
    assert matters in verdict(0.01 + 0.005 * SPREAD, delta=delta).sentence.rpartition(". ")[2]


def test_a_low_end_at_delta_is_enough():
    """The interval of a lead that starts exactly at delta leaves nothing open."""
    low = verdict(0.01 + 0.005 * SPREAD).interval.low
    assert "open" not in verdict(0.01 + 0.005 * SPREAD, delta=low).sentence


def test_the_lead_of_the_second_arm_has_an_interval_of_its_own_sign():
    """The textbook grid's lead of 1.4 points over ten blocks has an interval that holds 1.4, not minus 1.4."""
    rng = np.random.default_rng(0)
    found = verdict(-0.014 + 0.01 * rng.normal(size=10), second="grid")
    assert found.leader == "grid"
    assert found.interval.estimate < 0
    lead, low, high = (-100 * x for x in (found.interval.estimate, found.interval.high, found.interval.low))
    assert 0 < low < lead < high
    assert f"scores {lead:.1f} points higher on test data (95% CI {low:.1f} to {high:.1f}; 10 blocks)" in found.sentence


def test_validation_accuracy_vetoes_nothing():
    """Twenty blocks with a lead of a point by test accuracy have a leader, though validation says equal or the opposite."""
    rng = np.random.default_rng(0)
    expected = 0.010 + 0.004 * rng.normal(size=20)
    for validation in (0.002 * np.resize([1, -1], 20), -expected):
        found = verdict(comparison(expected, validation=validation))
        assert (found.rule, found.leader) == (2, "random")
        assert found == verdict(expected)


def test_the_expected_accuracy_decides_and_not_that_of_the_chosen_model():
    """A lead of the very models that were chosen changes nothing where their expected accuracies are equal."""
    equal = 0.0005 + 0.004 * SPREAD
    assert verdict(comparison(equal, test=0.01 + 0.005 * SPREAD)).rule == 3


def test_an_obstacle_withholds_the_verdict():
    """With an obstacle a clear difference has no verdict; the reason is named, and there is no look."""
    found = verdict(0.01 + 0.005 * SPREAD, obstacles=["the budgets are unequal"])
    assert (found.rule, found.sentence) == (1, "Verdict withheld: the budgets are unequal.")
    assert (found.looks, found.leader, found.decided_at, found.interval) == ((), None, None, None)


def test_an_obstacle_is_named_where_blocks_are_few():
    """Below six blocks the number of blocks is the reason, and an obstacle is named after it."""
    found = verdict([0.0] * 3, obstacles=["every trial scored the same (90.0%)"])
    assert (found.rule, verdict([0.0] * 6, obstacles=["the budgets are unequal"], contrasts=2).rule) == (0, 0)
    assert found.sentence.endswith(
        "So far random search and the shifted grid score the same, over 3 blocks. This decides nothing. Besides: every trial "
        "scored the same (90.0%)."
    )


def test_swapped_arms_give_the_mirrored_sentence():
    """The order of the arms changes neither the leader nor a digit of a lead."""
    there = verdict(0.0123 + 0.005 * SPREAD)
    back = verdict(-0.0123 - 0.005 * SPREAD[::-1], first="shifted_grid", second="random")
    assert (there.sentence, there.leader) == (back.sentence, back.leader)


def test_no_sentence_says_that_there_is_no_difference():
    """An interval never proves a zero, so no sentence claims one."""
    rng = np.random.default_rng(0)
    for scale in (0, 0.001, 0.01):
        for blocks in (1, 3, 6, 10):
            sentence = verdict(scale * rng.normal(size=blocks), rows=360).sentence.lower()
            assert "there is no difference" not in sentence


def test_a_delta_of_zero_leaves_no_word_on_what_matters():
    """Where no difference is too small to matter, a lead has its size alone."""
    assert verdict(0.01 + 0.005 * SPREAD, delta=0.0).sentence == ahead("1.00", "0.68 to 1.32", "").strip()


@pytest.mark.parametrize(("contrasts", "fewest"), [(1, 6), (2, 7), (3, 7), (4, 8), (5, 8)])
def test_the_fewest_blocks_of_a_verdict_are_those_whose_sign_flips_reach_the_level(contrasts, fewest):
    """K blocks have no p below 2^(1 - K), which must be at most 0.05 / contrasts: six blocks for one, seven for two."""
    assert 2.0 ** (1 - fewest) <= 0.05 / contrasts < 2.0 ** (2 - fewest)
    assert fewest_blocks(contrasts) == fewest
    found = [verdict(0.01 + 0.0001 * SPREAD[:blocks], contrasts=contrasts) for blocks in (fewest - 1, fewest)]
    assert [few.rule for few in found] == [0, 2]


def test_six_blocks_are_too_few_for_two_contrasts():
    """The sentence has the number of contrasts and of the blocks that they need."""
    assert verdict([0.012] * 6, rows=360, contrasts=2).sentence == (
        "Too few repeats for a verdict. Verdicts on 2 contrasts need at least 7 blocks: with fewer, any lead can be chance. So far random "
        "search is 1.200 points ahead of the shifted grid, over 6 blocks. This decides nothing."
    )


def test_a_study_of_two_looks_at_six_and_twelve_waits_for_the_second():
    """Six clear blocks have no verdict before the twelfth."""
    found = verdict(0.01 + 0.0005 * SPREAD[:6], looks=(6, 12))
    assert found.sentence.startswith("Too few repeats for a verdict. The first look is after 12 blocks. ")


def test_before_the_first_look_there_is_no_verdict():
    """Nine blocks of a study whose first look is after ten have none, however clear they are."""
    found = verdict(0.01 + 0.0005 * SPREAD[:9], looks=(10, 20))
    assert (found.rule, found.leader, found.looks) == (0, None, ())
    assert found.sentence.startswith(
        "Too few repeats for a verdict. The first look is after 10 blocks. So far random search is "
    )


@pytest.mark.parametrize(
    ("differences", "so_far"),
    [
        ([0.0742, -0.0658], "random search is 0.4 points ahead of the shifted grid"),
        ([0.0142, -0.0139], "random search and the shifted grid score about the same"),
    ],
)
def test_a_first_look_has_the_digits_of_its_key_number(differences, so_far):
    """Two blocks have a wide interval, and the sentence and the key number show the same tenths of a point."""
    assert so_far in verdict(differences, looks=(10, 20)).sentence


def test_an_incomplete_block_is_not_looked_at():
    """Ten common blocks of which nine are whole are before the look at ten."""
    assert verdict(0.01 + 0.0005 * SPREAD, complete=9).rule == 0


# A lead needs the interval and the sign flips.


@pytest.mark.parametrize(
    ("differences", "leaves_out_zero", "below_level"),
    [
        ([0.01] * 5 + [-0.0001], True, False),
        ([0.01] * 5 + [0.2], False, True),
        ([0.01, 0.011, 0.012, 0.013, 0.014, 0.015], True, True),
        ([0.01, -0.011, 0.012, -0.013, 0.014, -0.015], False, False),
    ],
)
def test_an_arm_is_ahead_where_interval_and_sign_flips_agree(differences, leaves_out_zero, below_level):
    """Neither alone is enough: a single block of the other sign, or far from the rest, makes them disagree."""
    compared = comparison(differences)
    look = judge_look(compared.expected, 0.025, 0.05, Rules((6,), 1, 0.005, 0))
    assert (not look.interval.low <= 0 <= look.interval.high) == leaves_out_zero
    assert (compared.expected_difference.p <= 0.05) == below_level
    assert look.ahead == (leaves_out_zero and below_level)
    assert (verdict(compared).rule == 2) == look.ahead


def test_one_judge_look_one_contrast_has_the_usual_intervals():
    """They are SciPy's t-intervals of 95 and 90 %."""
    x = 0.002 + 0.01 * SPREAD
    (look,) = verdict(x).looks
    for interval, confidence in ((look.interval, 0.95), (look.equality_interval, 0.90)):
        expected = stats.ttest_1samp(x, 0).confidence_interval(confidence)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


# Several contrasts.


def test_the_contrasts_share_the_error_in_equal_parts():
    """Each of m contrasts has intervals of 1 - 0.05 / m, whatever the others are: no contrast inherits from a decided one."""
    x = 0.002 + 0.01 * SPREAD
    for m in (1, 2, 3, 5):
        (look,) = verdict(x, contrasts=m).looks
        expected = stats.ttest_1samp(x, 0).confidence_interval(1 - 0.05 / m)
        assert (look.interval.low, look.interval.high) == pytest.approx((expected.low, expected.high))


def test_a_difference_between_the_levels_of_one_and_of_two_contrasts_leads_only_alone():
    """A p of 0.035 is below 0.05 and not below 0.025."""
    x = 0.004 + 0.0056 * SPREAD
    assert 0.025 < comparison(x).expected_difference.p < 0.05
    assert [verdict(x, contrasts=m).rule for m in (1, 2)] == [2, 4]


# Several looks.


LOOKS = (10, 20, 30)
CLEAR, NOISE = 0.01 + 0.004 * SPREAD, 0.02 * SPREAD
EVEN = 0.003 * SPREAD


def test_each_look_has_the_boundary_of_the_spending_function():
    """The interval after K blocks is a t-interval at the look's own level."""
    x = np.concatenate([NOISE, NOISE[::-1], 0.5 * NOISE])
    found = verdict(x, looks=LOOKS, contrasts=2)
    assert [look.blocks for look in found.looks] == [10, 20, 30]
    for look, lead, equal in zip(
        found.looks, boundary_levels(LOOKS, 0.0125), boundary_levels(LOOKS, 0.025), strict=True
    ):
        for interval, level in ((look.interval, lead), (look.equality_interval, equal)):
            expected = stats.ttest_1samp(x[: look.blocks], 0).confidence_interval(1 - 2 * level)
            assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_looks_cost_error():
    """A difference that one planned look decides is not decided by the first of three."""
    x = 0.0067 + 0.01 * SPREAD
    assert verdict(x).rule == 2
    assert verdict(x, looks=LOOKS).rule == 4


def test_a_lead_stays_decided_at_later_looks():
    """A clear lead after ten blocks is the verdict after twenty too, though the twenty alone would not decide."""
    x = np.concatenate([CLEAR, NOISE - 0.002])
    found = verdict(x, looks=LOOKS)
    assert [look.ahead for look in found.looks] == [True, False]
    assert (found.rule, found.leader, found.decided_at) == (2, "random", 10)
    assert found.interval == found.looks[-1].interval
    assert "scores 1.00 points higher" in found.sentence
    assert "10 blocks). That is at least" in found.sentence
    assert found.sentence.endswith(
        "That was decided earlier; after 20 blocks the first minus the second is 0.4 (\u22120.4 to 1.2)."
    )


def test_equality_stays_decided_at_later_looks():
    """Arms that were equal enough after ten blocks stay so, though twenty blocks find a lead."""
    x = np.concatenate([0.002 + EVEN, 0.003 + 0.1 * EVEN])
    found = verdict(x, looks=LOOKS)
    first, second = found.looks
    assert (first.ahead, first.equal, second.ahead) == (False, True, True)
    assert (found.rule, found.leader, found.decided_at) == (3, None, 10)
    stands = verdict(np.concatenate([0.001 + EVEN, 0.001 + EVEN]), looks=LOOKS)
    assert (stands.rule, "20 blocks), within" in stands.sentence) == (3, True)


def test_arms_that_a_later_look_sets_apart_have_the_numbers_of_both_looks():
    """The sentence has the interval by which they were equal enough, and then that of the last look, which is not."""
    found = verdict(np.concatenate([0.001 + EVEN, 0.015 + EVEN]), looks=LOOKS)
    assert (found.rule, found.decided_at) == (3, 10)
    assert "10 blocks), within the ±0.5 points that do not matter. That was decided earlier; after 20 blocks" in (
        found.sentence
    )


def test_the_size_of_a_lead_is_that_of_the_last_look():
    """A lead that was decided after ten blocks has the interval of thirty."""
    x = np.concatenate([CLEAR, CLEAR - 0.003, CLEAR - 0.003])
    found = verdict(x, looks=LOOKS)
    assert found.decided_at == 10
    assert found.interval.estimate == pytest.approx(x.mean())
    assert "scores 0.80 points higher" in found.sentence
    assert "30 blocks)" in found.sentence


def test_an_undecided_contrast_is_decided_by_a_later_look():
    """The number of its blocks is that of the first look that decides."""
    x = np.concatenate([NOISE, CLEAR, CLEAR + 0.02])
    found = verdict(x, looks=LOOKS)
    assert [look.ahead for look in found.looks] == [False, False, True]
    assert found.decided_at == 30


def test_blocks_beyond_the_last_look_change_no_verdict():
    """Four blocks more than the declared ten, of whatever difference, leave every word as it was."""
    assert verdict(NOISE).rule == 4
    for more in (0.05, -0.05):
        assert verdict(np.append(NOISE, [more] * 4), looks=(10,)) == verdict(NOISE)


def test_blocks_between_two_looks_change_no_verdict():
    """Fifteen blocks are judged by the first ten until there are twenty."""
    x = np.concatenate([NOISE, [0.03] * 5])
    assert verdict(x, looks=LOOKS) == verdict(NOISE, looks=LOOKS)


def test_a_look_that_sign_flips_cannot_decide_is_none():
    """Looks before the sixth block are left out, and their share of the error goes to the others."""
    x = 0.0067 + 0.01 * SPREAD
    assert verdict(x, looks=(3, 10)) == verdict(x, looks=(10,))


# The grain of the rows.


def test_equality_needs_room_for_the_grain_of_the_rows():
    """Six blocks of twenty rows that agree exactly are not equal enough: 120 rows leave 2.5 points open."""
    found = verdict([0.0] * 6, rows=20)
    assert found.rule == 4
    (look,) = found.looks
    assert look.equality_interval.high == pytest.approx(-np.log(0.05) / 120)
    assert (look.equality_interval.low, look.interval.high) == pytest.approx(
        (-look.equality_interval.high, -np.log(0.025) / 120)
    )
    assert verdict([0.0] * 10, rows=360).rule == 3


def test_a_lead_that_is_the_same_in_all_blocks_has_an_interval():
    """Twenty rows in each of eight blocks leave a lead of 2 points open, and 360 do not."""
    assert verdict([0.02] * 8, rows=20).rule == 4
    found = verdict([0.02] * 8, rows=360)
    assert "2.00 points higher on test data (95% CI 1.87 to 2.13; 8 blocks)" in found.sentence


def test_wider_intervals_do_not_depend_on_the_rows():
    """The grain is the least width, and is not added to one that is larger."""
    assert verdict(NOISE, rows=360) == verdict(NOISE, rows=0)


def test_one_arm_is_told_alone():
    """A study of one arm has its best trial, with accuracies; or none, if all diverged."""
    found = one_arm(RANDOM, Analysis(make_table(arms=(RANDOM,), blocks=2, trials=6)).winner)
    assert found.label == "nothing to compare"
    assert re.fullmatch(
        r"The best of 12 trials of random search, random-b0\d-000\d, has a test accuracy of [\d.]+% "
        r"\(95% CI [\d.]+ to [\d.]+; 360 rows\)\. It was chosen by its validation accuracy, [\d.]+%\.",
        found.sentence,
    )
    assert one_arm(RANDOM, None).sentence.startswith("No trial of random search was trained to the end")
