"""The parameters of K networks: one flat array, with views for each layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from pipeline.nn.base import Array, Arrays, Shapes

Layout = tuple[Shapes, Callable[[Array], Arrays]]
"""The shapes of a layer's arrays, and the function that returns them as views of the layer's values (K, P)."""


class Parameters:
    """Named arrays of K trials in one flat array ``values`` (K, P).

    An update is a few NumPy calls on it. ``layers[i][name]`` is a view of it, (K, ...); ``weights`` are the views named
    W, which regularisers act on.
    """

    def __init__(self, values: Array, layouts: Sequence[Layout]) -> None:
        self.values, self.layouts = values, layouts
        self.layers: list[Arrays] = []
        start = 0
        for shapes, views in layouts:
            stop = start + _size(shapes)
            self.layers.append(views(values[:, start:stop]))
            start = stop
        self.weights = [views["W"] for views in self.layers if "W" in views]

    @classmethod
    def zeros(cls, layouts: Sequence[Layout], trials: int, dtype: str) -> Parameters:
        """Return parameters of K trials that are all 0."""
        return cls(np.zeros((trials, sum(_size(shapes) for shapes, _ in layouts)), dtype), layouts)

    @property
    def names(self) -> tuple[tuple[int, str, tuple[int, int]], ...]:
        """The layer, name and shape of every array of a trial."""
        return tuple((i, name, shape) for i, (shapes, _) in enumerate(self.layouts) for name, shape in shapes.items())

    def with_values(self, values: Array) -> Parameters:
        """Return parameters with the same names and other values (K', P)."""
        return Parameters(values, self.layouts)

    def above(self, layer: int) -> Parameters:
        """Return the parameters of this layer and all above it, a view."""
        start = sum(_size(shapes) for shapes, _ in self.layouts[:layer])
        return Parameters(self.values[:, start:], self.layouts[layer:])

    def select(self, members: Array | slice) -> Parameters:
        """Return some of the trials: a copy for an index or a mask over K, a view for a slice."""
        return self.with_values(self.values[members])

    def __len__(self) -> int:
        """K."""
        return len(self.values)


def _size(shapes: Shapes) -> int:
    return sum(map(prod, shapes.values()))
