"""The contract of a layer: it turns inputs into outputs, and the gradient of its outputs into those of its parameters and inputs.

Letters: K trials, B rows of a minibatch, D inputs, H outputs. Signals are (K, B, H), parameters (K, D, H) or (K, 1, H).
Layers hold no arrays: parameters, gradients and running statistics are passed in, and signals lie in the buffers of a
``Workspace``, where they are changed in place as they pass. Each gradient is of the mean loss, since the loss divides by B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.nn.workspace import Array, Workspace

__all__ = ["Array", "Arrays", "Layer", "Shapes", "Workspace"]

Arrays = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Layer:
    """What the network asks of a layer; ``index`` is its place in the stack."""

    index: int

    @property
    def trained(self) -> Shapes:
        """Its parameters, per trial, in the order in which they lie in memory. Regularisers act on ``W`` alone."""
        return {}

    @property
    def joined(self) -> Shapes:
        """Names for all of its parameters as one array."""
        return {}

    @property
    def kept(self) -> Shapes:
        """What it remembers and does not train: its running statistics."""
        return {}

    @property
    def kept_joined(self) -> Shapes:
        """Names for all that it remembers as one array."""
        return {}

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

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Outputs of the inputs, which are overwritten by what backward needs. ``params`` has the statistics too."""
        raise NotImplementedError

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """Fill ``grads``; turn ``upstream``, dL/d(outputs), into dL/d(inputs). Both arrays are overwritten.

        ``inputs`` is the array that forward was given, with what forward and later layers left in it.
        """
        raise NotImplementedError
