"""The parameters of K networks are one flat array, with a view for each layer's share of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from pipeline.nn.base import Array, Arrays, Shapes

Share = tuple[Shapes, Callable[[Array], Arrays]]
"""The shapes of a layer's arrays, and what finds them in the layer's values (K, P)."""


class Parameters:
    """Named arrays of K trials that live in one flat array ``values`` (K, P), so that an update is a few calls.

    ``layers[i][name]`` is a view of it, (K, ...); ``weights`` are the views called W, which regularisers act on.
    """

    def __init__(self, values: Array, shares: Sequence[Share]) -> None:
        self.values, self.shares = values, shares
        self.layers: list[Arrays] = []
        start = 0
        for shapes, views in shares:
            stop = start + _size(shapes)
            self.layers.append(views(values[:, start:stop]))
            start = stop
        self.weights = [views["W"] for views in self.layers if "W" in views]

    @classmethod
    def zeros(cls, shares: Sequence[Share], trials: int, dtype: str) -> Parameters:
        """Arrays of these shapes, all zero."""
        return cls(np.zeros((trials, sum(_size(shapes) for shapes, _ in shares)), dtype), shares)

    @property
    def names(self) -> tuple[tuple[int, str, tuple[int, int]], ...]:
        """The layer, name and shape of every array of a trial."""
        return tuple((i, name, shape) for i, (shapes, _) in enumerate(self.shares) for name, shape in shapes.items())

    def with_values(self, values: Array) -> Parameters:
        """The same names over other values (K', P)."""
        return Parameters(values, self.shares)

    def above(self, layer: int) -> Parameters:
        """Those of the layers from this one on."""
        start = sum(_size(shapes) for shapes, _ in self.shares[:layer])
        return Parameters(self.values[:, start:], self.shares[layer:])

    def select(self, members: Array | slice) -> Parameters:
        """Some of the trials: a copy of those that an index or a mask over K chooses, a view of a slice."""
        return self.with_values(self.values[members])

    def __len__(self) -> int:
        """K."""
        return len(self.values)


def _size(shapes: Shapes) -> int:
    return sum(map(prod, shapes.values()))
