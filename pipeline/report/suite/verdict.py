"""The verdict over data sets on a contrast: the first of a few fixed rules that matches, and its generated sentences.

The contrasts of a suite share an error rate of 5 % in equal parts, as those of a study do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.intervals import Interval
from pipeline.report.looks import ERROR
from pipeline.report.suite import sentences
from pipeline.report.suite.random_effects import (
    FEWEST_SETS,
    Probabilities,
    RandomEffects,
    interval_of,
    probabilities,
    random_effects,
)
from pipeline.report.suite.sentences import Question
from pipeline.report.suite.set_results import SetResult, by_place
from pipeline.report.verdict import AHEAD, EQUAL, LABELS, TOO_FEW, UNDECIDED
from pipeline.study.spec import Arm


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

    @property
    def label(self) -> str:
        """The rule in at most four words."""
        return "too few data sets" if self.rule == TOO_FEW else LABELS[self.rule]

    @property
    def places(self) -> dict[str, int]:
        """The number of studies that count in which the first arm is ahead, equal enough, behind, or undecided."""
        return {place: len(names) for place, names in by_place(self.results).items()}


def decide_over_sets(question: Question, results: Sequence[SetResult], contrasts: int) -> SuiteVerdict:
    """Decide by the mean over data sets of the expected value of the choice; ``contrasts`` share the error rate."""
    differences = {result.study: result.difference for result in results if result.difference}
    contrast, sets = (question.first, question.second), len(differences)
    if sets < FEWEST_SETS:
        return SuiteVerdict(contrast, TOO_FEW, sentences.too_few(question, differences), tuple(results))
    effects, error, leader = random_effects([*differences.values()]), ERROR / contrasts, None
    interval, equality = interval_of(effects.means, error), interval_of(effects.means, 2 * error)
    if not interval.low <= 0 <= interval.high:
        rule, sentence = AHEAD, sentences.ahead(question, interval, sets)
        leader = contrast[0] if interval.estimate > 0 else contrast[1]
    elif -question.delta < equality.low and equality.high < question.delta:
        rule, sentence = EQUAL, sentences.equal(question, equality, sets)
    else:
        rule, sentence = UNDECIDED, sentences.undecided(question, interval, sets)
    prediction, chances = interval_of(effects.next_set), probabilities(effects.next_set, question.delta)
    return SuiteVerdict(
        contrast,
        rule,
        sentence,
        tuple(results),
        leader=leader.name if leader else None,
        effects=effects,
        interval=interval,
        equality_interval=equality,
        prediction=prediction,
        mean=probabilities(effects.means, question.delta),
        next_set=chances,
        notes=(
            sentences.next_set(question, prediction, chances),
            sentences.shares(question, results),
            *sentences.another_look(question, results, differences, interval, error),
        ),
    )
