"""How many trials go together: as many as fit into the processor's cache, or into a budget of memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pipeline.hparams import HyperParams, TrainConfig, check_integer
from pipeline.nn.layers import Layer
from pipeline.nn.network import Architecture

CACHE_BYTES = 2 * 2**20
"""What the arrays of a tile may take: about the second-level cache of a core."""
LARGEST_TILE = 32
"""Beyond it the cost of a NumPy call is shared well enough."""


def architecture(trial: HyperParams, features: int, classes: int) -> Architecture:
    """What the networks of a trial's structure have in common, on D features and C classes."""
    sizes = (features, *trial.hidden, classes)
    return Architecture(sizes, trial.activation, trial.batch_norm, trial.layer_norm, trial.dropout > 0)


def trials_per_tile(layers: Sequence[Layer], rows: int, dtype: str, memories: int = 0) -> int:
    """How many networks and their gradients, with minibatches of B rows, share the cache."""
    bytes_each = np.dtype(dtype).itemsize * ((2 + memories) * _parameters(layers) + rows * _per_row(layers))
    return min(max(1, CACHE_BYTES // bytes_each), LARGEST_TILE)


def trials_per_group(trial: HyperParams, features: int, classes: int, config: TrainConfig, budget_bytes: int) -> int:
    """The greatest K for which training K trials of this structure takes at most ``budget_bytes`` beside the data.

    Each takes its parameters, their checkpoint and what the optimizer remembers of them; gradients and signals are
    shared. It is 1 where even one trial takes more.
    """
    check_integer("budget_bytes", budget_bytes, low=1)
    layers, size = architecture(trial, features, classes).layers(), np.dtype(config.dtype).itemsize
    memories = trial.optimizer_memories
    tile = trials_per_tile(layers, config.batch_size, config.dtype, memories)
    shared = size * tile * (_parameters(layers) + config.batch_size * _per_row(layers))
    return int(max(1, (budget_bytes - shared) // (size * _parameters(layers) * (2 + memories))))


def _parameters(layers: Sequence[Layer]) -> int:
    return sum(prod(shape) for layer in layers for shape in layer.trained.values())


def _per_row(layers: Sequence[Layer]) -> int:
    return sum(layer.per_row for layer in layers)
