"""The layers of activation functions; PReLU has parameters, and Maxout halves its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.nn.activations import Activation, zeros_for
from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace


@dataclass(frozen=True)
class Nonlinearity(Layer):
    """h = f(z), in place, for an activation without parameters."""

    activation: Activation
    width: int

    @property
    def numbers_per_row(self) -> int:
        return self.width

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """h = f(z), (K, B, H); the slope f'(z) is stored for backward."""
        self.activation.forward(inputs, self._slope(workspace))
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Return dz = f'(z)·dh."""
        upstream *= self._slope(workspace)
        return upstream

    def _slope(self, workspace: Workspace) -> Array:
        return workspace.like_signal(self.index, "slope", self.width, "bool" if self.activation.binary else "")


@dataclass(frozen=True)
class PReLU(Layer):
    """h = max(0, z) + a·min(0, z), in place, where ``a`` is a parameter of each unit (He et al. 2015)."""

    width: int

    @property
    def param_shapes(self) -> Shapes:
        return {"a": (1, self.width)}

    @property
    def initial_values(self) -> Mapping[str, float]:
        return {"a": 0.25}

    @property
    def numbers_per_row(self) -> int:
        return self.width

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """h = max(0, z) + a·min(0, z), (K, B, H); min(0, z) is stored for backward."""
        negative = self._negative(workspace)
        np.minimum(inputs, zeros_for(inputs), out=negative)
        inputs -= negative
        inputs += params["a"] * negative
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Compute da = Σ dh·min(0, z) over the rows; return dz = dh where z >= 0, else a·dh."""
        negative = self._negative(workspace)
        workspace.dot_over_rows(upstream, negative, out=grads["a"])
        upstream *= np.where(negative < 0, params["a"], 1)
        return upstream

    def _negative(self, workspace: Workspace) -> Array:
        return workspace.like_signal(self.index, "negative", self.width)


@dataclass(frozen=True)
class Maxout(Layer):
    """h = max(z₁, z₂), where z₁ and z₂ are the two halves of the inputs (K, B, 2H) (Goodfellow et al. 2013)."""

    width: int

    @property
    def numbers_per_row(self) -> int:
        return 2 * self.width + 1

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """h = max(z₁, z₂), (K, B, H); where z₁ >= z₂ is stored for backward."""
        first, second = inputs[..., : self.width], inputs[..., self.width :]
        np.greater_equal(first, second, out=self._is_first(workspace))
        outputs = workspace.signal(self.index, self.width)
        np.maximum(first, second, out=outputs)
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Return dz: dh goes to the greater half, and to the first where they are equal."""
        first, second = inputs[..., : self.width], inputs[..., self.width :]
        np.multiply(upstream, self._is_first(workspace), out=first)
        np.subtract(upstream, first, out=second)
        return inputs

    def _is_first(self, workspace: Workspace) -> Array:
        return workspace.like_signal(self.index, "is_first", self.width, "bool")
