"""Training in lockstep: K networks of one structure take every step at the same time, one tile after the other.

A tile is a part of a group that fits into the processor's cache, as in a tiled matrix product. It trains on a list of
minibatches before the next tile does. A network's numbers do not depend on its tile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from pipeline.data import Split
from pipeline.data.rows import chunks
from pipeline.nn.arithmetic import flush, gemm
from pipeline.nn.layers import Array, BatchNorm, Workspace
from pipeline.nn.losses import smooth, softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Network, backward, forward, init_network
from pipeline.nn.optimizers import Optimizer, make_optimizer
from pipeline.nn.parameters import Parameters
from pipeline.nn.regularisers import Regularisers
from pipeline.nn.workspace import EVALUATION_ROWS
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.metrics import ACCURACY, Metric, score_rows
from pipeline.training.memory import architecture, even_slices, trials_per_tile
from pipeline.training.minibatches import Minibatch, minibatches
from pipeline.training.statistics import StepStatistics, UnitStatistics

NUMERIC_HYPERPARAMETERS = tuple(f.name for f in fields(HyperParams) if f.type == "float")
"""The hyperparameters that are arrays over the trials of a group."""
FLUSH_STEPS = 64
"""Subnormal numbers are removed after this number of steps, and at the end of a list; it costs less than a hundredth."""


@dataclass
class SharedBuffers:
    """The buffers that the tiles of a group share, since only one of them is in use at a time."""

    grads: dict[int, Parameters] = field(default_factory=dict)
    workspaces: dict[tuple[int, int], Workspace] = field(default_factory=dict)

    def workspace(self, network: Network, rows: int) -> Workspace:
        """Return a workspace for K networks and B rows."""
        key = (len(network), rows)
        if key not in self.workspaces:
            self.workspaces[key] = Workspace(*key, network.params.values.dtype.name)
        return self.workspaces[key]

    def gradients(self, network: Network) -> Parameters:
        """Return arrays for the gradients of K networks."""
        if len(network) not in self.grads:
            self.grads[len(network)] = network.params.with_values(np.zeros_like(network.params.values))
        return self.grads[len(network)]


@dataclass
class Tile:
    """The K networks of a group that fit into the cache, with what is needed to train them.

    ``smoothing`` is that of their labels, (K, 1, 1), or None. ``statistics`` has those of their layers in the last
    epoch that was trained and scored, (K, L) each. ``steps`` is the number of steps so far.
    """

    trials: Sequence[HyperParams]
    network: Network
    optimizer: Optimizer
    regularisers: Regularisers
    smoothing: Array | None
    buffers: SharedBuffers
    statistics: dict[str, Array] = field(default_factory=dict)
    steps: int = 0

    @classmethod
    def of(
        cls,
        trials: Sequence[HyperParams],
        features: int,
        classes: int,
        dtype: str,
        buffers: SharedBuffers,
        shape: Sequence[int] = (),
    ) -> Tile:
        """Draw the networks of K trials of one structure; the parameters are those of :func:`make_tiles`."""
        first = trials[0]
        numbers = {name: np.array([getattr(t, name) for t in trials]) for name in NUMERIC_HYPERPARAMETERS}
        network = init_network(
            architecture(first, features, classes, shape),
            [t.initializer for t in trials],
            [t.seed for t in trials],
            dtype,
            dropout=[t.dropout for t in trials],
        )
        used = {
            name: numbers[name][:, None].astype(dtype) for name in ("clip", "l1", "max_norm") if getattr(first, name)
        }
        smoothing = numbers["label_smoothing"][:, None, None].astype(dtype) if first.label_smoothing else None
        optimizer = make_optimizer(first.optimizer, network.params, numbers)
        return cls(trials, network, optimizer, Regularisers(**used), smoothing, buffers)

    def __len__(self) -> int:
        return len(self.trials)

    def select(self, members: Array) -> Tile:
        """Return a copy with the networks that a mask over K selects, or the tile itself if it selects all."""
        if members.all():
            return self
        return Tile(
            [trial for trial, chosen in zip(self.trials, members, strict=True) if chosen],
            self.network.select(members),
            self.optimizer.select(members),
            self.regularisers.select(members),
            None if self.smoothing is None else self.smoothing[members],
            self.buffers,
            steps=self.steps,
        )

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set the learning rates for an epoch, counted from 0, of ``epochs`` in total."""
        self.factors = np.array([trial.rate_factor(epoch, epochs) for trial in self.trials])
        self.optimizer.anneal(self.factors)

    def begin_step(self) -> None:
        """Set the learning rates for the next step, of trials whose rate falls from step to step."""
        self.steps += 1
        if self.trials[0].t0:
            falls = np.array([trial.t0 / max(trial.t0, self.steps) for trial in self.trials])
            self.optimizer.anneal(self.factors * falls)

    def take_steps(self, batches: Sequence[Minibatch]) -> tuple[Array, Array]:
        """Take a step for each minibatch; return each row's weighted loss and correctness before its step, (K, n) each."""
        measured = max(range(len(batches)), key=lambda i: (len(batches[i]), i))  # the last of full size
        results = []
        for i, batch in enumerate(batches):
            results.append(self.step(batch, measure=i == measured))
            if (i + 1) % FLUSH_STEPS == 0 or i + 1 == len(batches):
                self.optimizer.flush(self.network.params)
                flush(self.network.stats.values, squared=True)
        losses, correct = _by_trial(results)
        return losses, correct

    def score(self, val: PreparedRows, metric: Metric, *, measure: bool = False) -> Evaluation:
        """Evaluate the networks on validation rows; with ``measure``, the statistics of the hidden units are taken as well."""
        units = UnitStatistics(self.network.layers, len(self))
        scores = evaluate(self.network, val, units if measure else None, metric)
        self.statistics |= units.read(counted=measure)
        return scores

    def fuses_update(self, rows: int) -> bool:
        """Return True if the first layer is updated without storing its gradient, for minibatches of B rows."""
        possible = self.optimizer.can_fuse and not self.regularisers.reads_gradients
        return possible and self.network.layers[0].fuses_update(rows)

    def step(self, batch: Minibatch, *, measure: bool = False) -> tuple[Array, Array]:
        """Take one step; return each row's weighted loss and correctness before it, (K, B) each."""
        self.begin_step()
        workspace, grads = self.buffers.workspace(self.network, len(batch)), self.buffers.gradients(self.network)
        scale = self.optimizer.scale
        signals = forward(self.network, batch.inputs, workspace, training=True)
        losses, correct, probabilities = softmax_cross_entropy(signals[-1], batch.labels)
        targets = batch.targets if self.smoothing is None else smooth(batch.targets, self.smoothing)
        upstream = softmax_cross_entropy_gradient(probabilities, targets, scale, batch.weights)
        fused = self.fuses_update(len(batch)) and not measure
        upstream = backward(self.network, grads, signals, upstream, workspace, down_to=int(fused))
        step_statistics = StepStatistics(self.network.params, grads, scale) if measure else None
        if fused:
            self.optimizer.fused_update(self.network.params, grads, signals[0], upstream)
        else:
            self.regularisers.before(self.network.params, grads, scale)
            self.optimizer.update(self.network.params, grads)
        self.regularisers.after(self.network.params)
        if step_statistics:
            self.statistics |= step_statistics.read(self.network.params)
        return (losses if batch.weights is None else losses * batch.weights), correct


