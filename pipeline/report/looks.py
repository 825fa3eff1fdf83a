"""The looks at a contrast: those that can name a leader, and what one look at its blocks shows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.boundaries import boundary_levels
from pipeline.report.intervals import DIFFERENCE, Array, Interval, Range, mean_interval, sign_flip_p

ERROR = 0.05
"""The probability that any contrast of a study is decided wrongly, over all looks."""


@dataclass(frozen=True)
class Rules:
    """The declared values that decide.

    Attributes
    ----------
    looks
        The numbers of blocks after which a contrast is looked at.
    contrasts
        The number of contrasts that share the error rate.
    delta
        The smallest difference of the metric that matters.
    rows
        The number of test rows of a block.
    within
        The range of possible differences.
    """

    looks: tuple[int, ...]
    contrasts: int
    delta: float
    rows: int
    within: Range = DIFFERENCE


def usable_looks(looks: Sequence[int], contrasts: int) -> tuple[int, ...]:
    """Return the looks that could name a leader: sign flips of K blocks have no smaller p than 2^(1 - K).

    One contrast needs 6 blocks, two or three need 7.
    """
    usable = tuple(looks)
    while usable and 2.0 ** -usable[0] > boundary_levels(usable, ERROR / contrasts / 2)[0]:
        usable = usable[1:]
    return usable


def fewest_blocks(contrasts: int) -> int:
    """Return the fewest blocks after which one look could name a leader."""
    return next(blocks for blocks in itertools.count(2) if usable_looks((blocks,), contrasts))


@dataclass(frozen=True)
class Look:
    """One look at a contrast.

    Attributes
    ----------
    blocks
        The number of blocks.
    interval
        The mean difference and an interval. The intervals of all looks and contrasts hold together with 95 %.
    equality_interval
        The same with 90 %, by which equality is judged: two one-sided tests at 0.05.
    ahead
        True if the interval leaves out 0 and sign flips agree.
    equal
        True if ``equality_interval`` lies inside of plus and minus delta.
    """

    blocks: int
    interval: Interval
    equality_interval: Interval
    ahead: bool
    equal: bool


def judge_look(differences: Array, lead_level: float, equal_level: float, rules: Rules) -> Look:
    """Judge the differences of the first blocks, (blocks,), by the one-sided levels of this look."""
    interval, equality = (_interval(differences, level, rules) for level in (lead_level, equal_level))
    ahead = not interval.low <= 0 <= interval.high and sign_flip_p(differences) <= 2 * lead_level
    equal = -rules.delta < equality.low and equality.high < rules.delta
    return Look(len(differences), interval, equality, ahead, equal)


def _interval(differences: Array, level: float, rules: Rules) -> Interval:
    """The t-interval at a one-sided level, not narrower than the grain of the test rows allows.

    Blocks that agree exactly have an interval of no width, but n rows without any difference are compatible with a
    difference of -ln(level) / n (the rule of three).
    """
    found = mean_interval(differences, 1 - 2 * level, rules.within)
    least = -math.log(level) / (len(differences) * rules.rows) if rules.rows else 0.0
    low, high = min(found.low, found.estimate - least), max(found.high, found.estimate + least)
    return Interval(found.estimate, max(low, rules.within[0]), min(high, rules.within[1]))
