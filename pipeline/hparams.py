"""What one trial is made of: the hyperparameters of a network, and the settings that a study holds fixed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import INITIALIZERS


@dataclass(frozen=True)
class HyperParams:
    """One trial's point: everything that may be searched, and the seed of its weights.

    ``learning_rate``, ``l2`` and ``momentum`` are numeric, so networks that differ in them train in one lockstep group;
    ``hidden``, ``activation`` and ``batch_norm`` are structural and decide which group that is (:attr:`structure`).
    ``init`` is a name of ``INITIALIZERS`` or a number, the standard deviation of the weights.
    ``l2`` scales ½·l2·ΣW² over the weights; biases and batch norm's parameters are left out.
    """

    learning_rate: float = 0.1
    l2: float = 0.0
    momentum: float = 0.0
    activation: str = "relu"
    init: str | float = "he"
    batch_norm: bool = False
    hidden: tuple[int, ...] = (50,)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", parse_hidden(self.hidden))
        check_number("learning_rate", self.learning_rate, low=0.0)
        check_number("l2", self.l2, low=0.0)
        check_number("momentum", self.momentum, low=0.0, below=1.0)
        check_choice("activation", self.activation, ACTIVATIONS)
        if isinstance(self.init, str):
            check_choice("init", self.init, INITIALIZERS)
        else:
            check_number("init", self.init, low=0.0)
        if not isinstance(self.batch_norm, bool):
            raise ValueError(f"batch_norm: got {self.batch_norm!r}; expected True or False")
        check_integer("seed", self.seed, low=0)

    @property
    def structure(self) -> tuple[object, ...]:
        """What networks must have in common to be trained in one lockstep group."""
        return (self.hidden, self.activation, self.batch_norm)


@dataclass(frozen=True)
class TrainConfig:
    """What a study holds fixed for all of its trials.

    ``validation`` and ``test`` are the shares of the rows that each split takes; the rest is trained on.
    ``dtype`` is the precision of the network's arithmetic.
    """

    epochs: int = 20
    batch_size: int = 64
    preprocessing: str = "standardise"
    validation: float = 0.2
    test: float = 0.2
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_integer("epochs", self.epochs, low=1)
        check_integer("batch_size", self.batch_size, low=1)
        check_choice("dtype", self.dtype, ("float32", "float64"))
        for name in ("validation", "test"):
            check_number(name, getattr(self, name), low=0.0, below=1.0)
        if not 0 < self.validation + self.test < 1:
            raise ValueError(
                f"validation + test: got {self.validation + self.test:g}; expected a share between 0 and 1"
            )


def parse_hidden(value: Any) -> tuple[int, ...]:
    """Read a list of hidden sizes, given as integers or as text like ``100x50``.

    Text is how an architecture is written as a categorical choice, since Optuna's choices are plain scalars.
    """
    if isinstance(value, str):
        value = [int(size) if size.isdecimal() else size for size in value.split("x")] if value else []
    elif isinstance(value, int):
        value = [value]
    for size in value:
        check_integer("hidden", size, low=1)
    return tuple(int(size) for size in value)


def check_number(name: str, value: Any, *, low: float, below: float = math.inf) -> None:
    """Raise ``ValueError``, naming the value, unless it is a finite number with low <= value < below."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not (number and low <= value < below):
        limit = f" and below {below:g}" if math.isfinite(below) else ""
        raise ValueError(f"{name}: got {value!r}; expected a finite number of at least {low:g}{limit}")


def check_integer(name: str, value: Any, *, low: int) -> None:
    """Raise ``ValueError``, naming the value, unless it is an integer of at least ``low``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name}: got {value!r}; expected a whole number of at least {low}")


def check_choice(name: str, value: Any, known: Any) -> None:
    """Raise ``ValueError``, naming the value and what is known, unless it is one of them."""
    if value not in known:
        raise ValueError(f"{name}: got {value!r}; expected one of {', '.join(known)}")
