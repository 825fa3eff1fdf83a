"""Boundaries of a comparison that is looked at several times, which limit the error rate over all looks together."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import optimize, stats

POINTS = 401
"""The points of the numerical integration over the statistic."""
FARTHEST = 8.0
"""Half the range of the integration, in standard deviations."""


@cache
def boundary_levels(looks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """Return the one-sided p below which each look decides.

    By look k, after K_k blocks, the share K_k / K_last of the level is spent (Lan and DeMets 1983, with the spending
    function level * t, the power family of Kim and DeMets 1987 with exponent 1). The mean over blocks is close to a
    Brownian motion; the probability to cross first at a look is integrated over the density of those that did not cross
    before (Armitage, McPherson and Rowe 1969).

    Parameters
    ----------
    looks
        The numbers of blocks at the looks, increasing.
    level
        The probability that any look crosses by chance, in one direction.
    """
    if len(looks) == 1:
        return (level,)
    times = np.array(looks) / looks[-1]
    spent = np.diff(level * times, prepend=0.0)
    levels = [float(spent[0])]
    scores = np.linspace(-FARTHEST, stats.norm.isf(spent[0]), POINTS) * np.sqrt(times[0])
    density = stats.norm.pdf(scores, scale=np.sqrt(times[0]))
    for before, now, share in zip(times[:-1], times[1:], spent[1:], strict=True):
        step = np.sqrt(now - before)

        def excess(z: float, now: float = now, step: float = step, share: float = share) -> float:
            crossing = stats.norm.sf((z * np.sqrt(now) - scores) / step)  # noqa: B023  called before the loop goes on
            return float(np.trapezoid(density * crossing, scores)) - share  # noqa: B023

        z = optimize.brentq(excess, -FARTHEST, FARTHEST)
        levels.append(float(stats.norm.sf(z)))
        reached = np.linspace(-FARTHEST, z, POINTS) * np.sqrt(now)
        kernel = stats.norm.pdf((reached[:, None] - scores) / step) / step
        scores, density = reached, np.trapezoid(density * kernel, scores, axis=1)
    return tuple(levels)
