"""The contract of a layer: it turns inputs into outputs, and the gradient of its outputs into those of its parameters and inputs.

Letters: K trials, B rows of a minibatch, D inputs, H outputs. Signals are (K, B, H), parameters (K, D, H) or (K, 1, H).
Layers hold no arrays: parameters, gradients and running statistics are passed in, and signals lie in the buffers of a
``Workspace``, where they are changed in place as they pass. Each gradient is of the mean loss, since the loss divides by B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from pipeline.nn.workspace import Array, Workspace

__all__ = ["Array", "Arrays", "Layer", "Shapes", "Workspace", "in_order"]

Arrays = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, int]]


def in_order(shapes: Shapes, values: Array) -> dict[str, Array]:
    """Arrays of these shapes, (K, ...), as views of values (K, P) in which they lie one after the other."""
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + prod(shape)
        views[name] = values[:, start:stop].reshape(-1, *shape)
        start = stop
    return views


@dataclass(frozen=True)
class Layer:
    """What the network asks of a layer; ``index`` is its place in the stack."""

    index: int

    @property
    def trained(self) -> Shapes:
        """Its parameters, per trial. Regularisers act on ``W`` alone."""
        return {}

    @property
    def kept(self) -> Shapes:
        """What it remembers and does not train: its running statistics."""
        return {}

    def trained_in(self, values: Array) -> Arrays:
        """Its parameters, (K, ...) each, as views of the values (K, P) of all of them; also under names for several as one."""
        return in_order(self.trained, values)

    def kept_in(self, values: Array) -> Arrays:
        """What it remembers, as views of its values (K, P)."""
        return in_order(self.kept, values)

    @property
    def initial(self) -> Mapping[str, float]:
        """What parameters and statistics start as, where it is neither 0 nor random."""
        return {}

    @property
    def reads(self) -> int:
        """How many features its inputs have, if it may be the first layer."""
        raise NotImplementedError

    @property
    def field(self) -> int:
        """How many places of its outputs an input goes to with each unit's weights."""
        return 1

    @property
    def per_row(self) -> int:
        """How many numbers it keeps for each row of a minibatch."""
        return 0

    def shared_bytes(self, rows: int, dtype: str) -> int:
        """What it needs beside for minibatches of so many rows, whatever the number of trials, which take turns in it."""
        return 0

    def descends(self, rows: int) -> bool:
        """Whether a step of ``Optimizer.descend`` pays, for a minibatch of so many rows: it is for the first layer alone."""
        return False

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Outputs of the inputs, which are overwritten by what backward needs. ``params`` has the statistics too."""
        raise NotImplementedError

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """Fill ``grads``; turn ``upstream``, dL/d(outputs), into dL/d(inputs). Both arrays are overwritten.

        ``inputs`` is the array that forward was given, with what forward and later layers left in it.
        """
        raise NotImplementedError
