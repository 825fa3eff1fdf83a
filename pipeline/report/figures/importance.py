"""The figure of importances: what separates the best trials, and what explains the variance, each next to noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from pipeline.report.formatting import capital, listed, number
from pipeline.report.importance import Importance
from pipeline.report.intervals import SHARE, mean_band
from pipeline.report.style import INK, MUTED, RULE, STYLES, Plot, canvas, finish, styled

BAR = STYLES["random"][0]  # importances are computed from random search's trials


@styled
def importance_figure(importance: Importance) -> Plot:
    """Draw two panels of bars: PED-ANOVA with the band of noise, and fANOVA's shares with intervals and noise's median."""
    P = len(importance.names)
    figure, (left, right) = canvas(height=1.5 + 0.36 * P, panels=2, sharey=True)
    order = np.argsort(importance.separates, kind="stable")
    mean, low, high = mean_band(importance.variance, within=SHARE)
    colours = np.where(importance.above_noise, BAR, MUTED)
    for row, i in enumerate(order):
        left.barh(row, importance.band[i], height=0.8, color=RULE)
        left.barh(row, importance.separates[i], height=0.45, color=colours[0, i])
        right.barh(row, mean[i], height=0.45, color=colours[1, i])
        right.plot([low[i], high[i]], [row, row], color=INK, linewidth=1)
        right.plot([importance.noise[i]] * 2, [row - 0.4, row + 0.4], color=MUTED, linewidth=1, linestyle=":")
    _name_rows(left, [importance.names[i] for i in order], "separates the best tenth\n(PED-ANOVA, raw)")
    right.set_xlabel("share of the variance\n(fANOVA, mean over blocks)")
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.tick_params(axis="y", length=0)
    table = {"hyperparameter": importance.names, "separates": importance.separates, "noise_band": importance.band}
    shares = {"variance_share": mean, "low": low, "high": high, "noise_median": importance.noise}
    return finish(
        figure,
        "importance",
        title="Which hyperparameters mattered?",
        aid="A blue bar is above noise, a grey one is not distinguishable from it. Left, the grey band is what shuffled scores "
        "stay within in 95 of 100 cases; right, the whisker is the 95% interval over blocks, and the dotted mark is the median "
        "of shuffled scores, which the whole interval of a blue bar exceeds.",
        alt=_alt_text(importance, mean),
        table=pd.DataFrame({**table, **shares}),
    )


def _name_rows(ax: Axes, names: list[str], axis: str) -> None:
    ax.set_yticks(range(len(names)), labels=names)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_xlabel(axis)


def _alt_text(importance: Importance, mean: np.ndarray) -> str:
    shares = [f"{name} {number(100 * share, 0)}%" for name, share in zip(importance.names, mean, strict=True)]
    return f"{capital(above_noise(importance))} Shares of the variance: {listed(shares)}."


def above_noise(importance: Importance) -> str:
    """Return which hyperparameters rise above noise, by which measure, and which do not, as sentences."""
    separates, explains = importance.above_noise
    groups = {
        "by both measures": separates & explains,
        "by PED-ANOVA alone": separates & ~explains,
        "by fANOVA alone": explains & ~separates,
    }
    clauses = [f"{listed(_names(importance, group))} {how}" for how, group in groups.items() if group.any()]
    rest = _names(importance, ~(separates | explains))
    if not clauses:
        return "No hyperparameter is distinguishable from noise."
    above = f"Above noise: {', '.join(clauses)}."
    return f"{above} Not distinguishable from noise: {listed(rest)}." if rest else above


def _names(importance: Importance, chosen: NDArray[np.bool_]) -> list[str]:
    """Return the names of the chosen hyperparameters, most important first."""
    return [importance.names[i] for i in np.argsort(-importance.separates, kind="stable") if chosen[i]]
