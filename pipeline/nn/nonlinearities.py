"""A nonlinearity is what makes a stack of layers more than one matrix; some of them learn their shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.nn.activations import Activation, zeros_for
from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace


@dataclass(frozen=True)
class Nonlinearity(Layer):
    """Outputs = f(inputs), in their place."""

    activation: Activation
    width: int

    @property
    def per_row(self) -> int:
        return self.width

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """h = f(z); the slope f'(z) is kept."""
        self.activation.forward(inputs, self._slope(space))
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """dz = f'(z)·dh."""
        self.activation.backward(upstream, self._slope(space))
        return upstream

    def _slope(self, space: Workspace) -> Array:
        return space.like_signal(self.index, "slope", self.width, "bool" if self.activation.binary else "")


@dataclass(frozen=True)
class PReLU(Layer):
    """He et al. (2015): h = max(0, z) + a·min(0, z), in the place of z, with a slope ``a`` that each unit learns."""

    width: int

    @property
    def trained(self) -> Shapes:
        return {"a": (1, self.width)}

    @property
    def initial(self) -> Mapping[str, float]:
        return {"a": 0.25}

    @property
    def per_row(self) -> int:
        return self.width

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """The negative part is kept."""
        negative = self._negative(space)
        np.minimum(inputs, zeros_for(inputs), out=negative)
        inputs -= negative
        inputs += params["a"] * negative
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """da = Σ over rows of dh·min(0, z); dz = dh where z >= 0, else a·dh."""
        negative = self._negative(space)
        space.dot_over_rows(upstream, negative, out=grads["a"])
        upstream *= np.where(negative < 0, params["a"], 1)
        return upstream

    def _negative(self, space: Workspace) -> Array:
        return space.like_signal(self.index, "negative", self.width)


@dataclass(frozen=True)
class Maxout(Layer):
    """Goodfellow et al. (2013): h = max(z₁, z₂) over two pieces, which lie side by side in the inputs (K, B, 2H)."""

    width: int

    @property
    def per_row(self) -> int:
        return 2 * self.width + 1

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Which piece is the greater is kept; of equal ones it is the first."""
        first, second = inputs[..., : self.width], inputs[..., self.width :]
        np.greater_equal(first, second, out=self._is_first(space))
        outputs = space.signal(self.index, self.width)
        np.maximum(first, second, out=outputs)
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """dh goes to the piece that was the greater."""
        first, second = inputs[..., : self.width], inputs[..., self.width :]
        np.multiply(upstream, self._is_first(space), out=first)
        np.subtract(upstream, first, out=second)
        return inputs

    def _is_first(self, space: Workspace) -> Array:
        return space.like_signal(self.index, "is_first", self.width, "bool")
