"""The names of arms in sentences, plots and tables."""

from __future__ import annotations

from pipeline.study.spec import Arm

TITLES = {
    "random": "random search",
    "grid": "the textbook grid",
    "shifted_grid": "the shifted grid",
    "sobol": "the Sobol sequence",
    "halton": "the Halton sequence",
    "tpe": "TPE",
    "gp": "the Gaussian process",
    "cmaes": "CMA-ES",
    "nsga2": "NSGA-II",
}


def title(arm: Arm) -> str:
    """Return an arm's name in sentences: the title of a known sampler, or the name that the study gave it."""
    return TITLES.get(arm.sampler, arm.name) if arm.name == arm.sampler else arm.name


def label(arm: Arm) -> str:
    """Return an arm's name in plots and tables: its title without an article."""
    return title(arm).removeprefix("the ")
