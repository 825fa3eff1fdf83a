"""Batch norm and layer norm: they keep hidden signals at a learned scale and mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace


@dataclass(frozen=True)
class _Norm(Layer):
    """y = γ·x̂ + β, where x̂ has mean 0 and standard deviation 1."""

    width: int
    epsilon: float = 1e-5

    @property
    def param_shapes(self) -> Shapes:
        return {"gamma": (1, self.width), "beta": (1, self.width)}

    @property
    def numbers_per_row(self) -> int:
        return self.width + 1

    def _row(self, workspace: Workspace, name: str) -> Array:
        return workspace.per_feature(self.index, name, 1, self.width)


@dataclass(frozen=True)
class BatchNorm(_Norm):
    """Batch norm: each feature has mean β and standard deviation γ over the minibatch (Ioffe and Szegedy 2015).

    Training uses the minibatch's mean and population variance, and moves the running statistics towards them. Testing
    uses the running statistics, so a row's output does not depend on the other rows.
    """

    momentum: float = 0.9

    @property
    def stat_shapes(self) -> Shapes:
        return {"mean": (1, self.width), "variance": (1, self.width)}

    def stat_views(self, values: Array) -> Arrays:
        return {**super().stat_views(values), "moments": values.reshape(-1, 2, self.width)}

    @property
    def initial_values(self) -> Mapping[str, float]:
        return {"gamma": 1, "variance": 1}

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """y = γ·x̂ + β with x̂ = (x - mean) / √(variance + ε), (K, B, H); x - mean overwrites the inputs."""
        if training:
            variance = self._centre(params["moments"], inputs, workspace)
        else:
            inputs -= params["mean"]
            variance = params["variance"]
        scale, inverse_std = self._saved(workspace)
        np.add(variance, self.epsilon, out=inverse_std)
        np.reciprocal(np.sqrt(inverse_std, out=inverse_std), out=inverse_std)
        np.multiply(params["gamma"], inverse_std, out=scale)
        outputs = workspace.signal(self.index, self.width)
        np.multiply(inputs, scale, out=outputs)
        outputs += params["beta"]
        return outputs

    def _centre(self, running: Array, inputs: Array, workspace: Workspace) -> Array:
        """Subtract the minibatch's mean from the inputs, update the running moments, return the variance (K, 1, H)."""
        moments = self._moments(workspace)
        mean, variance = moments[:, :1], moments[:, 1:]
        workspace.mean_over_rows(inputs, out=mean)
        inputs -= mean
        workspace.dot_over_rows(inputs, inputs, out=variance)
        variance /= workspace.rows
        self._update_running(running, moments)
        return variance

    def _update_running(self, running: Array, moments: Array) -> None:
        """Move the running moments (K, 2, H) a step towards those of the minibatch."""
        running *= self.momentum
        running += (1 - self.momentum) * moments

    def _moments(self, workspace: Workspace) -> Array:
        """Return the buffer of the minibatch's means and variances, (K, 2, H)."""
        return workspace.per_feature(self.index, "moments", 2, self.width)

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Compute dγ = Σ dy·x̂, dβ = Σ dy and dx = γ/std · (dy - dβ/B - x̂·dγ/B), with sums over the minibatch."""
        centred, (scale, inverse_std) = inputs, self._saved(workspace)
        gamma, beta = grads["gamma"], grads["beta"]
        workspace.dot_over_rows(upstream, centred, out=gamma)
        gamma *= inverse_std
        workspace.sum_over_rows(upstream, out=beta)
        inverse_std *= gamma
        inverse_std /= workspace.rows
        centred *= inverse_std
        upstream -= centred
        upstream -= np.divide(beta, workspace.rows, out=inverse_std)
        upstream *= scale
        return upstream

    def _saved(self, workspace: Workspace) -> tuple[Array, Array]:
        """Return the buffers that forward leaves for backward: γ/std and 1/std, (K, 1, H) each."""
        return self._row(workspace, "scale"), self._row(workspace, "inverse_std")


@dataclass(frozen=True)
class LayerNorm(_Norm):
    """Layer norm (Ba, Kiros and Hinton 2016).

    Each row has mean 0 and standard deviation 1 over its features, before γ and β of each feature. It does not use
    other rows, so training and testing are the same.
    """

    @property
    def initial_values(self) -> Mapping[str, float]:
        return {"gamma": 1}

    def forward(self, params: Arrays, inputs: Array, workspace: Workspace, *, training: bool) -> Array:
        """y = γ·x̂ + β, (K, B, H); x̂ overwrites the inputs."""
        outputs = workspace.signal(self.index, self.width)
        inputs -= self._mean_over_features(inputs)
        variance = self._mean_over_features(np.multiply(inputs, inputs, out=outputs))
        inverse_std = workspace.like_signal(self.index, "inverse_std", 1)
        np.reciprocal(np.sqrt(variance + self.epsilon), out=inverse_std)
        inputs *= inverse_std
        np.multiply(inputs, params["gamma"], out=outputs)
        outputs += params["beta"]
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, workspace: Workspace) -> Array:
        """Compute dγ = Σ dy·x̂, dβ = Σ dy over rows; dx = (g - mean(g) - x̂·mean(g·x̂)) / std over features, g = γ·dy."""
        workspace.dot_over_rows(upstream, inputs, out=grads["gamma"])
        workspace.sum_over_rows(upstream, out=grads["beta"])
        upstream *= params["gamma"]
        along = self._mean_over_features(upstream * inputs)
        upstream -= self._mean_over_features(upstream)
        inputs *= along
        upstream -= inputs
        upstream *= workspace.like_signal(self.index, "inverse_std", 1)
        return upstream

    def _mean_over_features(self, values: Array) -> Array:
        """Return the means (K, B, 1); a product with ones gives the same bits for any K."""
        mean: Array = np.matmul(values, np.ones((self.width, 1), values.dtype)) / self.width
        return mean
