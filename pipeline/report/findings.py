"""Everything that one table of trials says, computed once; figures, sentences and metrics only read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pipeline.report import checks
from pipeline.report.comparison import Comparison, compare
from pipeline.report.curves import Curve, Pool, pools, tuning_curves
from pipeline.report.intervals import mean_interval
from pipeline.report.style import Dash, looks
from pipeline.report.table import TrialsTable
from pipeline.report.verdict import Verdict, decide, validation_verdict
from pipeline.report.words import capital, count, listed, points, title
from pipeline.spec import Study


@dataclass(frozen=True)
class Findings:
    """A table and what follows from it; each part is computed when it is first read."""

    table: TrialsTable

    @property
    def study(self) -> Study:
        return self.table.study

    @cached_property
    def pools(self) -> list[Pool]:
        return list(pools(self.table))

    @cached_property
    def curves(self) -> dict[str, Curve]:
        return tuning_curves(self.pools)

    @cached_property
    def looks(self) -> dict[str, tuple[str, Dash]]:
        return looks(self.study.arms)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The comparison that the verdict is about, if both of its arms have trials in a common block."""
        found = [self.curves[arm.name] for arm in self.study.contrast if arm.name in self.curves]
        return compare(*found) if len(found) == 2 else None

    @cached_property
    def obstacles(self) -> list[str]:
        return checks.obstacles(self.table, self.pools)

    @cached_property
    def notes(self) -> list[str]:
        return checks.notes(self.table, self.pools)

    @cached_property
    def verdict(self) -> Verdict:
        if self.comparison:
            return decide(self.comparison, self.study.delta, self.obstacles)
        if len(self.study.arms) > 1:
            reason = "; ".join(self.obstacles) or "the arms have no block in common"
            return Verdict(1, "withheld", None, f"Verdict withheld: {reason}.")
        return Verdict(1, "nothing to compare", None, self._alone())

    def _alone(self) -> str:
        curve = self.curves[self.study.arms[0].name]
        size, low, high = points(mean_interval(curve.test[:, -1]))
        interval = f" (95% CI {low} to {high})" if len(curve.blocks) > 1 else ""
        return (
            f"One arm, so there is nothing to compare: after {count(int(curve.budgets[-1]), 'trial')} the model that "
            f"{title(curve.arm)} chose scores {size}%{interval} on held-out test data, "
            f"over {count(len(curve.blocks), 'block')}."
        )

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The verdict and what always follows it."""
        return (self.verdict.sentence, *self._contradiction(), *self._optimism())

    def _contradiction(self) -> Iterator[str]:
        if not self.comparison or self.verdict.rule < 2:
            return
        test = decide_on_test(self.comparison, self.study.delta)
        validation = validation_verdict(self.comparison, self.study.delta)
        if test.claim != validation.claim:
            yield f"Test and validation disagree. By test accuracy: {test.sentence} By validation accuracy: {validation.sentence}"

    def _optimism(self) -> Iterator[str]:
        curves = [self.curves[arm.name] for arm in self.study.contrast if arm.name in self.curves]
        gaps = []
        for curve in curves:
            gap, low, high = points(mean_interval((curve.validation - curve.test)[:, -1]))
            gaps.append(
                f"by {gap} points with {title(curve.arm)}" + (f" (95% CI {low} to {high})" if low != "nan" else "")
            )
        yield f"Validation overstated the winner {listed(gaps)}."


def decide_on_test(comparison: Comparison, delta: float) -> Verdict:
    """What test accuracy alone would say."""
    from pipeline.report.verdict import judge

    return judge(comparison, comparison.evidence, delta)


__all__ = ["Findings", "capital"]
