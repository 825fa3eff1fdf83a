"""The words that studies are written in: a search space, the arms that search it, and the question."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, cast

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from pipeline.hparams import (
    EPOCHS_LIMIT,
    HyperParams,
    TrainConfig,
    check_integer,
    check_kind,
    check_number,
    did_you_mean,
    recorded,
)

Point = dict[str, Any]
"""One value for each searched hyperparameter."""

SEARCHABLE = tuple(f.name for f in fields(HyperParams) if f.name != "seed")
GRID_LIMIT = 100_000
TRIALS_LIMIT = 1_000_000
"""What a grid and a study may have; more is a slip of the pen."""
CONFIRM = 5
"""So many times what an arm chose is trained again, unless the study says otherwise."""


@dataclass(frozen=True)
class Float:
    """A real hyperparameter from ``low`` to ``high``, on a log scale if ``log``; a grid takes ``levels`` values of it."""

    low: float
    high: float
    log: bool = False
    levels: int = 3

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            check_number(name, getattr(self, name), low=-math.inf)
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.low >= self.high:
            raise ValueError(f"low must be below high: got low={self.low!r}, high={self.high!r}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale needs low > 0: got low={self.low!r}")
        check_integer("levels", self.levels, low=1)

    @property
    def distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, self.high, log=self.log)

    def at(self, unit: float) -> float:
        """The value at a position of the unit interval, on the scale of the hyperparameter."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + unit * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def grid(self, shift: float | None = None) -> list[float]:
        """The textbook's levels, evenly spaced from end to end; or, shifted by 0 <= shift < 1, at (i + shift) / levels."""
        if shift is not None:
            return [self.at((i + shift) / self.levels) for i in range(self.levels)]
        return [self.at(float(u)) for u in (np.linspace(0, 1, self.levels) if self.levels > 1 else [0.5])]


@dataclass(frozen=True)
class Categorical:
    """A hyperparameter that takes one of a few values: text, numbers, or True and False."""

    choices: tuple[str | float | bool, ...]

    def __init__(self, *choices: str | float | bool) -> None:
        object.__setattr__(self, "choices", choices)
        if not choices:
            raise ValueError("Categorical: needs at least one choice")
        for choice in choices:
            if not isinstance(choice, (str, int, float)):
                raise ValueError(
                    f"Categorical: got {choice!r}; expected text, a number, True or False. Hidden sizes are text: '64x32'"
                )
        if len(set(choices)) < len(choices):
            raise ValueError(f"Categorical: a choice is given twice in {choices!r}")

    @property
    def distribution(self) -> BaseDistribution:
        return CategoricalDistribution(self.choices)

    def grid(self, shift: float | None = None) -> list[str | float | bool]:
        """Every choice; categories are always complete, whatever the shift."""
        return list(self.choices)


Dimension = Float | Categorical


class SearchSpace(Mapping[str, Dimension]):
    """The hyperparameters that are searched, by name; the one declaration that samplers and grids both derive from."""

    def __init__(self, **dimensions: Dimension) -> None:
        if not dimensions:
            raise ValueError("SearchSpace: nothing to search; give at least one hyperparameter")
        for name, dimension in dimensions.items():
            if name not in SEARCHABLE:
                hint = did_you_mean(name, SEARCHABLE)
                raise ValueError(
                    f"SearchSpace: unknown hyperparameter {name!r}; {hint}expected one of {', '.join(SEARCHABLE)}"
                )
            if not isinstance(dimension, Dimension):
                raise ValueError(f"SearchSpace: {name}: got {dimension!r}; expected Float(...) or Categorical(...)")
        self._dimensions = dimensions
        if self.grid_size > GRID_LIMIT:
            raise ValueError(f"SearchSpace: its grid has {self.grid_size:,} points; the limit is {GRID_LIMIT:,}")

    def __getitem__(self, name: str) -> Dimension:
        return self._dimensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dimensions)

    def __len__(self) -> int:
        return len(self._dimensions)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of each hyperparameter."""
        return {name: dimension.distribution for name, dimension in self.items()}

    @property
    def grid_size(self) -> int:
        return math.prod(d.levels if isinstance(d, Float) else len(d.choices) for d in self.values())

    def grid(self, shifts: Mapping[str, float] | None = None) -> dict[str, list[Any]]:
        """The levels of each hyperparameter: the textbook's, or shifted by a fraction of a step each."""
        shifts = shifts or {}
        return {name: dimension.grid(shifts.get(name)) for name, dimension in self.items()}

    def to_json(self) -> dict[str, Any]:
        return {name: {"type": type(d).__name__, **asdict(d)} for name, d in self.items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Mapping[str, Any]]) -> SearchSpace:
        def dimension(entry: Mapping[str, Any]) -> Dimension:
            rest = {key: value for key, value in entry.items() if key != "type"}
            return Categorical(*rest["choices"]) if entry["type"] == "Categorical" else Float(**rest)

        return cls(**{name: dimension(entry) for name, entry in record.items()})


