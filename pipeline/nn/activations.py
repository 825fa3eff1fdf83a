"""Activation functions: the value of each and its slope, which backward needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Array = np.ndarray

LEAK = 0.01
"""The slope of a leaky ReLU for negative inputs."""


def zeros_for(z: Array) -> Array:
    """Read-only zeros of one trial's shape, to compare signals (K, B, H) with, in a workspace's memory order.

    NumPy's ``maximum`` and ``minimum`` accept the number 0, but are then four times as slow on data in cache.
    """
    return _zeros(z.shape[:0:-1], z.dtype)


@lru_cache(maxsize=32)
def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    zeros = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return zeros.T


@dataclass(frozen=True)
class Activation:
    """A nonlinearity on arrays of any shape.

    ``forward(z, slope)`` replaces z by f(z) and fills ``slope`` with f'(z). A ``binary`` slope is 0 or 1 and is stored as
    booleans.
    """

    forward: Callable[[Array, Array], None]
    binary: bool = False


def sigmoid(z: Array, slope: Array) -> None:
    """f = 1 / (1 + e^-z), computed as ½ + ½·tanh(z/2), which cannot overflow; f' = f·(1 - f)."""
    z *= 0.5
    np.tanh(z, out=z)
    z += 1
    z *= 0.5
    np.subtract(1, z, out=slope)
    slope *= z


def tanh(z: Array, slope: Array) -> None:
    """f = tanh(z); f' = 1 - f²."""
    np.tanh(z, out=z)
    np.multiply(z, z, out=slope)
    np.subtract(1, slope, out=slope)


def relu(z: Array, slope: Array) -> None:
    """f = max(0, z); f' = 1 for z > 0, else 0."""
    np.maximum(z, zeros_for(z), out=z)
    np.greater(z, 0, out=slope)


def leaky_relu(z: Array, slope: Array) -> None:
    """f = max(0.01·z, z) (Maas, Hannun and Ng 2013); f' = 1 for z > 0, else 0.01."""
    np.greater(z, 0, out=slope)
    slope *= 1 - LEAK
    slope += LEAK
    z *= slope


def elu(z: Array, slope: Array) -> None:
    """f = z for z > 0, else e^z - 1 (Clevert, Unterthiner and Hochreiter 2015); f' = 1, or e^z."""
    np.expm1(np.minimum(z, zeros_for(z), out=slope), out=slope)
    np.maximum(z, zeros_for(z), out=z)
    z += slope
    slope += 1


def silu(z: Array, slope: Array) -> None:
    """f = z·σ(z), also called swish (Elfwing, Uchibe and Doya 2017); f' = σ + f·(1 - σ)."""
    sigma = z.copy(order="K")
    sigmoid(sigma, slope)
    z *= sigma
    np.subtract(1, sigma, out=slope)
    slope *= z
    slope += sigma


def gelu(z: Array, slope: Array) -> None:
    """f = ½z·(1 + t) with t = tanh(√(2/π)·(z + 0.044715·z³)), the tanh form of Hendrycks and Gimpel (2016).

    f' = ½(1 + t) + ½z·(1 - t²)·√(2/π)·(1 + 3·0.044715·z²).
    """
    c, d = math.sqrt(2 / math.pi), 0.044715
    square = z * z
    t = np.tanh(c * z * (1 + d * square))
    np.multiply(0.5 * c * z * (1 - t * t), 1 + 3 * d * square, out=slope)
    t += 1
    t *= 0.5
    slope += t
    z *= t


ACTIVATIONS: dict[str, Activation | None] = {
    "relu": Activation(relu, binary=True),
    "tanh": Activation(tanh),
    "sigmoid": Activation(sigmoid),
    "leaky_relu": Activation(leaky_relu),
    "elu": Activation(elu),
    "gelu": Activation(gelu),
    "silu": Activation(silu),
    "prelu": None,
    "maxout": None,
}
"""Every activation by its name in studies; None for those with parameters, which are separate layers."""
