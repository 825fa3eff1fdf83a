"""The sections of a suite that ask Bergstra and Bengio's questions (2012): small experiments, and what matters where."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.report.efficiency import efficiency, experiments_sentences, experiments_table, shortened
from pipeline.report.figures.efficiency import efficiency_figure, relevance_figure
from pipeline.report.figures.importance import above_noise
from pipeline.report.sections import NamedTable, Section
from pipeline.report.suite.analysis import SuiteAnalysis


def experiments(analysis: SuiteAnalysis) -> Iterator[Section]:
    """Yield the efficiency curves of the studies whose headline has random search and a grid."""
    found = {name: efficiency(a.pools, a.study.headline) for name, a in analysis.studies.items()}
    curves = {name: curve for name, curve in found.items() if curve}
    if not curves:
        return
    plot, delta = efficiency_figure(curves), analysis.suite.delta
    table = NamedTable("experiments", "Small experiments and whole grids", experiments_table(curves, delta))
    yield Section("experiments", plot.title, tuple(experiments_sentences(curves, delta)), (plot,), (table,))


def relevance(analysis: SuiteAnalysis) -> Iterator[Section]:
    """Yield which hyperparameters matter on which data set, for studies of the same hyperparameters."""
    found = {name: a.importance for name, a in analysis.studies.items()}
    known = {name: importance for name, importance in found.items() if importance}
    if len(known) < 2 or len({frozenset(importance.names) for importance in known.values()}) > 1:
        return
    plot = relevance_figure(known)
    prose = tuple(f"{name}: {above_noise(importance)}" for name, importance in shortened(known).items())
    yield Section("relevance", plot.title, prose, (plot,))
