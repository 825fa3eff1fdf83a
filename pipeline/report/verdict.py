"""The verdict on a contrast: the first of a few fixed rules that matches, and its generated sentence.

A contrast is looked at after declared numbers of blocks. The family of contrasts shares an error rate of 5 %: each has an
equal part of it, which its looks spend in proportion to their blocks (:mod:`pipeline.report.boundaries`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.report.arm_titles import title
from pipeline.report.boundaries import boundary_levels
from pipeline.report.comparison import Comparison
from pipeline.report.formatting import amount, capital, count, ends, on_test, point, points, value
from pipeline.report.intervals import Interval
from pipeline.report.looks import ERROR, Look, Rules, fewest_blocks, judge_look, usable_looks
from pipeline.report.winner import Winner
from pipeline.study.metrics import Metric
from pipeline.study.spec import Arm

LABELS = ("too few repeats", "withheld", "ahead", "equal enough", "undecided")
TOO_FEW, WITHHELD, AHEAD, EQUAL, UNDECIDED = range(5)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a contrast.

    Attributes
    ----------
    rule
        The number of the rule that matched.
    sentence
        The verdict in words.
    leader
        The name of the leading arm, or None.
    contrast
        The arms that are compared; one for a study of one arm.
    looks
        The looks that were taken.
    decided_at
        The number of blocks of the look that decided, or None.
    label
        The rule in at most three words.
    """

    rule: int
    sentence: str
    leader: str | None = None
    contrast: tuple[Arm, ...] = ()
    looks: tuple[Look, ...] = ()
    decided_at: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or LABELS[self.rule])

    @cached_property
    def interval(self) -> Interval | None:
        """The difference and its interval at the last look, if there was one."""
        return self.looks[-1].interval if self.looks else None


def decide(
    comparison: Comparison,
    rules: Rules,
    complete: int,
    obstacles: Sequence[str] = (),
    next_look: str = "",
    *,
    explained: bool = False,
) -> Verdict:
    """Decide by the expected test value of the choice. A contrast that one look decides stays decided.

    Parameters
    ----------
    comparison
        The two arms.
    rules
        What was declared.
    complete
        The number of whole blocks, counted from the first.
    obstacles
        The reasons to withhold the verdict.
    next_look
        What the next look costs, as a sentence, for a contrast that is not decided.
    explained
        True if the verdict before it says why a verdict needs more blocks; it is not said again.
    """
    contrast = comparison.first, comparison.second
    usable = usable_looks(rules.looks, rules.contrasts)
    if obstacles and len(comparison.blocks) >= fewest_blocks(rules.contrasts):
        return withheld(obstacles, contrast)
    if not usable or complete < usable[0]:
        reasons = f" Besides: {'; '.join(obstacles)}." if obstacles else ""
        why = "" if explained else f" {_why_too_few(usable, rules.contrasts)}"
        return Verdict(
            TOO_FEW, f"Too few repeats for a verdict.{why} {_so_far(comparison)}{reasons}", contrast=contrast
        )
    share = ERROR / rules.contrasts
    levels = zip(boundary_levels(usable, share / 2), boundary_levels(usable, share), strict=True)
    looks = tuple(
        judge_look(comparison.expected[:blocks], lead, equal, rules)
        for blocks, (lead, equal) in zip(usable, levels, strict=True)
        if blocks <= complete
    )
    decisive = next((look for look in looks if look.ahead or look.equal), None)
    if decisive is None:
        return Verdict(UNDECIDED, _undecided(comparison, looks[-1], next_look), contrast=contrast, looks=looks)
    if decisive.ahead:
        leader = comparison.first if decisive.interval.estimate > 0 else comparison.second
        stands = towards(looks[-1].interval, first=leader is comparison.first).low > 0
        sentence = _ahead(comparison, looks[-1] if stands else decisive, leader, rules.delta)
        return Verdict(
            AHEAD,
            sentence + _later(looks[-1], stands, comparison.metric),
            leader.name,
            contrast,
            looks,
            decisive.blocks,
        )
    stands = max(-looks[-1].equality_interval.low, looks[-1].equality_interval.high) < rules.delta
    sentence = _equal(comparison, looks[-1] if stands else decisive, rules.delta)
    return Verdict(
        EQUAL, sentence + _later(looks[-1], stands, comparison.metric), None, contrast, looks, decisive.blocks
    )


