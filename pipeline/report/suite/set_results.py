"""One study's result on a contrast of its suite: its difference with the noise, or why it does not count."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.report import validity
from pipeline.report.analysis import Analysis, NextLook
from pipeline.report.intervals import Interval, mean_interval
from pipeline.report.suite.random_effects import SetDifference
from pipeline.report.verdict import AHEAD, EQUAL, LABELS, TOO_FEW, UNDECIDED, Verdict, withheld
from pipeline.study.spec import Arm

FEWEST_BLOCKS = 2
"""The blocks of a study that counts; one block has no noise that could be known."""
PLACES = ("ahead", "equal enough", "behind", "undecided", LABELS[TOO_FEW])
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
        The difference and its 95 % interval, that of the study's own verdict if it has one.
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
        return LABELS[self.verdict.rule] if self.verdict.rule in (EQUAL, TOO_FEW) else "undecided"


def by_place(results: Iterable[SetResult]) -> dict[str, list[str]]:
    """Return the names of the studies that count, by the place of the first arm."""
    counted = [result for result in results if not result.left_out]
    return {place: [result.study for result in counted if result.place == place] for place in PLACES}


def set_result(analysis: Analysis, contrast: tuple[Arm, Arm]) -> SetResult:
    """Return one study's result on a contrast; it says why if the study does not count."""
    study, names = analysis.study, [arm.name for arm in contrast]
    found = [i for i, pair in enumerate(study.compared) if [arm.name for arm in pair] == names]
    if not found:
        why = "it was declared with other contrasts"
        return SetResult(study.name, study.dataset, withheld([why], contrast), left_out=why)
    verdict, (contrast, comparison) = analysis.verdicts[found[0]], analysis.comparisons[found[0]]
    if comparison is None:
        return SetResult(study.name, study.dataset, verdict, left_out="its arms have no block in common")
    complete = analysis.complete(contrast)
    counted = verdict.looks[-1].blocks if verdict.looks else complete
    values = comparison.expected[: counted or None]
    interval = verdict.interval or mean_interval(values, within=analysis.rules.within)
    result = SetResult(study.name, study.dataset, verdict, interval=interval)
    if validity.obstacles(analysis.table, analysis.pools, contrast):
        return replace(result, left_out="its verdict is withheld")
    if counted < FEWEST_BLOCKS:
        return replace(result, left_out=f"it has fewer than {FEWEST_BLOCKS} whole blocks")
    noise = max(float(values.std(ddof=1)) / math.sqrt(counted), least_noise(counted, analysis.rules.rows))
    look = analysis.next_look(complete) if verdict.rule == UNDECIDED else None
    return replace(result, difference=SetDifference(float(values.mean()), noise**2, counted), next_look=look)


def least_noise(blocks: int, rows: int) -> float:
    """Return the least standard error that a difference can have, by the grain of the test rows.

    n rows without a difference are compatible with a share of 3 / n (the rule of three), which is two standard errors.
    """
    return 1.5 / (blocks * rows) if rows else 0.0
