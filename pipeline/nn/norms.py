"""A norm keeps the signals of a hidden layer at a scale that it learns, whatever the weights before it do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace


@dataclass(frozen=True)
class _Norm(Layer):
    """Outputs = γ·x̂ + β, the x̂ having mean 0 and standard deviation 1."""

    width: int
    epsilon: float = 1e-5

    @property
    def trained(self) -> Shapes:
        return {"gamma": (1, self.width), "beta": (1, self.width)}

    @property
    def per_row(self) -> int:
        return self.width + 1

    def _row(self, space: Workspace, name: str) -> Array:
        return space.rows_of(self.index, name, 1, self.width)


@dataclass(frozen=True)
class BatchNorm(_Norm):
    """Ioffe and Szegedy (2015): each feature to mean β and standard deviation γ over the minibatch.

    Training normalises by the minibatch's mean and (population) variance and moves the running statistics towards
    them; testing normalises by the running statistics, so that a row's output does not depend on its companions.
    """

    momentum: float = 0.9

    @property
    def kept(self) -> Shapes:
        return {"mean": (1, self.width), "variance": (1, self.width)}

    def kept_in(self, values: Array) -> Arrays:
        return {**super().kept_in(values), "moments": values.reshape(-1, 2, self.width)}

    @property
    def initial(self) -> Mapping[str, float]:
        return {"gamma": 1, "variance": 1}

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """y = γ·x̂ + β with x̂ = (x - mean) / sqrt(variance + ε); x - mean is left where the inputs were."""
        if training:
            variance = self._centre(params["moments"], inputs, space)
        else:
            inputs -= params["mean"]
            variance = params["variance"]
        scale, inverse_std = self._saved(space)
        np.add(variance, self.epsilon, out=inverse_std)
        np.reciprocal(np.sqrt(inverse_std, out=inverse_std), out=inverse_std)
        np.multiply(params["gamma"], inverse_std, out=scale)
        outputs = space.signal(self.index, self.width)
        np.multiply(inputs, scale, out=outputs)
        outputs += params["beta"]
        return outputs

    def _centre(self, running: Array, inputs: Array, space: Workspace) -> Array:
        """Take the minibatch's mean off the inputs, move the running moments; the minibatch's variance (K, 1, H)."""
        moments = self._moments(space)
        mean, variance = moments[:, :1], moments[:, 1:]
        space.mean_over_rows(inputs, out=mean)
        inputs -= mean
        space.dot_over_rows(inputs, inputs, out=variance)
        variance /= space.rows
        self._remember(running, moments)
        return variance

    def _remember(self, running: Array, moments: Array) -> None:
        """Move the running moments (K, 2, H) a step towards those of the minibatch."""
        running *= self.momentum
        running += (1 - self.momentum) * moments

    def _moments(self, space: Workspace) -> Array:
        """The minibatch's means and variances, (K, 2, H)."""
        return space.rows_of(self.index, "moments", 2, self.width)

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """dγ = Σ dy·x̂, dβ = Σ dy, dx = γ/std · (dy - dβ/B - x̂·dγ/B), the sums over the minibatch."""
        centred, (scale, inverse_std) = inputs, self._saved(space)
        gamma, beta = grads["gamma"], grads["beta"]
        space.dot_over_rows(upstream, centred, out=gamma)
        gamma *= inverse_std
        space.sum_over_rows(upstream, out=beta)
        inverse_std *= gamma
        inverse_std /= space.rows
        centred *= inverse_std
        upstream -= centred
        upstream -= np.divide(beta, space.rows, out=inverse_std)
        upstream *= scale
        return upstream

    def _saved(self, space: Workspace) -> tuple[Array, Array]:
        """What backward needs of forward: γ/std and 1/std, (K, 1, H) each."""
        return self._row(space, "scale"), self._row(space, "inverse_std")


@dataclass(frozen=True)
class LayerNorm(_Norm):
    """Ba, Kiros and Hinton (2016): each row to mean 0 and standard deviation 1 over its features, then γ and β of each.

    It needs no other rows: training and testing are the same.
    """

    @property
    def initial(self) -> Mapping[str, float]:
        return {"gamma": 1}

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """y = γ·x̂ + β; x̂ is left where the inputs were."""
        outputs = space.signal(self.index, self.width)
        inputs -= self._mean_over_features(inputs)
        variance = self._mean_over_features(np.multiply(inputs, inputs, out=outputs))
        inverse_std = space.like_signal(self.index, "inverse_std", 1)
        np.reciprocal(np.sqrt(variance + self.epsilon), out=inverse_std)
        inputs *= inverse_std
        np.multiply(inputs, params["gamma"], out=outputs)
        outputs += params["beta"]
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """dγ = Σ dy·x̂ and dβ = Σ dy over the rows; with g = γ·dy, dx = (g - mean(g) - x̂·mean(g·x̂)) / std over features."""
        space.dot_over_rows(upstream, inputs, out=grads["gamma"])
        space.sum_over_rows(upstream, out=grads["beta"])
        upstream *= params["gamma"]
        along = self._mean_over_features(upstream * inputs)
        upstream -= self._mean_over_features(upstream)
        inputs *= along
        upstream -= inputs
        upstream *= space.like_signal(self.index, "inverse_std", 1)
        return upstream

    def _mean_over_features(self, values: Array) -> Array:
        """(K, B, 1), as a product with ones, so that no sum depends on K."""
        mean: Array = np.matmul(values, np.ones((self.width, 1), values.dtype)) / self.width
        return mean
