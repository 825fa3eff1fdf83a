"""Measure the arithmetic of training: groups against scikit-learn, PyTorch, JAX and bare matrix products.

Every side trains the same networks on the same rows, with the same layer sizes, epochs, minibatches and learning rate, plain
SGD, no validation rows. PyTorch trains one network after the other, eagerly, or a whole group: batched products
(``baddbmm``) with a leading axis of trials, and its own gradients. JAX trains a whole group, compiled (``jit`` of
``vmap`` of ``scan``); its compile time is not counted. A library that is not installed is left out. The bare products are the
``numpy.matmul`` calls that a group's training needs, three for each layer but two for the first, on arrays of the same shapes
and memory order.

Each round is a fresh process on one core with one thread, in which all sides take turns. A ratio is taken inside a turn; the
table gives medians over all turns. Seconds are the processor's, so that other programs matter little.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
GROUP = 32
TURNS = 3
VALIDATED = 359
"""The validation rows of digits, which the table of passes counts."""
LEARNING_RATE = 0.05
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SIDES = {"scikit-learn": "sklearn", "PyTorch eager": "torch", "PyTorch batched": "torch", "JAX jit+vmap": "jax"}


@dataclass(frozen=True)
class Work:
    """A trial: its network and its training settings."""

    sizes: tuple[int, ...]
    batch: int
    rows: int
    epochs: int
    batch_norm: bool = False

    @property
    def name(self) -> str:
        norm = " with batch norm" if self.batch_norm else ""
        return f"{'-'.join(map(str, self.sizes))}{norm}, batch {self.batch}, {self.epochs} epochs of {self.rows:,} rows"


WORKS = (
    Work((64, 50, 10), 64, 1079, 20),
    Work((64, 100, 100, 10), 64, 1079, 20, batch_norm=True),
    Work((64, 100, 100, 10), 64, 1079, 20),
    Work((3072, 100, 100, 10), 128, 5_120, 9),  # as many steps as an epoch of CIFAR-10 has
)
Side = tuple[Callable[[], object], int]
"""A call, and the number of trials that it trains."""


def rows_of(work: Work):  # noqa: ANN201  a pair of arrays
    """Return random rows and labels; their values do not change the time."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.standard_normal((work.rows, work.sizes[0]), dtype="float32"), rng.integers(0, work.sizes[-1], work.rows)


def babysit(work: Work, size: int, count: int = 1, validated: int = 0) -> Side:
    """Return a call that trains a number of groups of equal size, one after the other, and scores rows after each epoch."""
    import numpy as np

    from pipeline.data import Dataset, Split
    from pipeline.study.hparams import HyperParams, TrainConfig
    from pipeline.training import run_epochs
    from pipeline.training.lockstep import make_tiles

    rows = Split(*rows_of(work))
    data = Dataset(rows, rows.take(slice(validated)), rows.empty, work.sizes[-1])
    config = TrainConfig(epochs=work.epochs, batch_size=work.batch)
    settings = {"hidden": work.sizes[1:-1], "batch_norm": work.batch_norm, "learning_rate": LEARNING_RATE}

    def train() -> None:
        for _ in range(count):
            trials = [HyperParams(**settings, seed=seed) for seed in range(size)]
            run_epochs(make_tiles(trials, data.features, data.classes, config), data, config, np.random.default_rng(0))

    return train, size * count


def scikit_learn(work: Work) -> Side:
    """Return a call of ``MLPClassifier.fit``, which has no batch norm."""
    from sklearn.neural_network import MLPClassifier

    inputs, labels = rows_of(work)
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "tol": 0, "learning_rate_init": LEARNING_RATE}
    limits = {"max_iter": work.epochs, "n_iter_no_change": work.epochs, "batch_size": work.batch}

    def train() -> None:
        MLPClassifier(work.sizes[1:-1], **settings, **limits, random_state=0).fit(inputs, labels)

    return train, 1


