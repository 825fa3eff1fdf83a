"""The configurations that the arms tried: each trial is seen, on white and on black paper."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from synthetic import GRID, RANDOM, SHIFTED, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.figures.projection import SHADES, projection_figure, side_by_side
from pipeline.report.style import MUTED
from pipeline.training.metrics import BEST_VAL_ACCURACY


@pytest.fixture(scope="module")
def analysis():
    """A study whose grid has four trials in each of nine cells."""
    return Analysis(make_table(arms=(RANDOM, GRID, SHIFTED), blocks=1))


def test_each_trial_is_a_dot(analysis):
    """Each panel has as many dots as its arm has trials, with an outline in the page's grey."""
    pools = [pools[0] for pools in analysis.pools.values()]
    plot = projection_figure(pools, analysis.study.space, "learning_rate", "l2")
    dots = re.findall(r'<use [^>]*style="fill: #\w+; stroke: var\(--muted\)[^"]*"', plot.svg)
    assert len(dots) == sum(map(len, pools)) == len(plot.table)


@pytest.mark.parametrize("trials", [1, 2, 12, 17])
def test_trials_of_one_cell_lie_side_by_side(trials):
    """Dots of the same values are a dot apart, around their place, the best at the top left; other cells stay put."""
    scores = np.random.default_rng(trials).uniform(size=trials)
    frame = pd.DataFrame({"x": [*[1.0] * trials, 2.0], "y": 0.1, BEST_VAL_ACCURACY: [*scores, 0.5]})
    moved = side_by_side(frame, ("x", "y"))
    assert moved[-1].tolist() == [0, 0]
    cell = moved[:-1]
    assert len(np.unique(cell, axis=0)) == trials
    assert np.abs(cell.max(axis=0) + cell.min(axis=0)).max() == 0
    best = cell[scores.argmax()]
    assert best.tolist() == [cell[:, 0].min(), cell[:, 1].max()]


def luminance(colour):
    """The relative luminance of a colour, as WCAG 2 defines it."""
    shares = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)])
    return float(shares @ [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    """The contrast of two colours, 1 to 21."""
    dark, light = sorted(map(luminance, (first, second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("paper", "outline"), [("#ffffff", "#5f5f60"), ("#15171a", "#a5a7aa"), ("#ffffff", MUTED)])
def test_each_shade_is_seen_on_its_paper(paper, outline):
    """On the light page, the dark page and a PNG file, each dot or its outline has a contrast of 3 to the paper."""
    shades = [colour[:3] for colour in colormaps[SHADES](np.linspace(0, 1, 64))]
    assert min(max(contrast(shade, paper), contrast(outline, paper)) for shade in shades) >= 3
