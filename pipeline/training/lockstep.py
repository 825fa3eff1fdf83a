"""A lockstep group is K networks of one structure that take every step together, a tile of them at a time.

A tile is as many networks as work in the processor's cache; it takes all of the minibatches at hand before the next
tile has its turn. Which tile a network is in changes nothing in its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from pipeline.data import Split
from pipeline.nn.arithmetic import flush, gemm
from pipeline.nn.layers import Array, BatchNorm, Workspace
from pipeline.nn.losses import smooth, softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Network, Parameters, backward, forward, init_network
from pipeline.nn.optimizers import Optimizer, make_optimizer
from pipeline.nn.regularisers import Regularisers
from pipeline.nn.workspace import EVALUATION_ROWS
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.memory import architecture, tiles_of, trials_per_tile
from pipeline.training.minibatches import Minibatch, cuts, minibatches
from pipeline.training.statistics import Gauge, Units

NUMBERS = tuple(f.name for f in fields(HyperParams) if f.type == "float")
"""The hyperparameters that are arrays over the trials of a group."""
FLUSH_STEPS = 64
"""So often, and at the end of an epoch, what has decayed to nothing is set to 0; it costs less than a hundredth."""


@dataclass
class Bench:
    """The buffers that tiles share, since only one of them works at a time."""

    grads: dict[int, Parameters] = field(default_factory=dict)
    workspaces: dict[tuple[int, int], Workspace] = field(default_factory=dict)

    def workspace(self, network: Network, rows: int) -> Workspace:
        """A workspace for the networks and B rows."""
        key = (len(network), rows)
        if key not in self.workspaces:
            self.workspaces[key] = Workspace(*key, network.params.values.dtype.name)
        return self.workspaces[key]

    def gradients(self, network: Network) -> Parameters:
        """An array for the gradients of the networks."""
        if len(network) not in self.grads:
            self.grads[len(network)] = network.params.with_values(np.zeros_like(network.params.values))
        return self.grads[len(network)]


@dataclass
class Tile:
    """Some networks of a group in training; ``smoothing`` of their labels is (K, 1, 1), if there is any.

    ``statistics`` are those of their layers in the epoch that was last trained and scored, each (K, L).
    """

    trials: Sequence[HyperParams]
    network: Network
    optimizer: Optimizer
    regularisers: Regularisers
    smoothing: Array | None
    bench: Bench
    statistics: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        trials: Sequence[HyperParams],
        features: int,
        classes: int,
        dtype: str,
        bench: Bench,
        shape: Sequence[int] = (),
    ) -> Tile:
        """The freshly drawn networks of trials of one structure."""
        one = trials[0]
        numbers = {name: np.array([getattr(t, name) for t in trials]) for name in NUMBERS}
        network = init_network(
            architecture(one, features, classes, shape),
            [t.init for t in trials],
            [t.seed for t in trials],
            dtype,
            dropout=[t.dropout for t in trials],
        )
        used = {name: numbers[name][:, None].astype(dtype) for name in ("clip", "l1", "max_norm") if getattr(one, name)}
        smoothing = numbers["label_smoothing"][:, None, None].astype(dtype) if one.label_smoothing else None
        optimizer = make_optimizer(one.optimizer, network.params, numbers)
        return cls(trials, network, optimizer, Regularisers(**used), smoothing, bench)

    def __len__(self) -> int:
        return len(self.trials)

    def select(self, members: Array) -> Tile:
        """Some of its networks, chosen by a mask over K: a copy, unless all are."""
        if members.all():
            return self
        return Tile(
            [trial for trial, chosen in zip(self.trials, members, strict=True) if chosen],
            self.network.select(members),
            self.optimizer.select(members),
            self.regularisers.select(members),
            None if self.smoothing is None else self.smoothing[members],
            self.bench,
        )

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set the learning rates of an epoch, counted from 0."""
        self.optimizer.anneal(np.array([trial.rate_factor(epoch, epochs) for trial in self.trials]))

    def fit(self, batches: Sequence[Minibatch]) -> tuple[Array, Array]:
        """Take a step for each minibatch; the losses (K, n) and the rows classified right (K, n) before each."""
        measured = max(range(len(batches)), key=lambda i: (len(batches[i]), i))  # the last whole one
        results = []
        for i, batch in enumerate(batches):
            results.append(self.step(batch, measure=i == measured))
            if (i + 1) % FLUSH_STEPS == 0 or i + 1 == len(batches):
                self.optimizer.flush(self.network.params)
                flush(self.network.stats.values, squared=True)
        return _along_rows(results)

    def score(self, val: Prepared, *, measure: bool = False) -> tuple[Array, Array]:
        """The validation losses (K,) and the rows classified right (K, N), with an eye on the hidden units if wanted."""
        units = Units(self.network.layers, len(self))
        scores = evaluate(self.network, val, units if measure else None)
        self.statistics |= units.read(seen=measure)
        return scores

    def fuses_update(self, rows: int) -> bool:
        """Whether the first layer takes its steps as its gradient is made, so that nobody sees that."""
        wanted = self.optimizer.can_fuse and not self.regularisers.reads_gradients
        return wanted and self.network.layers[0].fuses_update(rows)

    def step(self, batch: Minibatch, *, measure: bool = False) -> tuple[Array, Array]:
        """One update; the losses (K, B) and the rows classified right (K, B) before it."""
        workspace, grads, scale = (
            self.bench.workspace(self.network, len(batch)),
            self.bench.gradients(self.network),
            self.optimizer.scale,
        )
        signals = forward(self.network, batch.inputs, workspace, training=True)
        losses, right, probabilities = softmax_cross_entropy(signals[-1], batch.labels)
        targets = batch.targets if self.smoothing is None else smooth(batch.targets, self.smoothing)
        upstream = softmax_cross_entropy_gradient(probabilities, targets, scale)
        fused = self.fuses_update(len(batch)) and not measure
        upstream = backward(self.network, grads, signals, upstream, workspace, down_to=int(fused))
        gauge = Gauge(self.network.params, grads, scale) if measure else None
        if fused:
            self.optimizer.fused_update(self.network.params, grads, signals[0], upstream)
        else:
            self.regularisers.before(self.network.params, grads, scale)
            self.optimizer.update(self.network.params, grads)
        self.regularisers.after(self.network.params)
        if gauge:
            self.statistics |= gauge.read(self.network.params)
        return losses, right