def products(work: Work) -> Side:
    """Return a call of the matrix products of a group's steps, in the group's tiles."""
    import numpy as np

    from pipeline.nn.dense import SMALL_PRODUCT
    from pipeline.study.hparams import HyperParams
    from pipeline.training.memory import architecture, even_slices, trials_per_tile

    trial = HyperParams(hidden=work.sizes[1:-1], batch_norm=work.batch_norm)
    layers = architecture(trial, work.sizes[0], work.sizes[-1]).layers()
    parts = even_slices(GROUP, trials_per_tile(layers, work.batch, "float32"))
    tile = parts[-1].stop - parts[-1].start
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype="float32")

    def signal(features: int) -> np.ndarray:
        return normal(tile, features, work.batch).swapaxes(1, 2)

    inputs = [normal(work.sizes[0] + 1, work.batch).T for _ in range(work.rows // work.batch)]
    small = inputs[0].size * work.sizes[1] <= SMALL_PRODUCT
    by_row = [np.ascontiguousarray(batch) if small else batch for batch in inputs]
    pairs = list(zip(work.sizes[:-1], work.sizes[1:], strict=True))
    weights = [[normal(tile, fan_out, fan_in + 1).swapaxes(1, 2) for fan_in, fan_out in pairs] for _ in parts]
    grads = [np.empty_like(array) for array in weights[0]]
    outputs = [signal(fan_out + 1) for fan_out in work.sizes[1:]]

    def train() -> None:
        with np.errstate(all="ignore"):
            for _ in range(work.epochs):
                for own in weights:
                    for batch, rows in zip(inputs, by_row, strict=True):
                        multiply(batch, rows, own, outputs, grads)

    return train, len(weights) * tile


def multiply(inputs: Any, rows: Any, weights: list[Any], outputs: list[Any], grads: list[Any]) -> None:
    """Compute the products of one step, forward and back; the first layer's gradient uses the inputs as ``rows``."""
    from numpy import matmul

    below = [inputs, *outputs]
    for i, array in enumerate(weights):
        matmul(below[i], array, out=outputs[i][..., :-1])
    below[0] = rows
    for i in reversed(range(len(weights))):
        matmul(below[i].swapaxes(-1, -2), outputs[i][..., :-1], out=grads[i])
        if i:
            matmul(outputs[i][..., :-1], weights[i][:, :-1].swapaxes(-1, -2), out=outputs[i - 1][..., :-1])


def torch_eager(work: Work) -> Side:
    """Return a call that trains one network in PyTorch, module by module."""
    import torch

    torch.set_num_threads(1)
    inputs, labels = (torch.from_numpy(array) for array in rows_of(work))

    def network() -> torch.nn.Sequential:
        modules: list[torch.nn.Module] = []
        for fan_in, fan_out in zip(work.sizes[:-2], work.sizes[1:-1], strict=True):
            modules += [torch.nn.Linear(fan_in, fan_out)]
            modules += [torch.nn.BatchNorm1d(fan_out)] if work.batch_norm else []
            modules += [torch.nn.ReLU()]
        return torch.nn.Sequential(*modules, torch.nn.Linear(*work.sizes[-2:]))

    def train() -> None:
        model, loss_of = network(), torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)
        for _ in range(work.epochs):
            for part in torch.randperm(work.rows).split(work.batch):
                optimizer.zero_grad()
                loss_of(model(inputs[part]), labels[part]).backward()
                optimizer.step()

    return train, 1


def torch_batched(work: Work) -> Side:
    """Return a call that trains a group in PyTorch, with a leading axis of trials."""
    import torch
    from torch.nn.functional import batch_norm, cross_entropy, relu

    torch.set_num_threads(1)
    inputs, labels = (torch.from_numpy(array) for array in rows_of(work))

    def layer(signal: torch.Tensor, params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        weights, bias, gamma, beta = params
        signal = torch.baddbmm(bias, signal, weights)
        if not work.batch_norm:
            return relu(signal)
        side_by_side = signal.transpose(0, 1).reshape(signal.shape[1], -1)  # the networks' units are its channels
        normal = batch_norm(side_by_side, None, None, gamma.flatten(), beta.flatten(), training=True)
        return relu(normal.view(signal.shape[1], GROUP, -1).transpose(0, 1))

    def train() -> None:
        drawn = []
        for fan_in, fan_out in zip(work.sizes[:-1], work.sizes[1:], strict=True):
            weights = torch.randn(GROUP, fan_in, fan_out) * (2 / fan_in) ** 0.5
            drawn += [weights, torch.zeros(GROUP, 1, fan_out), torch.ones(GROUP, fan_out), torch.zeros(GROUP, fan_out)]
        params = [array.requires_grad_() for array in drawn]
        optimizer = torch.optim.SGD(params, LEARNING_RATE)
        *hidden, last = (tuple(params[i : i + 4]) for i in range(0, len(params), 4))
        for _ in range(work.epochs):
            for part in torch.randperm(work.rows).split(work.batch):
                optimizer.zero_grad()
                signal = inputs[part].expand(GROUP, -1, -1)
                for layer_params in hidden:
                    signal = layer(signal, layer_params)
                logits = torch.baddbmm(last[1], signal, last[0])
                targets = labels[part].repeat(GROUP)
                (cross_entropy(logits.flatten(0, 1), targets, reduction="sum") / len(part)).backward()
                optimizer.step()

    return train, GROUP


def jax_lockstep(work: Work) -> Side:  # noqa: C901  one network, written once
    """Return a call that trains a group in JAX, compiled; an epoch's minibatches are gathered once for all."""
    import jax
    import jax.numpy as jnp

    inputs, labels = (jnp.asarray(array) for array in rows_of(work))
    whole = work.rows // work.batch * work.batch

    def logits(params, batch):  # noqa: ANN001, ANN202  trees of arrays
        for weights, bias, gamma, beta in params[:-1]:
            batch = batch @ weights + bias
            if work.batch_norm:
                centred = batch - batch.mean(axis=0)
                batch = gamma * centred / jnp.sqrt((centred**2).mean(axis=0) + 1e-5) + beta
            batch = jax.nn.relu(batch)
        return batch @ params[-1][0] + params[-1][1]

    def loss(params, batch, targets):  # noqa: ANN001, ANN202
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(params, batch)), targets[:, None], axis=1).mean()

    def step(params, minibatch):  # noqa: ANN001, ANN202
        gradient = jax.grad(loss)(params, *minibatch)
        return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, gradient), None

    @jax.jit
    def epoch(params, order):  # noqa: ANN001, ANN202
        mine, yours = inputs[order], labels[order]
        minibatches = mine[:whole].reshape(-1, work.batch, work.sizes[0]), yours[:whole].reshape(-1, work.batch)
        one = lambda p: jax.lax.scan(step, p, minibatches)[0]  # noqa: E731
        params = jax.vmap(one)(params)
        if whole < work.rows:
            params = jax.vmap(lambda p: step(p, (mine[whole:], yours[whole:]))[0])(params)
        return params

    def drawn(key):  # noqa: ANN001, ANN202
        for fan_in, fan_out in zip(work.sizes[:-1], work.sizes[1:], strict=True):
            scale = (2 / fan_in) ** 0.5
            weights = scale * jax.random.normal(key, (GROUP, fan_in, fan_out))
            yield weights, jnp.zeros((GROUP, fan_out)), jnp.ones((GROUP, fan_out)), jnp.zeros((GROUP, fan_out))

    def train() -> None:
        key = jax.random.key(0)
        params = list(drawn(key))
        for number in range(work.epochs):
            params = epoch(params, jax.random.permutation(jax.random.fold_in(key, number), work.rows))
        jax.block_until_ready(params)

    return train, GROUP


