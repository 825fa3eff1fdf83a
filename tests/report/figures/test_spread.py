"""The distributions of scores: the names of the arms cover no line."""

import re

from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.figures.spread import scores_figure


def test_the_names_of_the_arms_are_above_the_axes():
    """Each arm's name stands higher than the line of 100 percent, which no distribution exceeds."""
    analysis = Analysis(make_table(blocks=1))
    svg = scores_figure(analysis.pools, analysis.styles).svg
    names = re.findall(r'<text [^>]* y="([\d.]+)"[^>]*>(?:random search|\w+ grid)</text>', svg)
    levels = re.findall(r'd="M [\d.]+ ([\d.]+) \nL [\d.]+ \1 \n"[^>]*stroke: var\(--rule\)', svg)
    assert len(names) == 3
    assert max(map(float, names)) < min(map(float, levels))
