"""The sections of a report: each has a heading, sentences, figures and tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.report import tables
from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import title
from pipeline.report.confirmation import choices_again, confirmation_note, confirmation_sentence, confirmation_table
from pipeline.report.figures.cost import cost_figure
from pipeline.report.figures.importance import above_noise, importance_figure
from pipeline.report.figures.projection import projection_figure
from pipeline.report.figures.spread import finals_figure, scores_figure
from pipeline.report.figures.targets import targets_figure
from pipeline.report.figures.tuning import difference_figure, tuning_figure
from pipeline.report.figures.win_probability import pairs_figure, win_probability_figure
from pipeline.report.formatting import all_of, capital, count, drawn_again, listed, number
from pipeline.report.methods import limits, methods
from pipeline.report.style import Plot
from pipeline.report.targets import FULL_GRID
from pipeline.report.trials_table import COSTS
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Range

PROJECTIONS = 3  # arms at most, side by side


@dataclass(frozen=True)
class NamedTable:
    """A table with a heading; ``name`` is that of its CSV file."""

    name: str
    heading: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Code:
    """Lines to copy, and what they do; ``folded`` ones are shown on request."""

    heading: str
    text: str
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """One section: an anchor, a heading, sentences, figures, tables and code. ``folded`` shows only the heading at first."""

    key: str
    heading: str
    prose: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[NamedTable, ...] = ()
    codes: tuple[Code, ...] = ()
    folded: bool = False


def make_sections(analysis: Analysis) -> list[Section]:
    """Return the sections that this table of trials can fill, in the order of the page."""
    alone = (
        _curve,
        _diagnosis,
        _explanation,
        _targets,
        _price_of_choosing,
        _fairness,
        _distributions,
        _columns,
        _methods,
    )
    compared = (
        _curve,
        _difference,
        _win_probability,
        _targets,
        _explanation,
        _price_of_choosing,
        _fairness,
        _distributions,
        _pairs,
        _diagnosis,
        _columns,
        _methods,
    )
    writers = compared if analysis.study.compared else alone
    return [section for writer in writers for section in writer(analysis)]


def _curve(analysis: Analysis) -> Iterator[Section]:
    contrast = [arm.name for arm in analysis.study.headline]
    plot = tuning_figure(list(analysis.curves.values()), analysis.styles, contrast)
    yield Section("curve", plot.title, tuple(_adaptive_arms(analysis)), (plot,))


def _adaptive_arms(analysis: Analysis) -> Iterator[str]:
    """Yield the arms whose line is the mean of single paths, because the order of their trials carries information."""
    if adaptive := [title(arm) for arm in analysis.arms if not arm.exchangeable]:
        lines, are, their = ("line", "is", "its") if len(adaptive) == 1 else ("lines", "are each", "their")
        yield (
            f"The {lines} of {listed(adaptive)} {are} the mean of the paths that were walked, one in each block. The order "
            f"of {their} trials has a meaning, so there is no formula for other orders, and such a line is noisier than one "
            "that has one."
        )


def _difference(analysis: Analysis) -> Iterator[Section]:
    if comparison := analysis.comparison:
        metric = comparison.metric.title
        plot = difference_figure(
            comparison, analysis.study.delta, analysis.verdict.interval or comparison.expected_difference.interval
        )
        prose = [
            (
                f"The figure shows the very models that validation chose. The verdict is about the expected {metric} of the "
                f"choice: the test {metric} of what a search finds, over new validation rows and new "
                f"{drawn_again(analysis.study)}. It has less noise."
            )
        ]
        if len(comparison.blocks) > 1 and len(set(comparison.expected)) == 1:
            prose.append("Every block gave the same difference; that is not certainty.")
        named = [
            NamedTable(
                "estimates", "The differences after all trials, by several estimates", tables.estimates(analysis)
            )
        ]
        if looks := tables.looks(analysis):
            named.append(NamedTable("looks", "The looks, and what each decided", looks[0]))
        yield Section("difference", plot.title, tuple(prose), (plot,), tuple(named))


def _win_probability(analysis: Analysis) -> Iterator[Section]:
    if analysis.comparison and analysis.improvement:
        plot = win_probability_figure(analysis.comparison, analysis.improvement)
        yield Section("chance", plot.title, plots=(plot,))


def _targets(analysis: Analysis) -> Iterator[Section]:
    plot = targets_figure(analysis.pools, analysis.targets, analysis.styles)
    metric = analysis.study.objective.title
    unknown = "" if analysis.chance is not None else f" The {metric} of a guess is not known here and taken as 0."
    one_rule, any_arm = ("set by one rule for all arms: ", "any arm") if analysis.study.compared else ("", "any trial")
    rule = (
        f"The targets are {one_rule}the {metric} of a guess plus 90, 95, 98 and 99 percent of the way from "
        f"there to the best validation {metric} that {any_arm} has seen.{unknown}"
    )
    prose = [rule]
    if analysis.targets[-1].name == FULL_GRID:
        prose.append(
            "What the full grid found is the largest of many noisy numbers, and so is optimistic; the other targets are less so."
        )
    table = NamedTable("trials_needed", "Trials needed for each target", tables.trials_needed(analysis))
    yield Section("targets", plot.title, tuple(prose), (plot,), (table,))


def _explanation(analysis: Analysis) -> Iterator[Section]:
    plots, prose, compared = [*_projection(analysis)], list[str](), bool(analysis.study.compared)
    if importance := analysis.importance:
        plots.append(importance_figure(importance))
        prose.append(above_noise(importance))
        if effective := importance.effective:
            low, high = number(effective.low, 1), number(effective.high, 1)
            of_grids = (
                f" A grid spends its trials as if {all_of(len(importance.names))} counted the same." if compared else ""
            )
            prose.append(
                f"Effective number of hyperparameters: {number(effective.estimate, 1)} of {len(importance.names)} "
                f"(95% CI {low} to {high}).{of_grids}"
            )
    else:
        prose.append("Importances need random trials, at least 50 of them, that do not all score the same.")
    table = NamedTable("values_tried", "Values tried in a block", tables.values_tried(analysis))
    heading = "Why? What the arms tried, and what mattered" if compared else "What mattered?"
    yield Section("why", heading, tuple(prose), tuple(plots), (table,) if compared else ())


def _projection(analysis: Analysis) -> Iterator[Plot]:
    """Yield the trials of the compared arms in the first common block, by the two most important numeric hyperparameters."""
    space, importance = analysis.study.space, analysis.importance
    numeric = [name for name, dimension in space.items() if isinstance(dimension, Range)]
    if importance:
        numeric.sort(key=lambda name: -importance.separates[importance.names.index(name)])
    blocks = set.intersection(*({pool.block for pool in pools} for pools in analysis.pools.values()))
    compared = dict.fromkeys(arm.name for contrast in analysis.study.compared for arm in contrast)
    drawn = [name for name in compared or analysis.pools if name in analysis.pools][:PROJECTIONS]
    if len(numeric) > 1 and blocks and drawn:
        shown = [next(pool for pool in analysis.pools[name] if pool.block == min(blocks)) for name in drawn]
        yield projection_figure(shown, space, numeric[0], numeric[1])


def _price_of_choosing(analysis: Analysis) -> Iterator[Section]:
    confirmations = analysis.confirmations
    prose = [
        *tables.selection_notes(analysis),
        _test_values(analysis),
        *confirmation_sentence(confirmations, analysis.study),
        *confirmation_note(confirmations, analysis.study),
    ]
    named = [
        NamedTable("selection", "What choosing by validation cost", tables.selection(analysis)),
        NamedTable("near_ties", "How clear each choice was", tables.near_ties(analysis)),
    ]
    if confirmations:
        named += [
            NamedTable("confirmation", "The choices trained again", confirmation_table(confirmations)),
            NamedTable("choices_again", "Each choice trained again", choices_again(confirmations)),
        ]
    yield Section("honesty", "What did choosing cost?", tuple(prose), tables=tuple(named))


def _test_values(analysis: Analysis) -> str:
    """Return why one page has several test values of one arm."""
    metric = analysis.study.objective
    values = "test accuracies" if metric is ACCURACY else f"values of test {metric.title}"
    verdict = " The verdict is about the expected one." if analysis.study.compared else ""
    again = " A choice that was trained again is the first of equal trials." if analysis.confirmations else ""
    return (
        f"An arm has several {values}. The first in the table of costs is of the model that was chosen, shared by "
        "equal trials, and is the last value of the curve; the table of choices has that of the named trial alone. The tie-aware and the expected ones are averages over the trials that might as well have been chosen."
        f"{verdict}{again}"
    )


def _fairness(analysis: Analysis) -> Iterator[Section]:
    has_costs = all(analysis.table.frame[column].gt(0).any() for column in COSTS)
    plots = (cost_figure(analysis.costs, COSTS, analysis.styles),) if has_costs else ()
    compared = analysis.study.compared
    totals = NamedTable(
        "ledger", "What each arm was given" if compared else "What the search was given", tables.arm_totals(analysis)
    )
    heading = "Was the comparison fair?" if compared else "What did the search cost?"
    yield Section("fairness", heading, tuple(tables.sampler_settings(analysis)), plots, (totals,))


def _distributions(analysis: Analysis) -> Iterator[Section]:
    exchangeable = {name: pools for name, pools in analysis.pools.items() if pools[0].arm.exchangeable}
    plots = [scores_figure(exchangeable, analysis.styles)] if exchangeable else []
    curves = list(analysis.curves.values())
    if len(curves) > 1 and set.intersection(*(set(curve.blocks) for curve in curves)):
        plots.append(finals_figure(curves, analysis.styles))
    if plots:
        yield Section("distributions", "All trials, and what each block ended with", plots=tuple(plots))


def _pairs(analysis: Analysis) -> Iterator[Section]:
    if len(analysis.arms) > 2 and analysis.pairs:
        plot = pairs_figure(analysis.pairs, analysis.arms)
        note = (
            "The verdict is about the declared contrasts alone. Here each p is by sign flips over all recorded blocks, and "
            "corrected for the number of all pairs by Benjamini and Yekutieli's method, which holds for dependent tests."
        )
        yield Section("pairs", plot.title, (note,), (plot,))


def _diagnosis(analysis: Analysis) -> Iterator[Section]:
    """Yield the health of the trials by their curves, and where in the space the findings gather, if known."""
    if diagnosis := analysis.table.provenance.get("diagnosis"):
        trials = sum(diagnosis["health"].values())
        shares = [(health, n, n / trials) for health, n in diagnosis["health"].items()]
        table = NamedTable("health", "Health", pd.DataFrame(shares, columns=["health", "trials", "share"]))
        prose = [f"{capital(sentence)}." for sentence in diagnosis["sentences"]]
        if pruned := diagnosis.get("pruned"):
            prose.insert(0, f"The pruner stopped {pruned:,} of {count(trials, 'trial')} before the last epoch.")
        yield Section("diagnosis", "What went wrong, and where?", tuple(prose), tables=(table,))


def _columns(analysis: Analysis) -> Iterator[Section]:
    """Yield what is done with each column of the study's table; nothing for numbers alone."""
    if columns := analysis.table.provenance.get("columns"):
        table = NamedTable("columns", "Columns", pd.DataFrame(columns, columns=["column", "use", "inputs"]))
        prose = (
            "Medians and rare values are learned from the training rows of each block alone; the table shows the first block. "
            "A column with cells that are missing there has one more input, which marks them."
        )
        yield Section("columns", "What became of the columns", (prose,), tables=(table,))


def _methods(analysis: Analysis) -> Iterator[Section]:
    yield Section("methods", "How all of this was computed", tuple(methods(analysis)), folded=True)
    yield Section("limits", "What this cannot tell you", tuple(limits(analysis)), folded=True)