@dataclass(frozen=True)
class Arm:
    """One way of searching, under the name the report calls it by.

    ``sampler`` is a word of ``pipeline.samplers`` (``random``, ``grid``, ``shifted_grid``); left out, it is the name.
    """

    name: str
    sampler: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("arm", self.name)
        object.__setattr__(self, "sampler", self.sampler or self.name)

    @property
    def exchangeable(self) -> bool:
        """Whether the order of its trials carries no information, so that best-after-n has an exact formula."""
        return self.sampler in ("random", "grid", "shifted_grid")


@dataclass(frozen=True)
class Pruner:
    """Which trials are stopped early: ``median``, ``successive_halving``, ``hyperband`` or ``threshold``, with arguments.

    A trial is held against those of the waves before its own, ``wave`` trials each (``pipeline.pruners``).
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    wave: int = 16

    def __post_init__(self) -> None:
        check_integer("wave", self.wave, low=1)


@dataclass(frozen=True)
class Stage:
    """One stage of a search from coarse to fine: the epochs of its trials, and how many each arm has in each block.

    Left out, ``trials`` are as many as the stage before had.
    """

    epochs: int
    trials: int = 0

    def __post_init__(self) -> None:
        check_integer("stage epochs", self.epochs, low=1, high=EPOCHS_LIMIT)
        check_integer("stage trials", self.trials, low=0)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question, and everything that decides the trials that answer it.

    ``trials`` is the budget of each arm in each block; left out, it is the size of the grid.
    A block has its own data split and seeds, shared by the arms. ``delta`` is the smallest difference of held-out
    accuracy that matters, declared before the first trial. ``fixed`` gives the hyperparameters that are not searched.
    ``pruner`` stops trials early, in a study of one arm: arms are compared by trials that were all trained to the end.
    ``stages`` go from coarse to fine: the study itself is the first, with its epochs and trials, and ``refine`` makes
    the others from what the one before found. After the search, what each arm chose in each block is trained again
    ``confirm`` times, from other weights, so that the report can tell the choice from its luck; 0 leaves it be.
    """

    name: str
    question: str
    space: SearchSpace
    dataset: str = "digits"
    fixed: HyperParams = field(default_factory=HyperParams)
    config: TrainConfig = field(default_factory=TrainConfig)
    arms: tuple[Arm, ...] = field(default_factory=lambda: (Arm("random"), Arm("grid")))
    blocks: int = 10
    trials: int = cast("int", None)  # which __post_init__ makes the size of the grid
    delta: float = 0.005
    seed: int = 0
    pruner: Pruner | None = None
    stages: tuple[Stage, ...] = ()
    confirm: int = CONFIRM

    def __post_init__(self) -> None:
        self._check_kinds()
        check_name("study", self.name)
        if self.stages:
            object.__setattr__(self, "config", replace(self.config, epochs=self.stages[0].epochs))
        if self.trials is None:
            coarse = self.stages[0].trials if self.stages else 0
            object.__setattr__(self, "trials", coarse or self.space.grid_size)
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"arms: got {names}; expected at least one, each with a name of its own")
        if self.pruner and len(names) > 1:
            raise ValueError(
                f"pruner: got arms {names}; a comparison trains every trial to the end. Give one arm, or no pruner"
            )
        for word in ("blocks", "trials"):
            check_integer(word, getattr(self, word), low=1, high=TRIALS_LIMIT)
        check_integer("seed", self.seed, low=0, high=2**64 - 1)
        check_integer("confirm", self.confirm, low=0, high=TRIALS_LIMIT)
        if (total := self.blocks * self.trials * len(names)) > TRIALS_LIMIT:
            raise ValueError(f"blocks x trials x arms: got {total:,}; a study has at most {TRIALS_LIMIT:,}")
        check_number("delta", self.delta, low=0.0, below=1.0)
        for name, dimension in self.space.items():
            for value in dimension.grid():
                self.hyperparams({name: value})
        self._check_grids_suffice()

    def _check_kinds(self) -> None:
        kinds = {"question": str, "dataset": str, "space": SearchSpace, "fixed": HyperParams, "config": TrainConfig}
        for name, kind in kinds.items():
            check_kind(name, getattr(self, name), kind)
        check_kind("arms", self.arms, tuple)
        for arm in self.arms:
            check_kind("arms", arm, Arm)
        check_kind("stages", self.stages, tuple)
        for stage in self.stages:
            check_kind("stages", stage, Stage)

    def _check_grids_suffice(self) -> None:
        size = self.space.grid_size
        grids = [arm.name for arm in self.arms if arm.sampler in ("grid", "shifted_grid")]
        if grids and self.trials > size:
            raise ValueError(
                f"trials: got {self.trials}; the grid of {grids[0]!r} has {size} points. Give more levels or fewer trials"
            )

    def hyperparams(self, point: Mapping[str, Any], seed: int = 0) -> HyperParams:
        """The trial at a point of the space, with what the study holds fixed."""
        return replace(self.fixed, **point, seed=seed)

    def budgets(self, arm: str, block: int, number: int) -> bool:
        """Whether a trial of that arm, block and number is within the declared budget."""
        return any(arm == a.name for a in self.arms) and block < self.blocks and number < self.trials

    @property
    def contrast(self) -> tuple[Arm, ...]:
        """The comparison that the verdict is about: the first arm against the second."""
        return self.arms[:2]

    def to_json(self) -> dict[str, Any]:
        """The whole declaration as plain values; :meth:`from_json` turns it back."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        plain: dict[str, Any] = {
            "space": self.space.to_json(),
            "fixed": recorded(self.fixed),
            "config": recorded(self.config),
        }
        plain |= {"arms": [asdict(arm) for arm in self.arms], "pruner": asdict(self.pruner) if self.pruner else None}
        plain |= {"stages": [asdict(stage) for stage in self.stages]}
        result: dict[str, Any] = json.loads(json.dumps({**record, **plain}))
        for name, plain_value in (("pruner", None), ("stages", []), ("confirm", CONFIRM)):
            if result[name] == plain_value:
                del result[name]  # a study without one is written as it was before there were any
        return result

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Study:
        parsed = {
            "space": SearchSpace.from_json(record["space"]),
            "fixed": HyperParams(**record["fixed"]),
            "config": TrainConfig(**record["config"]),
            "arms": tuple(Arm(**arm) for arm in record["arms"]),
            "pruner": Pruner(**record["pruner"]) if "pruner" in record else None,
            "stages": tuple(Stage(**stage) for stage in record.get("stages", ())),
        }
        return cls(**{**record, **parsed})

    @property
    def identity(self) -> dict[str, Any]:
        """What decides a trial's numbers. The budget, the arms and the wording may change; recorded trials stay valid."""
        return {
            key: value
            for key, value in self.to_json().items()
            if key in ("dataset", "space", "fixed", "config", "seed", "pruner")
        }

    @property
    def hash(self) -> str:
        """Twelve hex digits of the SHA-256 of the canonical JSON of :attr:`identity`."""
        canonical = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def check_name(kind: str, name: str) -> None:
    """Raise ``ValueError`` unless the name is fit for every store, URL and file name that it ends up in."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name):
        raise ValueError(
            f"{kind} name: got {name!r}; expected 1-80 letters, digits, _ . or -, the first a letter or digit"
        )
