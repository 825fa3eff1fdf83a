"""The sentences of the verdict over data sets, and those after it: the next data set, the shares, another look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from pipeline.report.arm_titles import title
from pipeline.report.formatting import amount, capital, count, listed, number, on_test, point, points
from pipeline.report.intervals import Interval
from pipeline.report.suite.random_effects import (
    FEWEST_SETS,
    Probabilities,
    SetDifference,
    interval_of,
    random_effects,
)
from pipeline.report.suite.set_results import SetResult, by_place
from pipeline.report.verdict import LABELS, TOO_FEW, matters, towards
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Arm


@dataclass(frozen=True)
class Question:
    """What a verdict over data sets is about: two arms, the smallest difference that matters, and the metric."""

    first: Arm
    second: Arm
    delta: float
    metric: Metric = ACCURACY

    @property
    def arms(self) -> str:
        """The two arms as a difference."""
        return f"{title(self.first)} minus {title(self.second)}"

    @property
    def declared(self) -> str:
        """The smallest difference that matters, in words."""
        return amount(point(self.delta, self.metric), self.metric)


def ahead(question: Question, interval: Interval, sets: int) -> str:
    """Return the sentence on a lead, of the arm that the interval of first minus second favours."""
    leads, metric = interval.estimate > 0, question.metric
    leader, other = (question.first, question.second) if leads else (question.second, question.first)
    lead = towards(interval, first=leads)
    size, low, high = points(lead, metric)
    return (
        f"{capital(title(leader))} is ahead of {title(other)} on average over data sets: what a search finds scores "
        f"{amount(size, metric)} higher {on_test(metric)} (95% CI {low} to {high}; {sets} data sets)."
        f"{matters(lead, question.delta, metric)}"
    )


def equal(question: Question, equality: Interval, sets: int) -> str:
    """Return the sentence on two arms that are equal enough."""
    metric = question.metric
    _, low, high = points(equality, metric)
    return (
        f"{capital(title(question.first))} and {title(question.second)} are equal enough on average over data sets: by what a "
        f"search finds, the first minus the second is {low} to {amount(high, metric)} {on_test(metric)} (90% CI; {sets} data "
        f"sets), within the \u00b1{question.declared} that do not matter."
    )


def undecided(question: Question, interval: Interval, sets: int) -> str:
    """Return the sentence on two arms that are neither."""
    metric = question.metric
    size, low, high = points(interval, metric)
    return (
        f"Undecided over {sets} data sets: by what a search finds, {question.arms} is {amount(size, metric)} "
        f"{on_test(metric)}, on average over data sets (95% CI {low} to {high})."
    )


def too_few(question: Question, differences: Mapping[str, SetDifference]) -> str:
    """Return the sentence on too few studies that count, with what was seen."""
    metric = question.metric
    seen = [f"{amount(point(d.estimate, metric), metric)} on {name}" for name, d in differences.items()]
    so_far = f" So far {question.arms} is {listed(seen)}." if seen else ""
    return (
        f"Too few data sets: a verdict over data sets needs {FEWEST_SETS} whose studies count, and "
        f"{count(len(differences), 'study counts', 'studies count')}. How much data sets differ cannot be told from fewer."
        f"{so_far} This decides nothing."
    )


def next_set(question: Question, prediction: Interval, chances: Probabilities) -> str:
    """Return the sentence on the next data set."""
    _, low, high = points(prediction, question.metric)
    better, equal_enough, worse = map(chance, chances)
    better_by, worse_by, rest = "", "", ""
    if question.delta:
        better_by, worse_by = f" by more than {question.declared}", " by more"
        rest = f", and equal within them with {equal_enough}"
    return (
        f"On the next data set like these, {question.arms} is {low} to {amount(high, question.metric)} (95% prediction "
        f"interval): {title(question.first)} is better{better_by} with probability {better}, worse{worse_by} with {worse}{rest}."
    )


def chance(probability: float) -> str:
    """Write a probability that draws estimate: none is 0 or 1."""
    if probability < 0.01:
        return "below 0.01"
    return "above 0.99" if probability > 0.99 else number(probability, 2)


def shares(question: Question, results: Sequence[SetResult]) -> str:
    """Return the sentence on the studies' own verdicts, and on those that are left out."""
    places = by_place(results)
    few = len(places.pop(LABELS[TOO_FEW]))
    stands = listed([f"{place} on {len(names)}" for place, names in places.items() if names])
    judged = count(sum(map(len, places.values())), "data set")
    left_out = [f"{result.study} ({result.left_out})" for result in results if result.left_out]
    rest = f" {count(few, 'study has', 'studies have')} too few repeats for a verdict." if few else ""
    rest += f" Left out: {listed(left_out)}." if left_out else ""
    if not stands:
        return f"No study has a verdict of its own.{rest}"
    return f"By the studies' own verdicts, {title(question.first)} against {title(question.second)} is {stands} of {judged}.{rest}"


def another_look(
    question: Question,
    results: Sequence[SetResult],
    differences: Mapping[str, SetDifference],
    interval: Interval,
    error: float,
) -> Iterator[str]:
    """Yield what another look at each undecided study costs and brings to the interval of the mean, then what a set more would."""
    told = False
    for result in results:
        look, difference = result.next_look, result.difference
        if result.place != "undecided" or not look or not difference:
            continue
        later = SetDifference(difference.estimate, difference.variance * difference.blocks / look.blocks, look.blocks)
        narrower = interval_of(random_effects([*{**differences, result.study: later}.values()]).means, error)
        now, then = (_width(found, question.metric) for found in (interval, narrower))
        brings = f"be {then} wide instead of {now}" if then != now else f"stay {now} wide"
        told = True
        yield (
            f"{result.study} is undecided. Its next look, after {look.blocks} blocks, costs {look.cost}; with the same "
            f"differences the 95% CI of the mean would {brings}."
        )
    if told:
        sets = len(differences)
        quantiles = special.stdtrit(np.array([sets, sets - 1]), 1 - error / 2)
        factor = math.sqrt(sets / (sets + 1)) * float(quantiles[0] / quantiles[1])
        more = Interval(0.0, factor * interval.low, factor * interval.high)
        yield f"One more data set like these would make it about {_width(more, question.metric)} wide."


def _width(interval: Interval, metric: Metric) -> str:
    width = interval.high - interval.low
    return amount(points(Interval(width, 0.0, width), metric)[0], metric)
