"""How many trials go together: as many as fit into the processor's cache, or into a budget of memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np

from pipeline.nn.layers import Layer
from pipeline.nn.network import Architecture
from pipeline.nn.workspace import EVALUATION_ROWS
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.validation import check_integer

CACHE_BYTES = 2 * 2**20
"""About the second-level cache of a core."""
TILE_BYTES = 7 * 2**19
"""What the arrays of a tile may take: what spills from the second-level cache into the third costs less than more calls."""
LARGEST_TILE = 32
"""Beyond it the cost of a NumPy call is shared well enough."""


def architecture(trial: HyperParams, features: int, classes: int, shape: Sequence[int] = ()) -> Architecture:
    """What the networks of a trial's structure have in common, on D features, of images of a shape, and C classes."""
    sizes = (features, *trial.hidden, classes)
    norms = trial.batch_norm, trial.layer_norm
    return Architecture(sizes, trial.activation, *norms, trial.dropout > 0, trial.conv, tuple(shape))


def trials_per_tile(layers: Sequence[Layer], rows: int, dtype: str, memories: int = 0) -> int:
    """How many networks and their gradients, with minibatches of B rows, share the cache.

    Parameters that would not outlast a step in it even if a network were alone are not counted: they lose nothing.
    """
    size = np.dtype(dtype).itemsize
    parameters, signals = size * (2 + memories) * _parameters(layers), size * rows * _numbers_per_row(layers)
    bytes_each = signals if parameters > CACHE_BYTES else parameters + signals
    return min(max(1, TILE_BYTES // bytes_each), LARGEST_TILE)


def tiles_of(trials: int, length: int) -> list[slice]:
    """K trials in as few tiles of at most ``length`` as can be, as even as can be."""
    count = -(-trials // length)
    ends = [trials * i // count for i in range(count + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def trials_per_group(
    trial: HyperParams,
    features: int,
    classes: int,
    config: TrainConfig,
    budget_bytes: int,
    shape: Sequence[int] = (),
) -> int:
    """The greatest K for which training K trials of this structure takes at most ``budget_bytes`` beside the data.

    Each takes its parameters, their checkpoint and what the optimizer remembers of them; gradients and signals are
    shared. It is 1 where even one trial takes more.
    """
    check_integer("budget_bytes", budget_bytes, low=1)
    layers, size = architecture(trial, features, classes, shape).layers(), np.dtype(config.dtype).itemsize
    longest = trials_per_tile(layers, config.batch_size, config.dtype, trial.optimizer_memories)
    shared = 2 * size * longest * _parameters(layers)  # tiles are of two lengths
    for rows in (config.batch_size, EVALUATION_ROWS):
        tile = trials_per_tile(layers, rows, config.dtype)
        signals = size * tile * rows * _numbers_per_row(layers) + sum(
            layer.shared_bytes(rows, config.dtype) for layer in layers
        )
        shared += int(4.5 * signals)  # and the last minibatch is shorter, or up to a quarter longer: each has its own
    each = size * _parameters(layers) * (2 + trial.optimizer_memories)
    return int(max(1, (budget_bytes - shared) // each))


def bytes_per_trial(
    trial: HyperParams, features: int, classes: int, config: TrainConfig, shape: Sequence[int] = ()
) -> int:
    """What training one trial takes beside the data: its parameters, gradients, checkpoint, memories and signals."""
    layers, size = architecture(trial, features, classes, shape).layers(), np.dtype(config.dtype).itemsize
    arrays = (3 + trial.optimizer_memories) * _parameters(layers)
    shared = sum(layer.shared_bytes(config.batch_size, config.dtype) for layer in layers)
    return int(size * (arrays + config.batch_size * _numbers_per_row(layers)) + shared)


def _parameters(layers: Sequence[Layer]) -> int:
    return sum(prod(shape) for layer in layers for shape in layer.param_shapes.values())


def _numbers_per_row(layers: Sequence[Layer]) -> int:
    return sum(layer.numbers_per_row for layer in layers)
