"""The number of trials in a tile, which fits into the cache, and in a group, which fits into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    config = trial.configured(config)
    layers, size = architecture(trial, features, classes, shape).layers(), np.dtype(config.dtype).itemsize
    longest = trials_per_tile(layers, config.batch_size, config.dtype, trial.optimizer_memories)
    tiles = {rows: trials_per_tile(layers, rows, config.dtype) for rows in (config.batch_size, EVALUATION_ROWS)}
    # tiles have at most two different lengths
    shared = 2 * (size * longest * _parameters(layers) + _buffer_bytes(layers, config.dtype, tiles))
    return int(max(1, (limit_bytes - shared) // _kept_bytes(trial, layers, size)))


def bytes_per_trial(
    trial: HyperParams, features: int, classes: int, config: TrainConfig, shape: Sequence[int] = ()
) -> int:
    """Return the memory in bytes of training one trial alone, without the data."""
    config = trial.configured(config)
    layers, size = architecture(trial, features, classes, shape).layers(), np.dtype(config.dtype).itemsize
    buffers = _buffer_bytes(layers, config.dtype, dict.fromkeys((config.batch_size, EVALUATION_ROWS), 1))
    return _kept_bytes(trial, layers, size) + size * _parameters(layers) + buffers


def _kept_bytes(trial: HyperParams, layers: Sequence[Layer], size: int) -> int:
    """Return the bytes that each trial keeps: its parameters, their checkpoint and its optimizer's state."""
    return size * _parameters(layers) * (2 + trial.optimizer_memories)


def _buffer_bytes(layers: Sequence[Layer], dtype: str, tiles: Mapping[int, int]) -> int:
    """Return the bytes of the signals of tiles, given as their number of trials for each number of rows.

    The last minibatch is shorter, or up to a quarter longer, so that there are buffers for two numbers of rows.
    """
    size, per_row = np.dtype(dtype).itemsize, _numbers_per_row(layers)
    signals = (
        size * tile * rows * per_row + sum(layer.shared_bytes(rows, dtype) for layer in layers)
        for rows, tile in tiles.items()
    )
    return int(2.25 * sum(signals))


def _parameters(layers: Sequence[Layer]) -> int:
    return sum(prod(shape) for layer in layers for shape in layer.param_shapes.values())


def _numbers_per_row(layers: Sequence[Layer]) -> int:
    return sum(layer.numbers_per_row for layer in layers)
