"""The figure of the targets: the share of them that an arm has reached after n trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from pipeline.report.arm_titles import title
from pipeline.report.curves import Pool, budget_ladder
from pipeline.report.formatting import capital, percent
from pipeline.report.style import RULE, ArmStyles, Plot, canvas, finish, label_ends, styled, trial_axis
from pipeline.report.targets import Target, share_reached


@styled
def targets_figure(pools: Mapping[str, Sequence[Pool]], targets: Sequence[Target], styles: ArmStyles) -> Plot:
    """Draw the share of (block, target) pairs that each arm has reached, against trials."""
    figure, (ax,) = canvas(height=3.2)
    frames, ends = [], []
    for name, arm_pools in pools.items():
        budgets = budget_ladder([min(map(len, arm_pools))])
        share = share_reached(arm_pools, targets, budgets)
        colour, dash = styles[name]
        ax.plot(budgets, share, color=colour, linestyle=dash, drawstyle="steps-post")
        frames.append(pd.DataFrame({"arm": name, "trials": budgets, "share": share}))
        ends.append((arm_pools[0].arm, float(budgets[-1]), float(share[-1])))
    trial_axis(ax, int(max(x for _, x, _ in ends)))
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_ylabel("targets reached")
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    label_ends(ax, ends, styles)
    final = "; ".join(f"{title(arm)} has reached {percent(share, 0)}" for arm, _, share in ends)
    return finish(
        figure,
        "targets_reached",
        title="How fast are targets reached?",
        aid="Read across from a share of the targets: the further left a line meets it, the fewer trials that arm needs.",
        alt=f"Share of targets reached against trials, over {len(np.unique([t.name for t in targets]))} targets in every "
        f"block. At the end {capital(final)}.",
        table=pd.concat(frames, ignore_index=True),
    )
