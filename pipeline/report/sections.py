"""The chapters of a report, each a question, its figures, its tables and what to say about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipeline.report import confirmation, tables
from pipeline.report.analysis import Analysis
from pipeline.report.comparison import LEVEL
from pipeline.report.figures import cost as paid
from pipeline.report.figures import importance as bars
from pipeline.report.figures import pairwise, projection, spread, tuning
from pipeline.report.figures import targets as reach
from pipeline.report.figures import win_probability as chance
from pipeline.report.formatting import capital, count, listed, number, title
from pipeline.report.intervals import MINIMUM_BLOCKS
from pipeline.report.methods import limits, methods
from pipeline.report.style import Plot
from pipeline.report.table import COSTS
from pipeline.report.targets import FULL_GRID
from pipeline.study.spec import Float


@dataclass(frozen=True)
class NamedTable:
    """A table of its own, under a heading."""

    name: str
    heading: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Section:
    """One chapter: an anchor, a heading, sentences, figures and tables."""

    key: str
    heading: str
    prose: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[NamedTable, ...] = ()


def sections(analysis: Analysis) -> list[Section]:
    """The chapters, in order, that this table of trials has something to say for; the first opens the page."""
    chapters = (
        _curve,
        _difference,
        _chance,
        _targets,
        _why,
        _honesty,
        _fairness,
        _distributions,
        _pairs,
        _diagnosis,
        _methods,
    )
    return [section for chapter in chapters for section in chapter(analysis)]


def _curve(analysis: Analysis) -> Iterator[Section]:
    plot = tuning.hero(list(analysis.curves.values()), analysis.looks, [arm.name for arm in analysis.study.contrast])
    yield Section("curve", plot.title, tuple(_paths(analysis)), (plot,))


def _paths(analysis: Analysis) -> Iterator[str]:
    """Which lines of the first figure have no formula."""
    if single := [title(arm) for arm in analysis.arms if not arm.exchangeable]:
        lines, are, their = ("line", "is", "its") if len(single) == 1 else ("lines", "are each", "their")
        yield (
            f"The {lines} of {listed(single)} {are} the mean of the paths that were walked, one in each block. The order of "
            f"{their} trials has a meaning, so there is no formula for other orders, and such a line is noisier than one "
            "that has one."
        )


def _difference(analysis: Analysis) -> Iterator[Section]:
    if comparison := analysis.comparison:
        plot = tuning.difference(comparison, analysis.study.delta)
        seen = comparison.difference
        said = (
            f"After {count(comparison.trials, 'trial')}: {tables.difference_words(seen)} Only this last difference is tested, "
            "here and not by whether the bands of the first figure overlap."
        )
        disagreement = (
            "The interval and the sign flips do not agree on whether there is a difference, so none counts as detected."
        )
        constant = "Every block gave the same difference, so its interval has no width; that is not certainty."
        equal = len(seen.by_block) > 1 and len(set(seen.by_block)) == 1
        apart = len(seen.by_block) >= MINIMUM_BLOCKS and seen.excludes_zero != (seen.p < LEVEL)
        also = [words for words, holds in ((disagreement, apart), (constant, equal)) if holds]
        yield Section("difference", plot.title, (said, *also), (plot,))


def _chance(analysis: Analysis) -> Iterator[Section]:
    if analysis.comparison and analysis.improvement:
        plot = chance.win_probability(analysis.comparison, analysis.improvement)
        yield Section("chance", plot.title, plots=(plot,))


def _targets(analysis: Analysis) -> Iterator[Section]:
    plot = reach.reached(analysis.pools, analysis.targets, analysis.looks)
    known = "" if analysis.chance is not None else " The accuracy of a guess is not known here and taken as 0."
    ladder = (
        "The targets are set by one rule for all arms: the accuracy of a guess plus 90, 95, 98 and 99 percent of the way from there to "
        f"the best validation accuracy that any arm has seen.{known}"
    )
    grid = "What the full grid found is the largest of many noisy numbers, and so is optimistic; the other targets are less so."
    said = (ladder, grid) if analysis.targets[-1].name == FULL_GRID else (ladder,)
    table = NamedTable("trials_needed", "Trials needed for each target", tables.trials_needed(analysis))
    yield Section("targets", plot.title, said, (plot,), (table,))


def _why(analysis: Analysis) -> Iterator[Section]:
    plots = [*_projection(analysis)]
    found, said = analysis.importance, []
    if found:
        plots.append(bars.importances(found))
        said.append(bars.above_noise(found))
        if effective := found.effective:
            low, high = number(effective.low, 1), number(effective.high, 1)
            said.append(
                f"Effective number of hyperparameters: {number(effective.estimate, 1)} of {len(found.names)} "
                f"(95% CI {low} to {high}). A grid spends its trials as if all {len(found.names)} counted the same."
            )
    else:
        said.append("Importances need random trials, at least 50 of them, that do not all score the same.")
    table = NamedTable("values_tried", "Values tried in a block", tables.values_tried(analysis))
    yield Section("why", "Why? What the arms tried, and what mattered", tuple(said), tuple(plots), (table,))


def _projection(analysis: Analysis) -> Iterator[Plot]:
    space, found = analysis.study.space, analysis.importance
    numeric = [name for name, dimension in space.items() if isinstance(dimension, Float)]
    if found:
        numeric.sort(key=lambda name: -found.separates[found.names.index(name)])
    blocks = set.intersection(*({pool.block for pool in own} for own in analysis.pools.values()))
    shown = [analysis.pools[arm.name] for arm in analysis.arms if arm in analysis.study.contrast]
    if len(numeric) > 1 and blocks:
        pools = [next(pool for pool in own if pool.block == min(blocks)) for own in shown]
        yield projection.projection(pools, space, numeric[0], numeric[1])


def _honesty(analysis: Analysis) -> Iterator[Section]:
    costs = NamedTable("selection", "What choosing by validation cost", tables.selection(analysis))
    ties = NamedTable("near_ties", "How clear each choice was", tables.near_ties(analysis))
    said = (*tables.selection_words(analysis), *_again_words(analysis))
    yield Section("honesty", "What did choosing cost?", said, tables=(costs, ties, *_again_tables(analysis)))


def _again_words(analysis: Analysis) -> Iterator[str]:
    found, contrast = analysis.confirmations, analysis.study.contrast
    yield from confirmation.confirmation_sentence(found, contrast)
    yield from confirmation.confirmation_notes(found, contrast, analysis.confirmed_difference)


def _again_tables(analysis: Analysis) -> Iterator[NamedTable]:
    if found := analysis.confirmations:
        yield NamedTable("confirmation", "The choices trained again", confirmation.confirmation_table(found))
        yield NamedTable("choices_again", "Each choice trained again", confirmation.choices_again(found))


def _fairness(analysis: Analysis) -> Iterator[Section]:
    plots = []
    if all(analysis.table.frame[column].gt(0).any() for column in COSTS):
        plots = [paid.paid(analysis.costs, COSTS, analysis.looks)]
    totals = NamedTable("ledger", "What each arm was given", tables.arm_totals(analysis))
    settings = tables.settings(analysis)
    yield Section("fairness", "Was the comparison fair?", tuple(settings), tuple(plots), (totals,))


def _distributions(analysis: Analysis) -> Iterator[Section]:
    free = {name: own for name, own in analysis.pools.items() if own[0].arm.exchangeable}
    plots = [spread.scores(free, analysis.looks)] if free else []
    curves = list(analysis.curves.values())
    if len(curves) > 1 and set.intersection(*(set(curve.blocks) for curve in curves)):
        plots.append(spread.finals(curves, analysis.looks))
    if plots:
        yield Section("distributions", "All trials, and what each block ended with", plots=tuple(plots))


def _pairs(analysis: Analysis) -> Iterator[Section]:
    if len(analysis.arms) > 2 and analysis.pairs:
        plot = pairwise.matrix(analysis.pairs, analysis.arms)
        said = (
            "The verdict is about the declared pair alone, and its p is not corrected. Those in the table are by sign flips "
            "over blocks, and corrected for the number of all pairs by Benjamini and Yekutieli's method, which holds for "
            "dependent tests."
        )
        yield Section("pairs", plot.title, (said,), (plot,))


def _diagnosis(analysis: Analysis) -> Iterator[Section]:
    """How the trials were, by their curves, and where in the space the complaints gather; where it is known."""
    known = analysis.table.provenance.get("diagnosis")
    if known:
        trials = sum(known["health"].values())
        shares = [(word, n, n / trials) for word, n in known["health"].items()]
        frame = pd.DataFrame(shares, columns=["health", "trials", "share"])
        said = (f"{capital(sentence)}." for sentence in known["sentences"])
        yield Section(
            "diagnosis", "What went wrong, and where?", tuple(said), tables=(NamedTable("health", "Health", frame),)
        )


def _methods(analysis: Analysis) -> Iterator[Section]:
    yield Section("methods", "How all of this was computed", tuple(methods(analysis)))
    yield Section("limits", "What this cannot tell you", tuple(limits(analysis)))
