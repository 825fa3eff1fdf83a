"""An activation decides what a unit passes on; its slope decides what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Activation:
    """A nonlinearity that works in place, its slope a function of its own output.

    ``forward(z)`` replaces the pre-activations z by h = f(z). ``backward(h, dh, scratch)`` replaces dL/dh by
    dL/dz = f'(z)·dL/dh, where ``scratch`` is an array of the same shape to work in. Any shape will do.
    """

    forward: Callable[[Array], None]
    backward: Callable[[Array, Array, Array], None]


def sigmoid(z: Array) -> None:
    """Replace z by 1 / (1 + e^-z), written as ½ + ½·tanh(z/2), which cannot overflow."""
    z *= 0.5
    np.tanh(z, out=z)
    z += 1
    z *= 0.5


def sigmoid_backward(h: Array, dh: Array, scratch: Array) -> None:
    """f' = h·(1 - h)."""
    np.subtract(1, h, out=scratch)
    scratch *= h
    dh *= scratch


def tanh(z: Array) -> None:
    """Replace z by tanh(z)."""
    np.tanh(z, out=z)


def tanh_backward(h: Array, dh: Array, scratch: Array) -> None:
    """f' = 1 - h²."""
    np.multiply(h, h, out=scratch)
    np.subtract(1, scratch, out=scratch)
    dh *= scratch


def relu(z: Array) -> None:
    """Replace z by max(0, z)."""
    np.maximum(z, 0, out=z)


def relu_backward(h: Array, dh: Array, scratch: Array) -> None:
    """f' = 1 where the unit is on, else 0; at the kink 0."""
    np.sign(h, out=scratch)
    dh *= scratch


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_backward),
    "tanh": Activation(tanh, tanh_backward),
    "sigmoid": Activation(sigmoid, sigmoid_backward),
}
"""Every activation by the name that studies call it."""
