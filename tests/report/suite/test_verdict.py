"""The verdict over data sets: the first rule that matches, its words, and what another look would bring."""

import re
from dataclasses import replace

import pytest

from pipeline.report.analysis import NextLook
from pipeline.report.intervals import Interval
from pipeline.report.suite import sentences
from pipeline.report.suite.random_effects import SetDifference
from pipeline.report.suite.sentences import Question
from pipeline.report.suite.set_results import SetResult
from pipeline.report.suite.verdict import decide_over_sets
from pipeline.report.verdict import AHEAD, EQUAL, TOO_FEW, UNDECIDED, Verdict
from pipeline.study.metrics import METRICS
from pipeline.study.spec import Arm

CONTRAST = Arm("random"), Arm("grid")
QUESTION = Question(*CONTRAST, 0.005)
SINGLE = {
    "ahead": Verdict(AHEAD, "", "random", CONTRAST),
    "behind": Verdict(AHEAD, "", "grid", CONTRAST),
    "equal enough": Verdict(EQUAL, "", None, CONTRAST),
    "undecided": Verdict(UNDECIDED, "", None, CONTRAST),
}


def results(points, noise=0.1, places=()):
    """Results on one data set for each difference in points, with equal noise, and the studies' own verdicts."""
    differences = [SetDifference(x / 100, (noise / 100) ** 2, 10) for x in points]
    places = places or ["undecided"] * len(points)
    return [
        SetResult(f"s{i}", f"d{i}", SINGLE[place], d, Interval(d.estimate, -1, 1))
        for i, (d, place) in enumerate(zip(differences, places, strict=True))
    ]


@pytest.mark.parametrize(
    ("points", "delta", "rule", "words"),
    [
        ([1.0, 1.2, 0.9, 1.1], 0.005, AHEAD, "Random search is ahead of the textbook grid on average over data sets"),
        ([1.0, 1.2, 0.9, 1.1], 0.005, AHEAD, "That is at least the 0.5 points declared to matter."),
        ([-1.0, -1.2, -0.9, -1.1], 0.05, AHEAD, "The textbook grid is ahead of random search on average"),
        ([-1.0, -1.2, -0.9, -1.1], 0.05, AHEAD, "scores 1.05 points higher on test data (95% CI 0."),
        ([-1.0, -1.2, -0.9, -1.1], 0.05, AHEAD, "That is less than the 5 points declared to matter."),
        ([0.1, -0.1, 0.05, -0.08], 0.005, EQUAL, "within the ±0.5 points that do not matter"),
        ([3.0, -3.0, 0.5, 1.0], 0.005, UNDECIDED, "Undecided over 4 data sets"),
        ([1.0, 1.2], 0.005, TOO_FEW, "needs 3 whose studies count, and 2 studies count"),
        ([], 0.005, TOO_FEW, "0 studies count"),
    ],
)
def test_the_first_rule_that_matches_decides(points, delta, rule, words):
    """Ahead, equal enough, undecided or too few, by the mean over data sets and the declared delta, in these words."""
    verdict = decide_over_sets(Question(*CONTRAST, delta), results(points), 1)
    assert verdict.rule == rule
    assert words in verdict.sentence
    assert verdict.leader == (None if rule != AHEAD else "random" if points[0] > 0 else "grid")


def test_the_words_are_those_of_the_metric():
    """A metric that is no share has no points, and is named."""
    question = Question(*CONTRAST, 0.005, METRICS["neg_log_loss"])
    verdict = decide_over_sets(question, results([1.0, 1.2, 0.9, 1.1]), 1)
    assert "scores 0.0105 higher in test negative log-loss (95% CI 0.0" in verdict.sentence
    assert not [text for text in (verdict.sentence, *verdict.notes) if "points" in text]


def test_contrasts_share_the_error_rate():
    """With several contrasts the interval that decides is wider."""
    one, five = (decide_over_sets(QUESTION, results([1.0, 1.5, 0.7, 2.0]), n).interval for n in (1, 5))
    assert five.low < one.low < one.high < five.high


def test_the_notes_tell_the_next_set_and_the_shares():
    """After the verdict come the next data set with its probabilities, and in how many studies the first arm leads."""
    places = ["ahead", "ahead", "behind", "equal enough", "undecided"]
    found = results([1.0, 1.2, -0.9, 0.1, 0.4], places=places)
    found.append(SetResult("s5", "d5", SINGLE["undecided"], left_out="its verdict is withheld"))
    verdict = decide_over_sets(QUESTION, found, 1)
    following, shares, *_ = verdict.notes
    assert following.startswith("On the next data set like these, random search minus the textbook grid is \u2212")
    assert "random search is better by more than 0.5 points with probability 0." in following
    assert (
        shares
        == "By the studies' own verdicts, random search against the textbook grid is ahead on 2, equal enough on 1, "
        "behind on 1 and undecided on 1 of 5 data sets. Left out: s5 (its verdict is withheld)."
    )
    assert verdict.effects.sets == 5
    found[4] = replace(found[4], verdict=Verdict(TOO_FEW, "", None, CONTRAST))
    assert "behind on 1 of 4 data sets. 1 study has too few repeats for a verdict. Left" in sentences.shares(
        QUESTION, found
    )


def test_what_another_look_brings_is_told_of_undecided_studies():
    """A noisy undecided study has the cost of its next look and the width that the interval would have; a set more, too."""
    found = results([1.0, 1.2, 0.9, 1.1], noise=1.0, places=["ahead", "ahead", "ahead", "undecided"])
    look = NextLook(20, 340, 300.0)
    found[3] = SetResult("s3", "d3", SINGLE["undecided"], found[3].difference, found[3].interval, next_look=look)
    verdict = decide_over_sets(QUESTION, found, 1)
    again, more = verdict.notes[2:]
    assert again.startswith(
        "s3 is undecided. Its next look, after 20 blocks, costs 340 trainings, about 5.0 min of one worker"
    )
    then, now = map(
        float, re.fullmatch(r".* would be ([\d.]+) points wide instead of ([\d.]+) points\.", again).groups()
    )
    assert then < now == pytest.approx(100 * (verdict.interval.high - verdict.interval.low), abs=0.1)
    assert more.startswith("One more data set like these would make it about ")