@dataclass(frozen=True)
class PreparedRows:
    """Rows that are evaluated many times: they are copied into their layout once, and have separate buffers."""

    batches: Sequence[Minibatch]
    buffers: SharedBuffers = field(default_factory=SharedBuffers)


class Evaluation(NamedTuple):
    """What K networks score on N rows.

    ``loss`` (K,) is the mean loss without penalties, and ``correct`` (K, N) tells which rows are classified correctly.
    ``values`` (K,) and ``row_scores`` (K, N) are those of the metric, as :func:`pipeline.study.metrics.score_rows` has them.
    """

    loss: Array
    correct: Array
    values: Array
    row_scores: Array


@np.errstate(over="ignore")  # a number beyond float32 is infinite, and its trial diverges
def make_tiles(
    trials: Sequence[HyperParams], features: int, classes: int, config: TrainConfig, shape: Sequence[int] = ()
) -> list[Tile]:
    """Draw the networks of K trials of one structure, for D features and C classes, or images of a shape."""
    first, buffers = trials[0], SharedBuffers()
    layers = architecture(first, features, classes, shape).layers()
    length = trials_per_tile(layers, config.batch_size, config.dtype, first.optimizer_memories)
    parts = even_slices(len(trials), length)
    tiles = [Tile.of(trials[part], features, classes, config.dtype, buffers, shape) for part in parts]
    if tiles[0].fuses_update(config.batch_size):
        gemm(config.dtype)  # loads SciPy's BLAS now, so that a limit of threads that is set later includes it
    return tiles


