"""The interface of a layer: forward turns inputs into outputs, backward turns gradients of outputs into the others.

Letters: K trials, B rows of a minibatch, D inputs, H outputs. Signals are (K, B, H), parameters (K, D, H) or (K, 1, H).
Layers hold no arrays: parameters, gradients and running statistics are passed in. Signals are in the buffers of a
``Workspace``, and layers change them in place. Each gradient is of the mean loss, since the loss divides by B.
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
    """Return arrays of these shapes, (K, ...), as consecutive views of values (K, P)."""
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + prod(shape)
        views[name] = values[:, start:stop].reshape(-1, *shape)
        start = stop
    return views


@dataclass(frozen=True)
class Layer:
    """The base class of layers; ``index`` is the layer's place in the stack."""

    index: int

    @property
    def param_shapes(self) -> Shapes:
        """The shapes of its parameters for one trial. Regularisers act on ``W`` alone."""
        return {}

    @property
    def stat_shapes(self) -> Shapes:
        """The shapes of its arrays that are not trained, such as running statistics, for one trial."""
        return {}

    def param_views(self, values: Array) -> Arrays:
        """Return its parameters, (K, ...) each, as views of values (K, P).

        An extra name may stand for several parameters as one array, such as ``Wb`` for the weights and the bias.
        """
        return in_order(self.param_shapes, values)

    def stat_views(self, values: Array) -> Arrays:
        """Return its arrays that are not trained as views of values (K, P)."""
        return in_order(self.stat_shapes, values)

    @property
    def initial_values(self) -> Mapping[str, float]:
        """Initial values of parameters and statistics that start neither at 0 nor at random."""
        return {}

    @property
    def input_size(self) -> int:
        """The number of input features D, for layers that may be the first."""
        raise NotImplementedError

    @property
    def receptive_field(self) -> int:
        """The number of output positions that one input contributes to: 9 for a 3x3 filter, 1 for dense weights."""
        return 1

    @property
    def numbers_per_row(self) -> int:
        """The number of values of a trial that the workspace stores for each row of a minibatch."""
        return 0

    def shared_bytes(self, rows: int, dtype: str) -> int:
        """Return the bytes of scratch memory for a minibatch of B rows; all trials share it, one after the other."""
        return 0

    def fuses_update(self, rows: int) -> bool:
        """Return True if ``Optimizer.fused_update`` is faster for B rows; only the first layer can use it."""
        return False

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """Return the outputs (K, B, H).

        Parameters
        ----------
        params
            The layer's parameters and statistics by name, (K, ...) each.
        inputs
            (K, B, D), or (B, D) in the first layer. They are overwritten with what backward needs.
        workspace
            The buffers that outputs and intermediate results are written to.
        training
            True to draw dropout masks, and to use and track the statistics of the minibatch.

        """
        raise NotImplementedError

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Fill ``grads`` and return dL/d(inputs), (K, B, D).

        Parameters
        ----------
        params, grads
            The layer's parameters and their gradients by name, (K, ...) each.
        inputs
            The array that forward was given, as forward and later layers left it. It is overwritten.
        upstream
            dL/d(outputs), (K, B, H). It is overwritten.
        workspace
            The buffers that forward used.

        """
        raise NotImplementedError
