"""The analysis of a suite: those of its studies, and the verdicts over data sets that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.report import validity
from pipeline.report.analysis import Analysis
from pipeline.report.intervals import DIFFERENCE, mean_interval
from pipeline.report.style import ArmStyles, arm_styles
from pipeline.report.suite.random_effects import SetDifference
from pipeline.report.suite.verdict import SetResult, SuiteVerdict, decide_over_sets
from pipeline.report.targets import TrialsNeeded
from pipeline.report.verdict import UNDECIDED, withheld
from pipeline.study.spec import Arm
from pipeline.study.suite import Suite

FEWEST_BLOCKS = 2
"""The blocks of a study that counts; one block has no noise that could be known."""


@dataclass(frozen=True)
class SuiteAnalysis:
    """A suite and the analyses of its recorded studies, by the names in its declaration and in its order."""

    suite: Suite
    studies: Mapping[str, Analysis]

    @cached_property
    def verdicts(self) -> list[SuiteVerdict]:
        """The verdict over data sets on each contrast, the headline first."""
        contrasts = self.suite.compared
        return [
            decide_over_sets(contrast, self._results(contrast), self.suite.delta, len(contrasts))
            for contrast in contrasts
        ]

    @property
    def verdict(self) -> SuiteVerdict:
        """The verdict on the headline."""
        return self.verdicts[0]

    @cached_property
    def styles(self) -> ArmStyles:
        return arm_styles(self.suite.studies[0].arms)

    @cached_property
    def needed(self) -> dict[str, dict[str, list[TrialsNeeded]]]:
        """The trials that each arm needs for each share of the best, by the study and the target's name."""
        return {name: analysis.needed for name, analysis in self.studies.items()}

    def _results(self, contrast: tuple[Arm, Arm]) -> list[SetResult]:
        return [set_result(analysis, contrast) for analysis in self.studies.values()]


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
    values = comparison.expected[: complete or None]
    result = SetResult(study.name, study.dataset, verdict, interval=mean_interval(values, within=DIFFERENCE))
    if validity.obstacles(analysis.table, analysis.pools, contrast):
        return replace(result, left_out="its verdict is withheld")
    if complete < FEWEST_BLOCKS:
        return replace(result, left_out=f"it has fewer than {FEWEST_BLOCKS} whole blocks")
    noise = max(float(values.std(ddof=1)) / math.sqrt(complete), least_noise(complete, analysis.rules.rows))
    look = analysis.next_look(complete) if verdict.rule == UNDECIDED else None
    return replace(result, difference=SetDifference(float(values.mean()), noise**2, complete), next_look=look)


def least_noise(blocks: int, rows: int) -> float:
    """Return the least standard error that a difference can have, by the grain of the test rows.

    n rows without a difference are compatible with a share of 3 / n (the rule of three), which is two standard errors.
    """
    return 1.5 / (blocks * rows) if rows else 0.0