def train_epoch(tiles: Sequence[Tile], lists: Iterable[Sequence[Minibatch]]) -> tuple[Array, Array]:
    """Train every tile on lists of minibatches; return the sums of losses and of correct rows, (K,) each."""
    loss = correct = np.zeros(sum(map(len, tiles)))
    for batches in lists:
        losses, correct_rows = zip(*[tile.take_steps(batches) for tile in tiles], strict=True)
        loss = loss + np.concatenate([values.sum(axis=1) for values in losses])
        correct = correct + np.concatenate([values.sum(axis=1) for values in correct_rows])
    return loss, correct


def prepare(rows: Split, network: Network) -> PreparedRows:
    """Copy rows into the layout of :func:`evaluate`."""
    classes, dtype = network.layers[-1].param_shapes["W"][1], network.params.values.dtype.name
    return PreparedRows(list(minibatches(rows, classes, chunks(len(rows), EVALUATION_ROWS), dtype)))


def evaluate(
    network: Network, rows: Split | PreparedRows, units: UnitStatistics | None = None, metric: Metric = ACCURACY
) -> Evaluation:
    """Evaluate K networks in test mode on N rows, which they share; ``units`` counts their dead and saturated units."""
    rows = prepare(rows, network) if isinstance(rows, Split) else rows
    length = trials_per_tile(network.layers, EVALUATION_ROWS, network.params.values.dtype.name)
    parts = [(part.start, network.select(part)) for part in even_slices(len(network), length)]
    losses, correct, *outputs = concatenated(
        [
            _by_trial([_evaluate_batch(part, batch, rows.buffers, start, units, metric) for batch in rows.batches])
            for start, part in parts
        ]
    )
    if not outputs:
        return Evaluation(losses.mean(axis=1), correct, correct.mean(axis=1), correct)
    labels = np.concatenate([batch.labels for batch in rows.batches])
    return Evaluation(losses.mean(axis=1), correct, *score_rows(metric, labels, outputs[0]))


def evaluate_in_batches(network: Network, rows: Split) -> Array:
    """Return the accuracies (K,) when batch norm uses the statistics of batches of :data:`EVALUATION_ROWS` rows."""
    prepared = prepare(rows, network)
    length = trials_per_tile(network.layers, EVALUATION_ROWS, network.params.values.dtype.name)
    accuracies = []
    for members in even_slices(len(network), length):
        part = network.select(np.r_[members])  # a copy: its running statistics move
        batches = [_correct_in_batch(part, batch, prepared.buffers) for batch in prepared.batches]
        accuracies.append(np.concatenate(batches, axis=1).mean(axis=1))
    return np.concatenate(accuracies)


def _correct_in_batch(network: Network, batch: Minibatch, buffers: SharedBuffers) -> Array:
    workspace, signal = buffers.workspace(network, len(batch)), batch.inputs
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        signal = layer.forward(arrays, signal, workspace, training=isinstance(layer, BatchNorm))
    return softmax_cross_entropy(signal, batch.labels)[1]


def concatenated(results: Sequence[Sequence[Array]]) -> list[Array]:
    """Concatenate the arrays (K, ...) of several tiles."""
    return [np.concatenate(arrays) for arrays in zip(*results, strict=True)]


def _evaluate_batch(
    network: Network,
    batch: Minibatch,
    buffers: SharedBuffers,
    start: int,
    units: UnitStatistics | None,
    metric: Metric,
) -> tuple[Array, ...]:
    """Return losses and correctness (K, B); unless the metric is accuracy, also the outputs that it is computed from."""
    workspace = buffers.workspace(network, len(batch))
    logits = forward(network, batch.inputs, workspace, training=False)[-1]
    if units:
        units.count(start, workspace)
    predicted = () if metric is ACCURACY or metric.needs_probabilities else (logits.argmax(axis=2),)
    losses, correct, probabilities = softmax_cross_entropy(logits, batch.labels)
    # a copy, since the next batch may overwrite the memory of the probabilities
    return losses, correct, *((probabilities.copy(),) if metric.needs_probabilities else predicted)


def _by_trial(results: Sequence[Sequence[Array]]) -> list[Array]:
    """Join results (K, B, ...) of minibatches to (K, N, ...), contiguous by trial, so that sums do not depend on K."""
    return [np.ascontiguousarray(np.concatenate(arrays, axis=1)) for arrays in zip(*results, strict=True)]
