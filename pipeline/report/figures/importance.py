"""The figure of importances: what separates the best trials, and what explains the variance, each next to noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

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
    for row, i in enumerate(order):
        above = importance.separates[i] > importance.band[i]
        left.barh(row, importance.band[i], height=0.8, color=RULE)
        left.barh(row, importance.separates[i], height=0.45, color=BAR if above else MUTED)
        right.barh(row, mean[i], height=0.45, color=BAR if above else MUTED)
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
        aid="Left, a bar inside its grey band, which shuffled scores stay within in 95 of 100 cases, is not distinguishable "
        "from noise; right, the whisker is the 95% interval over blocks and the dotted mark is noise.",
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
    """Return which hyperparameters rise above noise and which do not, as sentences."""
    clear = importance.distinguishable
    rest = [name for name in importance.names if name not in clear]
    above = f"Above noise: {listed(clear)}." if clear else "No hyperparameter is distinguishable from noise."
    return f"{above} Not distinguishable from noise: {listed(rest)}." if clear and rest else above
