"""The figure of importances: what separated the best trials, and what explained the variance, each beside noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from pipeline.report.formatting import capital, listed, number
from pipeline.report.importance import Importance
from pipeline.report.intervals import SHARE, mean_band
from pipeline.report.style import INK, MUTED, RULE, Plot, canvas, finish, styled

BAR = "#0072b2"  # random search's, whose trials these are


@styled
def importances(found: Importance) -> Plot:
    """Two panels of bars: PED-ANOVA with the band of noise, and fANOVA's shares with intervals and noise's median."""
    P = len(found.names)
    figure, (left, right) = canvas(height=1.5 + 0.36 * P, panels=2, sharey=True)
    order = np.argsort(found.separates, kind="stable")
    mean, low, high = mean_band(found.variance, within=SHARE)
    for row, i in enumerate(order):
        above = found.separates[i] > found.band[i]
        left.barh(row, found.band[i], height=0.8, color=RULE)
        left.barh(row, found.separates[i], height=0.45, color=BAR if above else MUTED)
        right.barh(row, mean[i], height=0.45, color=BAR if above else MUTED)
        right.plot([low[i], high[i]], [row, row], color=INK, linewidth=1)
        right.plot([found.noise[i]] * 2, [row - 0.4, row + 0.4], color=MUTED, linewidth=1, linestyle=":")
    _name(left, [found.names[i] for i in order], "separates the best tenth\n(PED-ANOVA, raw)")
    right.set_xlabel("share of the variance\n(fANOVA, mean over blocks)")
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.tick_params(axis="y", length=0)
    table = {"hyperparameter": found.names, "separates": found.separates, "noise_band": found.band}
    shares = {"variance_share": mean, "low": low, "high": high, "noise_median": found.noise}
    return finish(
        figure,
        "importance",
        title="Which hyperparameters mattered?",
        aid="Left, a bar inside its grey band, which shuffled scores stay within in 95 of 100 cases, is not distinguishable "
        "from noise; right, the whisker is the 95% interval over blocks and the dotted mark is noise.",
        alt=_words(found, mean),
        table=pd.DataFrame({**table, **shares}),
    )


def _name(ax: Axes, names: list[str], axis: str) -> None:
    ax.set_yticks(range(len(names)), labels=names)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_xlabel(axis)


def _words(found: Importance, mean: np.ndarray) -> str:
    shares = [f"{name} {number(100 * share, 0)}%" for name, share in zip(found.names, mean, strict=True)]
    return f"{capital(above_noise(found))} Shares of the variance: {listed(shares)}."


def above_noise(found: Importance) -> str:
    """Which hyperparameters rise above noise and which do not, as sentences."""
    clear = found.distinguishable
    rest = [name for name in found.names if name not in clear]
    said = f"Above noise: {listed(clear)}." if clear else "No hyperparameter is distinguishable from noise."
    return f"{said} Not distinguishable from noise: {listed(rest)}." if clear and rest else said