@dataclass(frozen=True)
class Prepared:
    """Rows that are evaluated again and again: laid out once, and with the buffers to go with them."""

    batches: Sequence[Minibatch]
    bench: Bench = field(default_factory=Bench)


@np.errstate(over="ignore")  # a number beyond float32 is infinite, and its trial diverges
def make_tiles(
    trials: Sequence[HyperParams], features: int, classes: int, config: TrainConfig, shape: Sequence[int] = ()
) -> list[Tile]:
    """The freshly drawn networks of K trials of one structure, ready to be trained."""
    one, bench = trials[0], Bench()
    layers = architecture(one, features, classes, shape).layers()
    length = trials_per_tile(layers, config.batch_size, config.dtype, one.optimizer_memories)
    parts = tiles_of(len(trials), length)
    tiles = [Tile.of(trials[part], features, classes, config.dtype, bench, shape) for part in parts]
    if tiles[0].fuses_update(config.batch_size):
        gemm(config.dtype)  # now, so that a limit of threads set from here on is one of this library's too
    return tiles


def fit(tiles: Sequence[Tile], blocks: Iterable[Sequence[Minibatch]]) -> tuple[Array, Array]:
    """Take every tile through all minibatches; the sums of the losses (K,) and of the rows classified right (K,)."""
    loss = correct = np.zeros(sum(map(len, tiles)))
    for batches in blocks:
        losses, right = zip(*[tile.fit(batches) for tile in tiles], strict=True)
        loss = loss + np.concatenate([values.sum(axis=1) for values in losses])
        correct = correct + np.concatenate([values.sum(axis=1) for values in right])
    return loss, correct


def prepare(rows: Split, network: Network) -> Prepared:
    """Lay rows out for :func:`evaluate`."""
    classes, dtype = network.layers[-1].param_shapes["W"][1], network.params.values.dtype.name
    return Prepared(list(minibatches(rows, classes, cuts(len(rows), EVALUATION_ROWS), dtype)))


def evaluate(network: Network, rows: Split | Prepared, units: Units | None = None) -> tuple[Array, Array]:
    """The mean data loss (K,) and the rows classified right (K, N), in test mode; ``units`` look on."""
    rows = prepare(rows, network) if isinstance(rows, Split) else rows
    length = trials_per_tile(network.layers, EVALUATION_ROWS, network.params.values.dtype.name)
    parts = [(part.start, network.select(part)) for part in tiles_of(len(network), length)]
    losses, right = together(
        [_along_rows([_test(part, batch, rows.bench, start, units) for batch in rows.batches]) for start, part in parts]
    )
    return losses.mean(axis=1), right


def evaluate_in_batches(network: Network, rows: Split) -> Array:
    """The accuracy (K,) where batch norm goes by the statistics of batches of :data:`EVALUATION_ROWS`, not by running ones."""
    length, prepared = (
        trials_per_tile(network.layers, EVALUATION_ROWS, network.params.values.dtype.name),
        prepare(rows, network),
    )
    right = []
    for members in tiles_of(len(network), length):
        part = network.select(np.r_[members])  # a copy: its running statistics move
        batches = [_right_in_batch(part, batch, prepared.bench) for batch in prepared.batches]
        right.append(np.concatenate(batches, axis=1).mean(axis=1))
    return np.concatenate(right)


def _right_in_batch(network: Network, batch: Minibatch, bench: Bench) -> Array:
    workspace, signal = bench.workspace(network, len(batch)), batch.inputs
    for layer, arrays in zip(network.layers, network.arrays, strict=True):
        signal = layer.forward(arrays, signal, workspace, training=isinstance(layer, BatchNorm))
    return softmax_cross_entropy(signal, batch.labels)[1]


def together(results: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Pairs of arrays (K, ...) of several tiles as those of the group."""
    first, second = (np.concatenate(arrays) for arrays in zip(*results, strict=True))
    return first, second


def _test(network: Network, batch: Minibatch, bench: Bench, start: int, units: Units | None) -> tuple[Array, Array]:
    workspace = bench.workspace(network, len(batch))
    logits = forward(network, batch.inputs, workspace, training=False)[-1]
    if units:
        units.see(start, workspace)
    return softmax_cross_entropy(logits, batch.labels)[:2]


def _along_rows(results: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Losses and verdicts (K, B) of minibatches as (K, N), each trial's in a row of its own, which sums run along."""
    losses, right = (np.ascontiguousarray(np.concatenate(arrays, axis=1)) for arrays in zip(*results, strict=True))
    return losses, right
