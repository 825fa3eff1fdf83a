"""The analysis of a suite: those of its studies, and the verdicts over data sets that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipeline.report.analysis import Analysis
from pipeline.report.style import ArmStyles, arm_styles
from pipeline.report.suite.sentences import Question
from pipeline.report.suite.set_results import set_result
from pipeline.report.suite.verdict import SuiteVerdict, decide_over_sets
from pipeline.report.targets import TrialsNeeded
from pipeline.study.suite import Suite


@dataclass(frozen=True)
class SuiteAnalysis:
    """A suite and the analyses of its recorded studies, by the names in its declaration and in its order."""

    suite: Suite
    studies: Mapping[str, Analysis]

    @cached_property
    def verdicts(self) -> list[SuiteVerdict]:
        """The verdict over data sets on each contrast, the headline first."""
        suite = self.suite
        return [
            decide_over_sets(
                Question(*contrast, suite.delta, suite.objective),
                [set_result(analysis, contrast) for analysis in self.studies.values()],
                len(suite.compared),
            )
            for contrast in suite.compared
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
