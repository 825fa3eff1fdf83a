"""Initializers draw the weights that training starts from, each with its own scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

INITIALIZERS: dict[str, Callable[[int, int], float]] = {
    "zeros": lambda fan_in, fan_out: 0.0,  # noqa: ARG005  every scale is a function of both fans
    "small": lambda fan_in, fan_out: 0.01,  # noqa: ARG005
    "large": lambda fan_in, fan_out: 1.0,  # noqa: ARG005
    "xavier": lambda fan_in, fan_out: math.sqrt(1 / fan_in),  # noqa: ARG005  LeCun 1998; the lecture's "Xavier"
    "glorot": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),  # Glorot and Bengio 2010
    "he": lambda fan_in, fan_out: math.sqrt(2 / fan_in),  # noqa: ARG005  He et al. 2015
    "orthogonal": lambda fan_in, fan_out: math.sqrt(1 / max(fan_in, fan_out)),  # Saxe, McClelland and Ganguli 2013
}
"""The standard deviation of a layer's weights from its fan-in and fan-out, by the initializer's name in studies.

The weights are normal or uniform, except for ``orthogonal``: its rows, or its columns if those are fewer, are orthonormal.
"""
DISTRIBUTIONS = ("normal", "uniform")
"""The distributions of the weights; they have the same standard deviation."""


@dataclass(frozen=True)
class Initializer:
    """How a trial's weights are drawn: an initializer's name or a standard deviation, a factor, and the distribution."""

    init: str | float
    scale: float = 1.0
    distribution: str = "normal"


Init = str | float | Initializer


def draw_weights(
    rng: np.random.Generator, init: Init, fan_in: int, fan_out: int, receptive_field: int = 1
) -> np.ndarray:
    """Draw one trial's weights (fan_in, fan_out) in float64; ``init`` alone is a name or the standard deviation.

    ``receptive_field`` is the number of output positions that one input contributes to: 9 for a 3x3 filter.
    """
    rule = init if isinstance(init, Initializer) else Initializer(init)
    if rule.init == "orthogonal":
        return rule.scale * orthonormal(rng.standard_normal((fan_in, fan_out)))
    uniform, name = rule.distribution == "uniform", rule.init
    values = (
        rng.uniform(-math.sqrt(3), math.sqrt(3), (fan_in, fan_out))
        if uniform
        else rng.standard_normal((fan_in, fan_out))
    )
    deviation = INITIALIZERS[name](fan_in, receptive_field * fan_out) if isinstance(name, str) else name
    return rule.scale * deviation * values


def orthonormal(normal: np.ndarray) -> np.ndarray:
    """Return a uniformly random matrix with orthonormal rows or columns, from a normal matrix of the same shape.

    It is the Q of a QR decomposition in which R's diagonal is made positive (Mezzadri 2007).
    """
    tall = normal if normal.shape[0] >= normal.shape[1] else normal.T
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))
    return q if tall is normal else q.T
