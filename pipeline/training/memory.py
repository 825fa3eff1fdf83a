"""The number of trials in a tile, which fits into the cache, and in a group, which fits into memory."""

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
"""The approximate size of a core's second-level cache."""
TILE_BYTES = 7 * 2**19
"""The size of a tile's arrays. It is more than the second-level cache: reading from the third costs less than more calls."""
LARGEST_TILE = 32
"""With this many networks, the overhead of a NumPy call is small for each of them."""


def architecture(trial: HyperParams, features: int, classes: int, shape: Sequence[int] = ()) -> Architecture:
    """Return the architecture of a trial's network for D features, images of a shape, and C classes."""
    sizes = (features, *trial.hidden, classes)
    norms = trial.batch_norm, trial.layer_norm
    return Architecture(sizes, trial.activation, *norms, trial.dropout > 0, trial.conv, tuple(shape))


def trials_per_tile(layers: Sequence[Layer], rows: int, dtype: str, memories: int = 0) -> int:
    """Return how many networks a tile has, for minibatches of B rows and an optimizer with ``memories`` state arrays.

    Parameters, gradients and signals of a tile fit into ``TILE_BYTES``. Parameters of a network that alone are larger
    than the cache are not counted, since they are read from memory in any case.
    """
    size = np.dtype(dtype).itemsize
    parameters, signals = size * (2 + memories) * _parameters(layers), size * rows * _numbers_per_row(layers)
    bytes_each = signals if parameters > CACHE_BYTES else parameters + signals
    return min(max(1, TILE_BYTES // bytes_each), LARGEST_TILE)


def even_slices(trials: int, length: int) -> list[slice]:
    """Divide K trials into as few parts of at most ``length`` as possible, of nearly equal lengths."""
    count = -(-trials // length)
    ends = [trials * i // count for i in range(count + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def trials_per_group(
    trial: HyperParams,
    features: int,
    classes: int,
    config: TrainConfig,
    limit_bytes: int,
    shape: Sequence[int] = (),
) -> int:
    """Return the greatest K for which K trials of this one's structure fit into a limit of memory, at least 1.

    Each trial needs its parameters, their checkpoint and its optimizer's state; gradients and signals are shared. The
    data are not counted. The inputs are D features, or images of a shape, in C classes.
    """
    check_integer("limit_bytes", limit_bytes, low=1)
    layers, size = architecture(trial, features, classes, shape).layers(), np.dtype(config.dtype).itemsize
    longest = trials_per_tile(layers, config.batch_size, config.dtype, trial.optimizer_memories)
    shared = 2 * size * longest * _parameters(layers)  # tiles have at most two different lengths
    for rows in (config.batch_size, EVALUATION_ROWS):
        tile = trials_per_tile(layers, rows, config.dtype)
        signals = size * tile * rows * _numbers_per_row(layers) + sum(
            layer.shared_bytes(rows, config.dtype) for layer in layers
        )
        # The last minibatch is shorter, or up to a quarter longer: buffers exist for two sizes of each of two lengths.
        shared += int(4.5 * signals)
    each = size * _parameters(layers) * (2 + trial.optimizer_memories)
    return int(max(1, (limit_bytes - shared) // each))


def bytes_per_trial(
    trial: HyperParams, features: int, classes: int, config: TrainConfig, shape: Sequence[int] = ()
) -> int:
    """Return the memory of training one trial, without the data.

    It holds its parameters, gradients, checkpoint, optimizer state and signals.
    """
    layers, size = architecture(trial, features, classes, shape).layers(), np.dtype(config.dtype).itemsize
    arrays = (3 + trial.optimizer_memories) * _parameters(layers)
    shared = sum(layer.shared_bytes(config.batch_size, config.dtype) for layer in layers)
    return int(size * (arrays + config.batch_size * _numbers_per_row(layers)) + shared)


def _parameters(layers: Sequence[Layer]) -> int:
    return sum(prod(shape) for layer in layers for shape in layer.param_shapes.values())


def _numbers_per_row(layers: Sequence[Layer]) -> int:
    return sum(layer.numbers_per_row for layer in layers)