def sides(work: Work) -> dict[str, Side]:
    """Return all sides that train it, by name."""
    makers = {
        "Babysit": partial(babysit, work, GROUP),
        "Babysit, alone": partial(babysit, work, 1, 4),
        "bare products": partial(products, work),
        "scikit-learn": partial(scikit_learn, work),
        "PyTorch eager": partial(torch_eager, work),
        "PyTorch batched": partial(torch_batched, work),
        "JAX jit+vmap": partial(jax_lockstep, work),
    }
    if work.batch_norm:
        del makers["scikit-learn"]  # which has no batch norm to do
    return {name: make() for name, make in makers.items() if installed(name)}


def installed(side: str) -> bool:
    """Return True if a side's library is installed."""
    return side not in SIDES or importlib.util.find_spec(SIDES[side]) is not None


def turns(work: Work) -> list[dict[str, float]]:
    """Return the seconds a trial of every side, turn by turn, after a warm-up."""
    warnings.filterwarnings("ignore")  # scikit-learn would rather have more epochs
    made = sides(work)
    for train, _ in made.values():
        train()
    return [{name: seconds(train) / trials for name, (train, trials) in made.items()} for _ in range(TURNS)]


def seconds(train: Callable[[], object]) -> float:
    """Return the processor seconds of a call."""
    start = time.process_time()
    train()
    return time.process_time() - start


def in_a_process(number: int) -> list[dict[str, float]]:
    """Run the turns in a separate process, whose BLAS chooses its kernels by the processor."""
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    environment |= dict.fromkeys(THREADS, "1")
    environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    command = [sys.executable, __file__, "--one-round", str(number)]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: list[dict[str, float]] = json.loads(result.stdout)
    return found


