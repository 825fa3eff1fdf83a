"""A layer turns its inputs into outputs, and the gradient of its outputs into those of its parameters and inputs.

Letters: K trials, B rows of a minibatch, D inputs, H outputs. Parameters are (K, D, H) or (K, 1, H). Layers hold no
arrays: parameters, gradients and running statistics are passed in, and results go into buffers of a ``Workspace``, so
that a step of training allocates nothing. Each gradient is of the mean loss, since the loss divides by B.

Sums over a minibatch are products with a row of ones: as fast as BLAS is, and the same bits whatever K is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.nn.activations import Activation

Array = np.ndarray
Arrays = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]


class Workspace:
    """The buffers of one group of K trials and one minibatch size, each made when it is first asked for."""

    def __init__(self, trials: int, rows: int, dtype: str) -> None:
        self.trials, self.rows, self.dtype = trials, rows, dtype
        self.row_of_ones = np.ones((1, rows), dtype)
        self._buffers: dict[tuple[object, int, int], Array] = {}

    def buffer(self, owner: object, rows: int, columns: int) -> Array:
        """The (K, rows, columns) buffer of an owner. What it held before is gone; ``None`` owns the scratch space."""
        key = (owner, rows, columns)
        if key not in self._buffers:
            self._buffers[key] = np.empty((self.trials, rows, columns), self.dtype)
        return self._buffers[key]

    def sum_over_rows(self, values: Array, out: Array) -> Array:
        """Sum (K, B, H) over the minibatch into ``out`` (K, 1, H)."""
        return np.matmul(self.row_of_ones, values, out=out)


class Layer:
    """What the network asks of a layer: the shapes of its arrays, per trial, and the two directions.

    ``weights`` are the parameters that L2 decays, ``offsets`` the other ones; ``statistics`` are kept, not trained.
    All of them come to it as ``params``, by name.
    """

    @property
    def weights(self) -> Shapes:
        return {}

    @property
    def offsets(self) -> Shapes:
        return {}

    @property
    def statistics(self) -> Shapes:
        return {}

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Outputs (K, B, H) of the inputs, which may be overwritten."""
        raise NotImplementedError

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """Fill ``grads``; turn ``upstream``, dL/d(outputs), which may be overwritten, into dL/d(inputs).

        ``inputs`` is what forward was given: its outputs, where it worked in place.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Dense(Layer):
    """Outputs = inputs·W + b. ``first`` says that nobody asks for the gradient of its inputs."""

    fan_in: int
    fan_out: int
    index: int
    first: bool = False

    @property
    def weights(self) -> Shapes:
        return {"W": (self.fan_in, self.fan_out)}

    @property
    def offsets(self) -> Shapes:
        return {"b": (1, self.fan_out)}

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """Inputs are (B, D), shared by all trials, or (K, B, D)."""
        outputs = np.matmul(inputs, params["W"], out=space.buffer(self, space.rows, self.fan_out))
        outputs += params["b"]
        return outputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """From Z = X·W + b: dW = Xᵀ·dZ, db = Σ over rows of dZ, dX = dZ·Wᵀ."""
        np.matmul(inputs.swapaxes(-1, -2), upstream, out=grads["W"])
        space.sum_over_rows(upstream, out=grads["b"])
        if self.first:
            return upstream
        return np.matmul(
            upstream, params["W"].swapaxes(-1, -2), out=space.buffer(("gradient", self.index), space.rows, self.fan_in)
        )


@dataclass(frozen=True)
class Nonlinearity(Layer):
    """Outputs = f(inputs), in the place of the inputs."""

    activation: Activation
    width: int

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """f in place."""
        self.activation.forward(inputs)
        return inputs

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """Times the slope, a function of the outputs, which forward left where the inputs were."""
        self.activation.backward(inputs, upstream, space.buffer(None, space.rows, self.width))
        return upstream


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Ioffe and Szegedy (2015): each feature to mean β and standard deviation γ over the minibatch.

    Training normalises by the minibatch's mean and (population) variance and moves the running statistics towards
    them; testing normalises by the running statistics, so that a row's output does not depend on its companions.
    """

    width: int
    index: int
    epsilon: float = 1e-5
    momentum: float = 0.9

    @property
    def offsets(self) -> Shapes:
        return {"gamma": (1, self.width), "beta": (1, self.width)}

    @property
    def statistics(self) -> Shapes:
        return {"mean": (1, self.width), "variance": (1, self.width)}

    def forward(self, params: Arrays, inputs: Array, space: Workspace, *, training: bool) -> Array:
        """y = γ·x̂ + β with x̂ = (x - mean) / sqrt(variance + ε)."""
        if not training:
            return self._forward_running(params, inputs)
        normalised, inverse_std = self._saved(space)
        mean = space.sum_over_rows(inputs, out=self._row(space, "mean"))
        mean /= space.rows
        inputs -= mean
        np.multiply(inputs, inputs, out=normalised)
        variance = space.sum_over_rows(normalised, out=self._row(space, "variance"))
        variance /= space.rows
        self._remember(params, mean, variance)
        np.reciprocal(np.sqrt(variance + self.epsilon, out=inverse_std), out=inverse_std)
        np.multiply(inputs, inverse_std, out=normalised)
        np.multiply(normalised, params["gamma"], out=inputs)
        inputs += params["beta"]
        return inputs

    def _forward_running(self, params: Arrays, inputs: Array) -> Array:
        scale = params["gamma"] / np.sqrt(params["variance"] + self.epsilon)
        inputs -= params["mean"]
        inputs *= scale
        inputs += params["beta"]
        return inputs

    def _remember(self, params: Arrays, mean: Array, variance: Array) -> None:
        for name, value in (("mean", mean), ("variance", variance)):
            params[name] *= self.momentum
            params[name] += (1 - self.momentum) * value

    def backward(self, params: Arrays, grads: Arrays, inputs: Array, upstream: Array, space: Workspace) -> Array:
        """dγ = Σ dy·x̂, dβ = Σ dy, dx = γ/std · (dy - dβ/B - x̂·dγ/B), the sums over the minibatch."""
        normalised, inverse_std = self._saved(space)
        scratch = np.multiply(upstream, normalised, out=space.buffer(None, space.rows, self.width))
        space.sum_over_rows(scratch, out=grads["gamma"])
        space.sum_over_rows(upstream, out=grads["beta"])
        normalised *= np.divide(grads["gamma"], space.rows, out=self._row(space, "mean"))
        upstream -= normalised
        upstream -= np.divide(grads["beta"], space.rows, out=self._row(space, "mean"))
        upstream *= np.multiply(params["gamma"], inverse_std, out=inverse_std)
        return upstream

    def _saved(self, space: Workspace) -> tuple[Array, Array]:
        """What backward needs of forward: x̂ (K, B, H) and 1/std (K, 1, H)."""
        return space.buffer(self, space.rows, self.width), self._row(space, "inverse_std")

    def _row(self, space: Workspace, name: str) -> Array:
        return space.buffer((name, self.index), 1, self.width)
