"""The verdict over data sets on a contrast: the first of a few fixed rules that matches, and its generated sentences.

The contrasts of a suite share an error rate of 5 % in equal parts, as those of a study do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from pipeline.report.analysis import NextLook
from pipeline.report.arm_titles import title
from pipeline.report.formatting import capital, count, listed, number, point, points
from pipeline.report.intervals import Interval
from pipeline.report.suite.random_effects import (
    FEWEST_SETS,
    Probabilities,
    RandomEffects,
    SetDifference,
    interval_of,
    probabilities,
    random_effects,
)
from pipeline.report.verdict import AHEAD, EQUAL, ERROR, LABELS, TOO_FEW, UNDECIDED, Verdict, towards
from pipeline.study.spec import Arm

PLACES = ("ahead", "equal enough", "behind", "undecided")
"""Where the first arm stands on one data set."""


@dataclass(frozen=True)
class SetResult:
    """One study's result on a contrast.

    Attributes
    ----------
    study, dataset
        Their names.
    verdict
        The study's verdict on the contrast.
    difference
        First arm minus second, with its noise; None if the study cannot count.
    interval
        The difference and its 95 % interval, if there is one.
    left_out
        Why the study does not count, as a clause; empty if it does.
    next_look
        The next look at the study, for one that is undecided and has one.
    """

    study: str
    dataset: str
    verdict: Verdict
    difference: SetDifference | None = None
    interval: Interval | None = None
    left_out: str = ""
    next_look: NextLook | None = None

    @property
    def place(self) -> str:
        """Where the first arm stands, one of :data:`PLACES`."""
        if self.verdict.rule == AHEAD:
            return "ahead" if self.verdict.leader == self.verdict.contrast[0].name else "behind"
        return "equal enough" if self.verdict.rule == EQUAL else "undecided"


@dataclass(frozen=True)
class SuiteVerdict:
    """The verdict over data sets on a contrast.

    Attributes
    ----------
    contrast
        The two arms.
    rule
        The number of the rule that matched; those of a single verdict, without ``withheld``.
    sentence
        The verdict in words.
    results
        The result of each study that is recorded.
    leader
        The name of the arm that is ahead in the mean, or None.
    effects
        The distributions of the mean and of the next data set; None for too few sets.
    interval, equality_interval
        The mean with the interval that decides about a lead, and with the one that decides about equality.
    prediction
        The difference on the next data set, with its 95 % interval.
    mean, next_set
        The probabilities that the mean, and the difference on the next set, are better, equal or worse by ``delta``.
    notes
        Sentences after the verdict: the next set, the shares, and what another look would bring.
    """

    contrast: tuple[Arm, Arm]
    rule: int
    sentence: str
    results: tuple[SetResult, ...]
    leader: str | None = None
    effects: RandomEffects | None = None
    interval: Interval | None = None
    equality_interval: Interval | None = None
    prediction: Interval | None = None
    mean: Probabilities | None = None
    next_set: Probabilities | None = None
    notes: tuple[str, ...] = ()
    label: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", LABELS[self.rule])

    @property
    def places(self) -> dict[str, int]:
        """The number of studies in which the first arm is ahead, equal enough, behind, or undecided."""
        return {place: sum(result.place == place for result in self.results) for place in PLACES}


def decide_over_sets(
    contrast: tuple[Arm, Arm], results: Sequence[SetResult], delta: float, contrasts: int
) -> SuiteVerdict:
    """Decide by the mean over data sets of the expected accuracy of the choice.

    Parameters
    ----------
    contrast
        The two arms.
    results
        The results of the studies.
    delta
        The smallest difference of accuracy that matters.
    contrasts
        The number of contrasts that share the error rate.
    """
    differences = {result.study: result.difference for result in results if result.difference}
    if len(differences) < FEWEST_SETS:
        return SuiteVerdict(contrast, TOO_FEW, _too_few(contrast, differences), tuple(results))
    effects, error = random_effects([*differences.values()]), ERROR / contrasts
    interval, equality = interval_of(effects.means, error), interval_of(effects.means, 2 * error)
    sets, leader = len(differences), None
    if not interval.low <= 0 <= interval.high:
        rule, leader = AHEAD, contrast[0] if interval.estimate > 0 else contrast[1]
        sentence = _ahead(contrast, interval, leader, delta, sets)
    elif -delta < equality.low and equality.high < delta:
        rule, sentence = EQUAL, _equal(contrast, equality, delta, sets)
    else:
        rule, sentence = UNDECIDED, _undecided(contrast, interval, sets)
    prediction, next_set = interval_of(effects.next_set), probabilities(effects.next_set, delta)
    notes = [
        _next_set(contrast, prediction, next_set, delta),
        _shares(contrast, results),
        *_another_look(results, differences, interval, error),
    ]
    return SuiteVerdict(
        contrast,
        rule,
        sentence,
        tuple(results),
        leader.name if leader else None,
        effects,
        interval,
        equality,
        prediction,
        probabilities(effects.means, delta),
        next_set,
        tuple(notes),
    )


def _ahead(contrast: tuple[Arm, Arm], interval: Interval, leader: Arm, delta: float, sets: int) -> str:
    lead = towards(interval, first=leader is contrast[0])
    other = contrast[1] if leader is contrast[0] else contrast[0]
    size, low, high = points(lead)
    declared = f"the {point(delta)} points declared to matter"
    if not delta:
        matters = ""
    elif lead.low >= delta:
        matters = f" That is at least {declared}."
    elif lead.high < delta:
        matters = f" That is less than {declared}."
    else:
        matters = f" Whether it is at least {declared} is open."
    return (
        f"{capital(title(leader))} is ahead of {title(other)} on average over data sets: what a search finds scores {size} points "
        f"higher on test data (95% CI {low} to {high}; {sets} data sets).{matters}"
    )


def _equal(contrast: tuple[Arm, Arm], equality: Interval, delta: float, sets: int) -> str:
    _, low, high = points(equality)
    return (
        f"{capital(title(contrast[0]))} and {title(contrast[1])} are equal enough on average over data sets: by what a search "
        f"finds, the first minus the second is {low} to {high} points on test data (90% CI; {sets} data sets), within the "
        f"\u00b1{point(delta)} points that do not matter."
    )


def _undecided(contrast: tuple[Arm, Arm], interval: Interval, sets: int) -> str:
    size, low, high = points(interval)
    return (
        f"Undecided over {sets} data sets: by what a search finds, {title(contrast[0])} minus {title(contrast[1])} is {size} "
        f"points on test data, on average over data sets (95% CI {low} to {high})."
    )


def _too_few(contrast: tuple[Arm, Arm], differences: Mapping[str, SetDifference]) -> str:
    seen = [f"{point(difference.estimate)} on {name}" for name, difference in differences.items()]
    so_far = f" So far {title(contrast[0])} minus {title(contrast[1])} is {listed(seen)}, in points." if seen else ""
    return (
        f"Too few data sets: a verdict over data sets needs {FEWEST_SETS} whose studies count, and "
        f"{count(len(differences), 'study counts', 'studies count')}. How much data sets differ cannot be told from fewer."
        f"{so_far} This decides nothing."
    )


def _next_set(contrast: tuple[Arm, Arm], prediction: Interval, chances: Probabilities, delta: float) -> str:
    _, low, high = points(prediction)
    better, equal, worse = (number(share, 2) for share in chances)
    if not delta:
        words = f"{title(contrast[0])} is better with probability {better}, worse with {worse}"
    else:
        words = (
            f"{title(contrast[0])} is better by more than {point(delta)} points with probability {better}, worse by more with "
            f"{worse}, and equal within them with {equal}"
        )
    return (
        f"On the next data set like these the difference is {low} to {high} points (95% prediction interval): {words}."
    )


def _shares(contrast: tuple[Arm, Arm], results: Sequence[SetResult]) -> str:
    by_place = {place: [r.study for r in results if r.place == place and not r.left_out] for place in PLACES}
    counted = sum(map(len, by_place.values()))
    clauses = [f"{place} on {len(names)}" for place, names in by_place.items() if names and place != "undecided"]
    undecided = by_place["undecided"]
    open_ones = f"{' and ' if clauses else ''}undecided on {len(undecided)}" if undecided else ""
    left_out = [f"{result.study} ({result.left_out})" for result in results if result.left_out]
    rest = f" Left out: {listed(left_out)}." if left_out else ""
    stands = f"{', '.join(clauses) if open_ones else listed(clauses)}{open_ones}"
    return (
        f"By the studies' own verdicts, {title(contrast[0])} against {title(contrast[1])} is {stands} of "
        f"{count(counted, 'data set')}.{rest}"
    )


def _another_look(
    results: Sequence[SetResult], differences: Mapping[str, SetDifference], interval: Interval, error: float
) -> list[str]:
    """Return what another look at each undecided study costs and brings to the interval of the mean."""
    width, sentences = interval.high - interval.low, []
    for result in results:
        look, difference = result.next_look, result.difference
        if result.place == "undecided" and look and difference:
            fewer = difference._replace(
                variance=difference.variance * difference.blocks / look.blocks, blocks=look.blocks
            )
            narrower = interval_of(random_effects([*{**differences, result.study: fewer}.values()]).means, error)
            sentences.append(
                f"{result.study} is undecided. Its next look, after {look.blocks} blocks, costs {look.cost}; with the same "
                f"differences the 95% CI of the mean would be {_width(narrower.high - narrower.low)} points wide instead of "
                f"{_width(width)}."
            )
    if sentences:
        sets = len(differences)
        quantiles = special.stdtrit(np.array([sets, sets - 1]), 1 - error / 2)
        more = width * math.sqrt(sets / (sets + 1)) * float(quantiles[0] / quantiles[1])
        sentences.append(f"One more data set like these would make it about {_width(more)} points wide.")
    return sentences


def _width(width: float) -> str:
    return points(Interval(width, 0.0, width))[0]