def row(work: Work, found: list[dict[str, float]]) -> str:
    """Return a row of the table: Babysit's time, its ratio to the bare products, and its speed-up over the others."""
    ms = 1000 * median(turn["Babysit"] for turn in found)
    cells = [work.name, f"{ms:.2f}", f"{median(turn['Babysit'] / turn['bare products'] for turn in found):.2f}"]
    cells += [
        f"{median(turn[side] / turn['Babysit'] for turn in found):.1f}" if side in found[0] else "-" for side in SIDES
    ]
    alone = 1000 * median(turn["Babysit, alone"] for turn in found)
    cells += [f"{alone:.2f}", f"{median(turn['Babysit, alone'] / turn['Babysit'] for turn in found):.1f}"]
    return f"| {' | '.join(cells)} |"


def passes(work: Work) -> str:
    """Return a table of the passes of an epoch of a group: calls, bytes of their arrays, and microseconds by the clock.

    A pass is a layer's forward or backward step, the loss, the update or the evaluation. The rest is what an epoch takes
    besides: choosing rows, counting and Python.
    """
    import numpy as np

    from pipeline.nn.dense import Dense
    from pipeline.nn.layers import Nonlinearity
    from pipeline.nn.optimizers import SGD
    from pipeline.training import lockstep

    readings: dict[str, list[tuple[float, int]]] = {}
    inside = []

    def timed(owner: Any, method: str, name: Callable[..., str]) -> None:
        function = getattr(owner, method)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if inside:
                return function(*args, **kwargs)
            inside.append(True)
            start = time.perf_counter()
            result = function(*args, **kwargs)
            seconds = time.perf_counter() - start
            inside.clear()
            results = result if isinstance(result, tuple) else (result,)
            arrays = [getattr(value, "values", value) for value in (*args, *results)]  # those of Parameters, too
            touched = {id(array): array.nbytes for array in arrays if isinstance(array, np.ndarray)}
            readings.setdefault(name(*args), []).append((seconds, sum(touched.values())))
            return result

        setattr(owner, method, wrapper)

    for layer in (Dense, Nonlinearity):
        for way in ("forward", "backward"):
            timed(
                layer, way, lambda layer, *_, way=way: f"{type(layer).__name__.lower()}, layer {layer.index + 1}, {way}"
            )
    for name in ("softmax_cross_entropy", "softmax_cross_entropy_gradient"):
        timed(lockstep, name, lambda *_, name=name: name.replace("_", " "))
    for name in ("update", "fused_update", "flush"):
        timed(SGD, name, lambda *_, name=name: f"SGD, {name.replace('_', ' ')}")
    timed(lockstep.Tile, "score", lambda *_: f"evaluation of {VALIDATED} rows")
    train, _ = babysit(work, GROUP, validated=VALIDATED)
    train()
    readings.clear()
    start = time.perf_counter()
    train()
    whole = time.perf_counter() - start
    lines = [f"| pass of {work.name} | calls an epoch | KB a call | µs a call | share |", "|---|---:|---:|---:|---:|"]
    known = 0.0
    for name, found in readings.items():
        spent, touched = (sum(values) for values in zip(*found, strict=True))
        known += spent
        cells = len(found) / work.epochs, touched / len(found) / 1e3, median(t for t, _ in found) * 1e6
        lines.append(f"| {name} | {cells[0]:.0f} | {cells[1]:,.0f} | {cells[2]:,.0f} | {spent / whole:.0%} |")
    return "\n".join([*lines, f"| the rest | | | | {1 - known / whole:.0%} |"])


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--passes", action="store_true", help="print a table of the passes of the first network instead"
    )
    parser.add_argument("--one-round", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_round is not None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(json.dumps(turns(WORKS[arguments.one_round])))
        return
    if arguments.passes:
        print(passes(WORKS[0]))
        return
    heads = [f"ms a trial, K = {GROUP}", "times the bare products", *(f"times as fast as {side}" for side in SIDES)]
    heads += ["ms a trial, K = 1", "times that K = 1 takes"]
    print(f"| work | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
    for number, work in enumerate(WORKS):
        found = [turn for _ in range(arguments.rounds) for turn in in_a_process(number)]
        print(row(work, found), flush=True)
    print(
        f"\nMedians of {arguments.rounds * TURNS} turns in {arguments.rounds} processes, one core and one thread each."
    )


if __name__ == "__main__":
    main()
