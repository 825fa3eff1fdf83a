"""An initializer draws the weights that training starts from; their scale decides whether signals live or die."""

from __future__ import annotations

import math
from collections.abc import Callable

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
"""The standard deviation of a layer's weights, from its fan-in and fan-out, by the name that studies call it.

The weights are normal, but for ``orthogonal``, whose rows or columns, the fewer of the two, are orthonormal.
"""


def draw_weights(rng: np.random.Generator, init: str | float, fan_in: int, fan_out: int, field: int = 1) -> np.ndarray:
    """Draw one trial's weights (fan_in, fan_out) in float64, with the scale of ``init``, a name or a number.

    ``field`` is how many places a weight is used at for each input: 9 in a 3x3 convolution.
    """
    normal = rng.standard_normal((fan_in, fan_out))
    if init == "orthogonal":
        return orthonormal(normal)
    scale = INITIALIZERS[init](fan_in, field * fan_out) if isinstance(init, str) else init
    return scale * normal


def orthonormal(normal: np.ndarray) -> np.ndarray:
    """A uniformly random matrix with orthonormal rows or columns, from a normal one of its shape.

    QR gives it once the signs of R's diagonal are made positive (Mezzadri 2007).
    """
    tall = normal if normal.shape[0] >= normal.shape[1] else normal.T
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))
    return q if tall is normal else q.T