def withheld(obstacles: Sequence[str], contrast: tuple[Arm, ...] = ()) -> Verdict:
    """Return the verdict that is withheld for reasons."""
    return Verdict(WITHHELD, f"Verdict withheld: {'; '.join(obstacles)}.", contrast=contrast)


def one_arm(arm: Arm, winner: Winner | None) -> Verdict:
    """Return the verdict of a study with one arm, which compares nothing: its best trial."""
    sentence = (
        f"The best of {count(winner.trials, 'trial')} of {title(arm)}, {winner.name}, has a test "
        f"{winner.metric.title} of {winner.test.text}. It was chosen by its validation {winner.metric.title}, "
        f"{value(winner.validation.value, winner.metric)}."
        if winner
        else f"No trial of {title(arm)} was trained to the end: each diverged or was pruned."
    )
    return Verdict(WITHHELD, sentence, contrast=(arm,), label="nothing to compare")


def _later(look: Look, stands: bool, metric: Metric) -> str:
    """Return the numbers of the last look where they alone would not decide as an earlier look did; else nothing."""
    if stands:
        return ""
    size, low, high = points(look.interval, metric)
    return (
        f" That was decided earlier; after {look.blocks} blocks the first minus the second is {size} ({low} to {high})."
    )


def _ahead(comparison: Comparison, look: Look, leader: Arm, delta: float) -> str:
    other = comparison.second if leader is comparison.first else comparison.first
    lead = towards(look.interval, first=leader is comparison.first)
    metric = comparison.metric
    size, low, high = points(lead, metric)
    return (
        f"{capital(title(leader))} is ahead of {title(other)}: what a search of {count(comparison.trials, 'trial')} finds "
        f"scores {amount(size, metric)} higher {on_test(metric)} ({ends(low, high, look.blocks)}; {look.blocks} blocks).{matters(lead, delta, metric)}"
    )


def matters(lead: Interval, delta: float, metric: Metric) -> str:
    """Return whether a lead is at least ``delta``, as a sentence after a space; empty if none is declared."""
    if not delta:
        return ""
    declared = f"the {amount(point(delta, metric), metric)} declared to matter"
    if lead.low >= delta:
        return f" That is at least {declared}."
    if lead.high < delta:
        return f" That is less than {declared}."
    return f" Whether it is at least {declared} is open."


def _equal(comparison: Comparison, look: Look, delta: float) -> str:
    metric = comparison.metric
    _, low, high = points(look.equality_interval, metric)
    return (
        f"{capital(title(comparison.first))} and {title(comparison.second)} are equal enough: by what a search of "
        f"{count(comparison.trials, 'trial')} finds, the first minus the second is {low} to {amount(high, metric)} {on_test(metric)} (90% "
        f"CI; {look.blocks} blocks), within the \u00b1{amount(point(delta, metric), metric)} that do not matter."
    )


def _undecided(comparison: Comparison, look: Look, next_look: str) -> str:
    metric = comparison.metric
    size, low, high = points(look.interval, metric)
    return (
        f"Undecided after {look.blocks} blocks: by what a search of {count(comparison.trials, 'trial')} finds, "
        f"{title(comparison.first)} minus {title(comparison.second)} is {amount(size, metric)} {on_test(metric)} "
        f"({ends(low, high, look.blocks)}). {next_look}"
    ).strip()


def _why_too_few(looks: tuple[int, ...], contrasts: int) -> str:
    if looks:
        return f"The first look is after {count(looks[0], 'block')}."
    verdicts = "A verdict needs" if contrasts == 1 else f"Verdicts on {contrasts} contrasts need"
    return f"{verdicts} at least {fewest_blocks(contrasts)} blocks: with fewer, any lead can be chance."


def _so_far(comparison: Comparison) -> str:
    estimate = float(np.mean(comparison.expected))
    leader = comparison.first if estimate >= 0 else comparison.second
    other = comparison.second if leader is comparison.first else comparison.first
    metric = comparison.metric
    size = points(comparison.expected_difference.interval, metric)[0].removeprefix("\u2212")  # as the key number
    so_far = (
        f"{title(leader)} is {amount(size, metric)} ahead of {title(other)}"
        if float(size)
        else f"{title(leader)} and {title(other)} score {'about ' if estimate else ''}the same"
    )
    return f"So far {so_far}, over {count(len(comparison.blocks), 'block')}. This decides nothing."


def towards(interval: Interval, *, first: bool) -> Interval:
    """Return an interval of differences as the lead of the first arm, or of the second: then its ends change places."""
    return interval if first else Interval(-interval.estimate, -interval.high, -interval.low)
