"""The analysis of one table of trials; figures, tables and sentences only read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.report import validity
from pipeline.report.comparison import Comparison, Difference, Pair, compare, compare_all, improvement_of
from pipeline.report.confirmation import (
    Confirmation,
    confirmations,
    confirmed_difference,
    spread_of_weights,
    trained_again,
)
from pipeline.report.cost_curves import CostCurve, cost_curves
from pipeline.report.curves import Curve, Pool, pools_by_arm, tuning_curves
from pipeline.report.formatting import count, duration, indefinite
from pipeline.report.importance import Importance, importance
from pipeline.report.improvement import Improvement
from pipeline.report.intervals import Array, Range, is_cut
from pipeline.report.looks import Rules
from pipeline.report.matching import Matching, matching
from pipeline.report.selection import Choice, choice
from pipeline.report.style import ArmStyles, arm_styles
from pipeline.report.targets import LADDER, QUOTED, Target, TrialsNeeded, estimate_trials_needed, ladder
from pipeline.report.trials_table import COSTS, TrialsTable
from pipeline.report.validity import Contrast
from pipeline.report.verdict import TOO_FEW, UNDECIDED, Verdict, decide, one_arm, withheld
from pipeline.report.winner import Winner, find_winner
from pipeline.search.engine import Background, in_this_process
from pipeline.study.spec import Arm, Study


@dataclass(frozen=True)
class NextLook:
    """The next look at a study: the blocks after which it comes, its trainings, and their seconds at the recorded rate."""

    blocks: int
    trainings: int
    seconds: float

    @property
    def cost(self) -> str:
        """The trainings and their time, as a clause."""
        return f"{count(self.trainings, 'training')}, about {duration(self.seconds)} of one worker"


FROM_TRIALS = ("pools", "curves", "choices", "expected", "comparisons", "spread_of_weights", "confirmations")
"""The parts of an analysis that no further fact of the provenance changes."""


@dataclass(frozen=True)
class Analysis:
    """A table and what follows from it; each part is computed when it is first read.

    ``wait_for_importance`` gives the importances that another process computes (:meth:`start_importance`).
    """

    table: TrialsTable
    wait_for_importance: Callable[[], Importance | None] | None = None

    def with_facts(self, facts: Mapping[str, Any], wait: Callable[[], Importance | None] | None = None) -> Analysis:
        """Return the analysis of the same trials with more facts in its provenance; what is computed is kept."""
        table = replace(self.table, provenance={**self.table.provenance, **facts})
        more = Analysis(table, wait)
        more.__dict__.update((name, self.__dict__[name]) for name in FROM_TRIALS if name in self.__dict__)
        return more

    def start_importance(self, background: Background) -> Callable[[], Importance | None]:
        """Start to compute the importances; return a function that waits for them.

        They come from a random arm: the points of a grid or of an adaptive arm are no random sample.
        """
        random = next((pools for pools in self.pools.values() if pools[0].arm.sampler == "random"), None)
        return background(importance, random, self.study.space) if random else lambda: None

    @property
    def study(self) -> Study:
        return self.table.study

    @cached_property
    def pools(self) -> dict[str, list[Pool]]:
        """The pools of each arm that has trials, by name."""
        return pools_by_arm(self.table)

    @property
    def arms(self) -> list[Arm]:
        """The arms that have trials, in the order declared."""
        return [arm for arm in self.study.arms if arm.name in self.pools]

    @cached_property
    def curves(self) -> dict[str, Curve]:
        return tuning_curves(self.pools)

    @cached_property
    def styles(self) -> ArmStyles:
        return arm_styles(self.study.arms)

    @cached_property
    def expected(self) -> dict[str, dict[int, float]]:
        """The expected test value of each arm's choice in each block, by the arm's name and the block."""
        return {name: {c.pool.block: c.expected for c in choices} for name, choices in self.choices.items()}

    @cached_property
    def winner(self) -> Winner | None:
        """The trial with the best validation value; None if all diverged or were pruned."""
        return find_winner(self.study, self.table.frame)

    @cached_property
    def comparisons(self) -> list[tuple[Contrast, Comparison | None]]:
        """Each contrast and its comparison, None if the arms have no common block; the headline is the first."""
        return [(contrast, self._compare(contrast)) for contrast in self.study.compared]

    def _compare(self, contrast: Contrast) -> Comparison | None:
        first, second = (self.curves.get(arm.name) for arm in contrast)
        return compare(first, second, self.expected) if first and second else None

    @property
    def comparison(self) -> Comparison | None:
        """The comparison of the headline."""
        return self.comparisons[0][1] if self.comparisons else None

    @cached_property
    def improvement(self) -> Improvement | None:
        """The probability of improvement of the headline's first arm."""
        return improvement_of(self.comparison, self.pools) if self.comparison else None

    @cached_property
    def notes(self) -> list[str]:
        """Notes for the reader that leave the verdict valid."""
        return [*validity.notes(self.table, self.pools), *self._cut()]

    def _cut(self) -> Iterator[str]:
        """A note if an interval on the page was cut to the range of possible means, because blocks are few."""
        metric = self.study.objective
        shown: list[tuple[Array, Range]] = [(curve.test[:, -1], metric.range) for curve in self.curves.values()]
        if self.comparison:
            shown.append((np.array(self.comparison.difference.by_block), metric.differences))
        possible = f"0 to 100% for {indefinite(metric.title)}" if metric.is_share else "no loss below 0"
        if blocks := [len(values) for values, within in shown if is_cut(values, within)]:
            yield (
                f"An interval over {count(min(blocks), 'block')} reached beyond what is possible, {possible}. It is "
                "cut there, which does not lower its coverage; it shows that so few blocks tell little."
            )

    @cached_property
    def rules(self) -> Rules:
        """The declared values that decide."""
        terms, rows = validity.binding_declaration(self.table), int(self.table.frame["n_test"].median())
        within = self.study.objective.differences
        return Rules(tuple(terms["looks"]), max(len(terms["contrasts"]), 1), self.study.delta, rows, within)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdict on each contrast, the headline first; of a study of one arm, what it found."""
        if not self.study.compared:
            return [one_arm(self.study.arms[0], self.winner)]
        verdicts: list[Verdict] = []
        for contrast, comparison in self.comparisons:
            verdicts.append(self._verdict(contrast, comparison, verdicts))
        return verdicts

    def _verdict(self, contrast: Contrast, comparison: Comparison | None, before: Sequence[Verdict]) -> Verdict:
        obstacles = validity.obstacles(self.table, self.pools, contrast)
        if comparison is None:
            return withheld(obstacles or ["the arms have no block in common"], contrast)
        complete = self.complete(contrast)
        rules = {verdict.rule for verdict in before}
        after = "" if UNDECIDED in rules else self._after(self.next_look(complete))
        return decide(comparison, self.rules, complete, obstacles, after, explained=TOO_FEW in rules)

    def complete(self, contrast: Contrast) -> int:
        """The number of whole blocks of a contrast, counted from the first."""
        return validity.complete_blocks(self.table, self.pools, contrast)

    def next_look(self, complete: int) -> NextLook | None:
        """What the look after that number of whole blocks costs; None after the last look."""
        study = self.study
        if not (later := [look for look in self.rules.looks if look > complete]):
            return None
        trainings = (later[0] - complete) * (study.trials + study.confirm) * len(study.arms)
        return NextLook(later[0], trainings, float(self.table.frame["seconds"].mean()) * trainings)

    def _after(self, look: NextLook | None) -> str:
        """Return what the next look costs, as a sentence."""
        if not look:
            return "That was the last look; a study under a new name, with more max_blocks, can tell more."
        return f"The next look, after {look.blocks} blocks, costs {look.cost}."

    @property
    def verdict(self) -> Verdict:
        """The verdict on the headline."""
        return self.verdicts[0]

    @cached_property
    def chance(self) -> float | None:
        """The value of a guess if the number of classes is known, else the median of diverged trials."""
        classes = self.table.provenance.get("classes")
        diverged = self.table.frame.loc[self.table.frame["diverged"], self.study.objective.best_val]
        return self.study.objective.guess(classes) if classes else float(diverged.median()) if len(diverged) else None

    @cached_property
    def targets(self) -> list[Target]:
        return ladder([pool for pools in self.pools.values() for pool in pools], self.chance or 0.0)

    @property
    def quoted_target(self) -> Target:
        """The target that the report quotes."""
        return self.targets[LADDER.index(QUOTED)]

    @cached_property
    def needed(self) -> dict[str, list[TrialsNeeded]]:
        """The trials that each arm needs for each target, by the target's name."""
        return {t.name: [estimate_trials_needed(pools, t) for pools in self.pools.values()] for t in self.targets}

    @cached_property
    def matchings(self) -> list[Matching]:
        """For each contrast, the trials of one arm that do as well as all trials of the other."""
        curves = [
            [self.curves[arm.name] for arm in contrast if arm.name in self.curves] for contrast in self.study.compared
        ]
        return [found for pair in curves if len(pair) == 2 and (found := matching(*pair))]

    @cached_property
    def importance(self) -> Importance | None:
        """The importances from a random arm, if there is one with enough trials."""
        return (self.wait_for_importance or self.start_importance(in_this_process))()

    @cached_property
    def spread_of_weights(self) -> float:
        """The standard deviation of a validation value over weights, from the blocks of the first look."""
        return spread_of_weights(self.table, validity.first_look(validity.binding_declaration(self.table)))

    @cached_property
    def choices(self) -> dict[str, list[Choice]]:
        """Each arm's choice in each block, by the arm's name."""
        again, spread = trained_again(self.table), self.spread_of_weights
        chosen: dict[str, list[Choice]] = {name: [] for name in self.pools}
        for name, pool in self._by_block:
            chosen[name].append(choice(pool, again.get((name, pool.block)), spread))
        return chosen

    @property
    def _by_block(self) -> list[tuple[str, Pool]]:
        """The name of each pool's arm, and the pool, block by block: the arms of a block share random draws."""
        named = [(name, pool) for name, pools in self.pools.items() for pool in pools]
        return sorted(named, key=lambda item: item[1].block)

    @cached_property
    def confirmations(self) -> dict[str, Confirmation]:
        """The repetitions of each arm's choices, by the arm's name; empty without any."""
        return confirmations(self.table)

    @cached_property
    def confirmed_difference(self) -> Difference | None:
        """The difference of the headline's arms by the repetitions of the very trials that were chosen."""
        compared = [self.confirmations[arm.name] for arm in self.study.headline if arm.name in self.confirmations]
        return confirmed_difference(*compared) if len(compared) == 2 else None

    @cached_property
    def costs(self) -> dict[str, list[CostCurve]]:
        """Each arm's curves against epochs and seconds, by the arm's name."""
        return {name: cost_curves(pools, COSTS) for name, pools in self.pools.items()}

    @cached_property
    def pairs(self) -> list[Pair]:
        return compare_all(self.curves, self.pools, self.expected)
