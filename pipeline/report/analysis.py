"""Everything that one table of trials says, computed once; sentences, figures and metrics only read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.report import validity as checks
from pipeline.report.comparison import Comparison, Evidence, compare
from pipeline.report.confirmation import Confirmation, confirmations, confirmed_difference
from pipeline.report.cost import CostCurve, cost_curves
from pipeline.report.curves import Curve, Pool, pools, tuning_curves
from pipeline.report.formatting import count, ends, points, title
from pipeline.report.importance import Importance, importance
from pipeline.report.improvement import Improvement
from pipeline.report.intervals import DIFFERENCE, SHARE, Array, Range, is_cut, mean_interval
from pipeline.report.pairs import Pair, all_pairs, improved
from pipeline.report.selection import Choice, choice
from pipeline.report.style import Looks, looks
from pipeline.report.table import COSTS, TrialsTable
from pipeline.report.targets import Needed, Target, headline, ladder, trials_needed
from pipeline.report.verdict import Verdict, decide
from pipeline.study.spec import Arm, Study
from pipeline.training.metrics import BEST_VAL_ACCURACY


@dataclass(frozen=True)
class Findings:
    """A table and what follows from it; each part is computed when it is first read."""

    table: TrialsTable

    @property
    def study(self) -> Study:
        return self.table.study

    @cached_property
    def all_pools(self) -> list[Pool]:
        return list(pools(self.table))

    @cached_property
    def pools(self) -> dict[str, list[Pool]]:
        """The pools of each arm that has any, by name."""
        own = {arm.name: [pool for pool in self.all_pools if pool.arm == arm] for arm in self.study.arms}
        return {name: found for name, found in own.items() if found}

    @property
    def arms(self) -> list[Arm]:
        """The arms that have trials, in the order declared."""
        return [arm for arm in self.study.arms if arm.name in self.pools]

    @cached_property
    def curves(self) -> dict[str, Curve]:
        return tuning_curves(self.all_pools)

    @cached_property
    def looks(self) -> Looks:
        return looks(self.study.arms)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The comparison that the verdict is about, if both of its arms have trials in a common block."""
        found = [self.curves[arm.name] for arm in self.study.contrast if arm.name in self.curves]
        return compare(*found) if len(found) == 2 else None

    @cached_property
    def improvement(self) -> Improvement | None:
        return improved(self.comparison, self.all_pools) if self.comparison else None

    @cached_property
    def obstacles(self) -> list[str]:
        return checks.obstacles(self.table, self.all_pools)

    @cached_property
    def notes(self) -> list[str]:
        return [*checks.notes(self.table, self.all_pools), *self._cut()]

    def _cut(self) -> Iterator[str]:
        """Whether an interval that the page shows was cut where no mean can lie, which says that blocks are too few."""
        final: list[tuple[Array, Range]] = [(curve.test[:, -1], SHARE) for curve in self.curves.values()]
        if self.comparison:
            final.append((np.array(self.comparison.evidence.differences), DIFFERENCE))
        if blocks := [len(values) for values, within in final if is_cut(values, within)]:
            yield (
                f"An interval over {count(min(blocks), 'block')} reached beyond what is possible, 0 to 100% for an accuracy. It is "
                "cut there, which costs none of its coverage; that it had to be says that so few blocks tell little."
            )

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
        size, low, high = points(mean_interval(curve.test[:, -1], within=SHARE))
        interval = f" ({ends(low, high, len(curve.blocks))})" if len(curve.blocks) > 1 else ""
        return (
            f"One arm, so there is nothing to compare: after {count(int(curve.budgets[-1]), 'trial')} the model that "
            f"{title(curve.arm)} chose scores {size}%{interval} on held-out test data, "
            f"over {count(len(curve.blocks), 'block')}."
        )

    @cached_property
    def chance(self) -> float | None:
        """The accuracy of a guess: 1/C if the provenance has the number of classes, else what diverged trials got."""
        classes = self.table.provenance.get("classes")
        diverged = self.table.frame.loc[self.table.frame["diverged"], BEST_VAL_ACCURACY]
        return 1 / classes if classes else float(diverged.median()) if len(diverged) else None

    @cached_property
    def targets(self) -> list[Target]:
        return ladder(self.all_pools, self.chance or 0.0)

    @property
    def headline(self) -> Target:
        """The target that the verdict quotes."""
        return headline(self.targets)

    @cached_property
    def needed(self) -> dict[str, list[Needed]]:
        """The trials that each arm needs for each target, by the target's name."""
        return {t.name: [trials_needed(own, t) for own in self.pools.values()] for t in self.targets}

    @cached_property
    def importance(self) -> Importance | None:
        """Importances, from random trials alone: the points of a grid or of an adaptive arm are no fair sample."""
        own = next((self.pools[arm.name] for arm in self.arms if arm.sampler == "random"), None)
        return importance(own, self.study.space) if own else None

    @cached_property
    def choices(self) -> dict[str, list[Choice]]:
        return {name: [choice(pool) for pool in own] for name, own in self.pools.items()}

    @cached_property
    def confirmations(self) -> dict[str, Confirmation]:
        """What became of each arm's choices when they were trained again; empty where they were not."""
        return confirmations(self.table)

    @cached_property
    def confirmed_difference(self) -> Evidence | None:
        """The comparison by choices that were trained again."""
        own = [self.confirmations[arm.name] for arm in self.study.contrast if arm.name in self.confirmations]
        return confirmed_difference(*own) if len(own) == 2 else None

    @cached_property
    def costs(self) -> dict[str, list[CostCurve]]:
        return {name: cost_curves(own, COSTS) for name, own in self.pools.items()}

    @cached_property
    def pairs(self) -> list[Pair]:
        return all_pairs(self.curves, self.all_pools)
