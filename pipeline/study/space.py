"""The search space: the hyperparameters that are searched and their ranges, for samplers and grids alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.errors import UserError
from pipeline.study.hparams import HyperParams
from pipeline.validation import check_flag, check_integer, check_number, did_you_mean, shortened

Point = dict[str, Any]
"""One value for each searched hyperparameter."""

SEARCHABLE = tuple(f.name for f in fields(HyperParams) if f.name != "seed")
LONGEST_CHOICE = 500
"""The most characters of a choice: no version of MLflow's client refuses a parameter of this length."""
LARGEST_INT = 2**53
"""Beyond it, a whole number is no longer exact as a real one, which stores and charts use."""
GRID_LIMIT = 100_000
"""The most points of a grid."""


@dataclass(frozen=True)
class Float:
    """The range of a real hyperparameter.

    Parameters
    ----------
    low, high
        The ends of the range; both are included.
    log
        True to sample and grid the logarithm, which needs ``low`` above 0. Default False.
    levels
        The number of values on a grid. Default 3.
    """

    low: float
    high: float
    log: bool = False
    levels: int = 3

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            check_number(name, getattr(self, name), low=-math.inf)
            object.__setattr__(self, name, float(getattr(self, name)))
        check_flag("log", self.log)
        if not math.isfinite(self.high - self.low):
            raise UserError(f"high - low: got low={self.low!r}, high={self.high!r}; expected a range that is finite")
        if self.low >= self.high:
            raise UserError(f"low must be below high: got low={self.low!r}, high={self.high!r}. Swap or widen them")
        if self.log and self.low <= 0:
            raise UserError(f"a log scale needs low > 0: got low={self.low!r}. Raise it, or give log=False")
        check_integer("levels", self.levels, low=1, high=GRID_LIMIT)

    @property
    def distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, self.high, log=self.log)

    def at(self, unit: float) -> float:
        """Return the value at a position from 0 to 1 of the range, on its scale."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + unit * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def grid(self, shift: float | None = None) -> list[float]:
        """Return the values on a grid: evenly from end to end, or at (i + shift) / levels.

        ``shift`` is from 0 to below 1.
        """
        if shift is not None:
            return [self.at((i + shift) / self.levels) for i in range(self.levels)]
        return [self.at(float(u)) for u in (np.linspace(0, 1, self.levels) if self.levels > 1 else [0.5])]


@dataclass(frozen=True)
class Int:
    """The range of a whole hyperparameter, such as the width of one hidden layer.

    Parameters
    ----------
    low, high
        The ends of the range; both are included.
    log
        True to sample and grid the logarithm, which needs ``low`` above 0 and a step of 1. Default False.
    levels
        The number of values on a grid; all values where there are fewer. Default 3.
    step
        The distance of two neighbours; ``high - low`` is a multiple of it. Default 1.
    """

    low: int
    high: int
    log: bool = False
    levels: int = 3
    step: int = 1

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            check_integer(name, getattr(self, name), low=-LARGEST_INT, high=LARGEST_INT)
        check_flag("log", self.log)
        check_integer("step", self.step, low=1)
        if self.low >= self.high:
            raise UserError(f"low must be below high: got low={self.low}, high={self.high}. Swap or widen them")
        if self.log and self.low < 1:
            raise UserError(f"a log scale needs low > 0: got low={self.low}. Raise it, or give log=False")
        if self.log and self.step > 1:
            raise UserError(f"step: got {self.step}; a log scale has steps of 1. Leave one of them out")
        if rest := (self.high - self.low) % self.step:
            raise UserError(
                f"high - low: got {self.high - self.low}; expected a multiple of step={self.step}. "
                f"Give high={self.high - rest}"
            )
        check_integer("levels", self.levels, low=1, high=GRID_LIMIT)
        object.__setattr__(self, "levels", min(self.levels, (self.high - self.low) // self.step + 1))

    @property
    def distribution(self) -> BaseDistribution:
        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def grid(self, shift: float | None = None) -> list[int]:
        """Return different whole numbers on a grid: evenly from end to end, or at (i + shift) / levels.

        ``shift`` is from 0 to below 1. A shifted grid reaches half a step beyond both ends before it is rounded, so that
        over all shifts the ends are as frequent as their neighbours.
        """
        beyond = 0 if shift is None else self.step / 2
        ends = Float(self.low - beyond, self.high + beyond, self.log, self.levels)
        last = (self.high - self.low) // self.step
        steps: list[int] = []
        for i, value in enumerate(ends.grid(shift)):
            least = steps[-1] + 1 if steps else 0
            steps.append(min(max(round((value - self.low) / self.step), least), last - self.levels + 1 + i))
        return [self.low + self.step * step for step in steps]


@dataclass(frozen=True)
class Categorical:
    """The choices of a hyperparameter, given one after the other: text, numbers, True or False.

    A grid has the first ``levels`` of them, by default all.
    """

    choices: tuple[str | float | bool, ...]
    levels: int

    def __init__(self, *choices: str | float | bool, levels: int | None = None) -> None:
        object.__setattr__(self, "choices", choices)
        object.__setattr__(self, "levels", len(choices) if levels is None else levels)
        if not choices:
            raise UserError("Categorical: needs at least one choice")
        for choice in choices:
            if not isinstance(choice, (str, int, float)):
                raise UserError(
                    f"Categorical: got {choice!r}; expected text, a number, True or False. Hidden sizes are text: '64x32'"
                )
            if not isinstance(choice, (str, float)) and abs(choice) > LARGEST_INT:
                raise UserError(
                    f"Categorical: got {shortened(choice)}; expected whole numbers of at most {LARGEST_INT:,}. Give a smaller one, or a float"
                )
            if isinstance(choice, str) and len(choice) > LONGEST_CHOICE:
                raise UserError(
                    f"Categorical: got a choice of {len(choice):,} characters; a record holds {LONGEST_CHOICE}. Shorten it"
                )
        if len(set(choices)) < len(choices):
            raise UserError(f"Categorical: a choice is given twice in {choices!r}. Give each once")
        check_integer("levels", self.levels, low=1, high=len(choices))

    @property
    def distribution(self) -> BaseDistribution:
        return CategoricalDistribution(self.choices)

    def grid(self, shift: float | None = None) -> list[str | float | bool]:
        """Return the first choices; a shift has no effect."""
        return list(self.choices[: self.levels])


Range = Float | Int
Dimension = Range | Categorical


class SearchSpace(Mapping[str, Dimension]):
    """The dimensions that are searched, by the names of hyperparameters; samplers and grids derive from it.

    The study checks the names: those of the network's hyperparameters, or of its own model's parameters.
    """

    def __init__(self, **dimensions: Dimension) -> None:
        if not dimensions:
            raise UserError("SearchSpace: nothing to search; give at least one hyperparameter")
        for name, dimension in dimensions.items():
            if not isinstance(dimension, Dimension):
                raise UserError(
                    f"SearchSpace: {name}: got {dimension!r}; expected Float(...), Int(...) or Categorical(...)"
                )
        self._dimensions = dimensions

    def __getitem__(self, name: str) -> Dimension:
        return self._dimensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dimensions)

    def __len__(self) -> int:
        return len(self._dimensions)

    def check_names(self) -> None:
        """Raise :class:`UserError` unless all names are those of the network's hyperparameters."""
        for name in self:
            if name not in SEARCHABLE:
                hint = did_you_mean(name, SEARCHABLE)
                raise UserError(
                    f"SearchSpace: unknown hyperparameter {name!r}; {hint}expected one of {', '.join(SEARCHABLE)}"
                )

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The Optuna distribution of each hyperparameter."""
        return {name: dimension.distribution for name, dimension in self.items()}

    @property
    def grid_size(self) -> int:
        """The number of points of the grid."""
        return math.prod(dimension.levels for dimension in self.values())

    def grid(self, shifts: Mapping[str, float] | None = None) -> dict[str, list[Any]]:
        """Return the grid values of each hyperparameter, each shifted by its fraction of a step if ``shifts`` are given."""
        shifts = shifts or {}
        return {name: dimension.grid(shifts.get(name)) for name, dimension in self.items()}

    def to_json(self) -> dict[str, Any]:
        def record(dimension: Dimension) -> dict[str, Any]:
            values = {"type": type(dimension).__name__, **asdict(dimension)}
            if isinstance(dimension, Categorical) and dimension.levels == len(dimension.choices):
                del values["levels"]  # older versions can then read it, and studies keep their hash
            return values

        return {name: record(dimension) for name, dimension in self.items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Mapping[str, Any]]) -> SearchSpace:
        def dimension(entry: Mapping[str, Any]) -> Dimension:
            rest = {key: value for key, value in entry.items() if key != "type"}
            if entry["type"] == "Categorical":
                return Categorical(*rest["choices"], levels=rest.get("levels"))
            return Int(**rest) if entry["type"] == "Int" else Float(**rest)

        return cls(**{name: dimension(entry) for name, entry in record.items()})
