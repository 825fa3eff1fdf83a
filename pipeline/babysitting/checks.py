"""The checks before a study: cheap experiments that a network which can learn passes, and one with a bug does not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data import Dataset, Split, load_block
from pipeline.nn.network import Architecture, Network, init_network, l2_penalty
from pipeline.nn.optimizers import SGD
from pipeline.seeds import derive_seed
from pipeline.spec import Categorical, Study
from pipeline.training import evaluate, train

FEW = 20
OVERFIT_EPOCHS = 1000
LEARNING_RATES = tuple(10 ** (exponent / 2) for exponent in range(-8, 3))
"""Half-decade steps from 1e-4 to 10: which ones work depends on the scale of the data, so all are tried."""


@dataclass(frozen=True)
class Finding:
    """What one check saw."""

    name: str
    passed: bool
    message: str


def check(study: Study) -> Iterator[Finding]:
    """Check the network of a study, on the data of its first block. Yields each finding as it is made."""
    data = load_block(study.dataset, study.config, derive_seed(study.seed, "split", 0))
    yield initial_loss(study, data)
    yield l2_is_wired(study, data)
    yield overfits_few(study, data)


def initial_loss(study: Study, data: Dataset) -> Finding:
    """Before training, a classifier knows nothing: its loss is near ln C, for every init scheme of the space.

    Small weights must come within 0.1; larger ones may start up to 0.7 above it (an intended scale of 1 may be
    anywhere above), and none may start below 0.9 ln C, which only a leak or a wrong loss explains.
    """
    expected = math.log(data.classes)
    searched = study.space.get("init")
    inits = list(searched.choices) if isinstance(searched, Categorical) else [study.fixed.init]
    losses = evaluate(_networks(study, data, inits), data.train)[0]
    allowed = {"zeros": 0.1, "small": 0.1, "large": math.inf}
    passed = all(
        0.9 * expected <= loss <= expected + allowed.get(str(init), 0.7)
        for init, loss in zip(inits, losses, strict=True)
    )
    seen = ", ".join(f"{init} {loss:.3f}" for init, loss in zip(inits, losses, strict=True))
    return Finding("initial loss", passed, f"{seen}; a guess has ln {data.classes} = {expected:.3f}")


def l2_is_wired(study: Study, data: Dataset) -> Finding:
    """The loss rises by ½·l2·ΣW², and one step moves the parameters by the slope of that term, measured by differences.

    With no other gradient, a step of size 1 moves w by -l2·w; biases stay.
    """
    l2, step = 0.1, 1e-4
    network = _networks(study, data, ["he"], dtype="float64")
    direction = np.random.default_rng(0).standard_normal(network.params.values.shape)
    before = network.params.values.copy()

    def penalty(position: float) -> float:
        return float(l2_penalty(network.params.with_values(before + position * direction), np.array([l2]))[0])

    slope = (penalty(step) - penalty(-step)) / (2 * step)
    rise = penalty(0.0)
    nothing = network.params.with_values(np.zeros_like(before))
    SGD(network.params, np.ones(1), np.array([l2]), np.zeros(1)).update(network.params, nothing)
    moved = float(((before - network.params.values) * direction).sum())
    passed = rise > 0 and math.isclose(slope, moved, rel_tol=1e-6)
    return Finding(
        "L2", passed, f"l2 = {l2} raises the loss by {rise:.4f}; its slope is {slope:.6f}, a step follows {moved:.6f}"
    )


def overfits_few(study: Study, data: Dataset) -> Finding:
    """Twenty examples can be learned by heart, at one learning rate of the sweep at least; trained in lockstep."""
    few = Split(data.train.inputs[:FEW], data.train.labels[:FEW])
    config = replace(study.config, epochs=OVERFIT_EPOCHS, batch_size=len(few))
    trials = [replace(study.fixed, learning_rate=rate, l2=0.0) for rate in LEARNING_RATES]
    history = train(trials, Dataset(few, few, few, data.classes), config)
    with np.errstate(invalid="ignore"):
        learned = (history.scores["best/val_accuracy"] == 1) & (
            np.nanmin(history.curves["val/loss"], axis=1, initial=np.inf) < 0.05
        )
    rates = [f"{rate:.2g}" for rate, ok in zip(LEARNING_RATES, learned, strict=True) if ok]
    said = (
        f"learned by heart at learning rates {', '.join(rates)}"
        if rates
        else "learned by heart at no learning rate from 1e-4 to 10"
    )
    return Finding(f"overfit {len(few)} examples", bool(rates), said)


def _networks(study: Study, data: Dataset, inits: list[str | float], dtype: str = "") -> Network:
    one = study.fixed
    architecture = Architecture((data.features, *one.hidden, data.classes), one.activation, one.batch_norm)
    return init_network(architecture, inits, [one.seed] * len(inits), dtype or study.config.dtype)
