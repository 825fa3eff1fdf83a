"""The arms of a comparison: how each one chooses the points that it tries.

An arm is **planned** if its points do not depend on scores (random, the grids, quasi-random sequences): they are all drawn
up front. Otherwise it is **adaptive**: within a block it asks for a point and is told its score, strictly in order.

Hyperparameters are drawn in the order of their names, so that the order in which a study lists them decides nothing;
a sampler's seed derives from its arm and block, so that no two of them can share one by accident.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import itertools
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from types import ModuleType
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from pipeline.console.log_records import quiet_loggers
from pipeline.errors import Failed, UserError
from pipeline.seeds import derive_seed
from pipeline.study.spec import GRIDS, Arm, Float, Point, Study
from pipeline.validation import did_you_mean, shortened

HUB = "optunahub:"
PLANNED: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("optuna.samplers.RandomSampler", {}),
    "sobol": ("optuna.samplers.QMCSampler", {"qmc_type": "sobol", "scramble": True}),
    "halton": ("optuna.samplers.QMCSampler", {"qmc_type": "halton", "scramble": True}),
}
ADAPTIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "tpe": (
        "optuna.samplers.TPESampler",
        {"multivariate": True, "group": False, "constant_liar": False, "n_startup_trials": 10, "n_ei_candidates": 24},
    ),
    "gp": ("optuna.samplers.GPSampler", {"n_startup_trials": 10, "deterministic_objective": False}),
    "cmaes": ("optuna.samplers.CmaEsSampler", {"n_startup_trials": 1, "warn_independent_sampling": False}),
    "nsga2": ("optuna.samplers.NSGAIISampler", {"population_size": 20, "crossover_prob": 0.9, "swapping_prob": 0.5}),
}
"""Optuna's samplers by the words of a study, their arguments named: defaults have changed between releases."""

NEEDS = {"gp": "torch", "cmaes": "cmaes"}
"""Packages that Optuna imports only when such a sampler is first at work, some trials into a study."""


def is_planned(arm: Arm) -> bool:
    """Whether all of its points are known before the first trial."""
    return arm.is_grid or arm.sampler in PLANNED


def check_sampler(arm: Arm, study: Study) -> None:
    """Raise :class:`UserError` if there is no such sampler, a package it needs is missing, or its arguments do not fit."""
    if not arm.is_grid:
        optuna_study(arm, study, 0)
        if not is_planned(arm) and _first(arm, study) != _first(arm, study):
            raise UserError(
                f"arm {arm.name!r}: {arm.sampler} draws other points each time it is made; it needs a parameter `seed`"
            )
    elif arm.arguments:
        raise UserError(
            f"arm {arm.name!r}: got {dict(arm.arguments)}; a grid takes no arguments, its levels are the space's. Leave them out"
        )


def _first(arm: Arm, study: Study) -> Point:
    """The first point of an adaptive arm, which its sampler's arguments may be wrong for."""
    try:
        return Trajectory(arm, study, 0).ask()
    except Failed as failure:
        raise UserError(
            f"arm {arm.name!r}: {arm.sampler} cannot draw with its arguments {dict(arm.arguments)}: {failure.__cause__}"
        ) from None


def points(arm: Arm, study: Study, block: int) -> list[Point]:
    """The points that a planned arm visits in a block, in order; a larger budget begins with the same ones."""
    if arm.is_grid:
        return grid_points(arm, study, block)
    drawn = optuna_study(arm, study, block)
    skipped = _skipped(arm)
    distributions = dict(sorted(study.space.distributions.items()))
    with _experimental():
        return [drawn.ask(distributions).params for _ in range(study.trials + skipped)][skipped:]


def _skipped(arm: Arm) -> int:
    """How many first draws are left out: Optuna's quasi-random sequences begin with one of RandomSampler."""
    return int(arm.sampler in ("sobol", "halton"))


def grid_points(arm: Arm, study: Study, block: int) -> list[Point]:
    """The grid in shuffled order, so that every prefix of it is a fair sample of the whole.

    The shifted grid is moved by a fraction of a step along each numeric axis, drawn afresh in every block: one fixed grid
    is a sample of size one, and whether it wins is mostly the luck of where its levels fall.
    """
    levels = dict(sorted(study.space.grid(_shifts(arm, study, block)).items()))
    grid = [dict(zip(levels, values, strict=True)) for values in itertools.product(*levels.values())]
    order = np.random.default_rng(derive_seed(study.seed, "sampler", arm.name, block)).permutation(len(grid))
    return [grid[i] for i in order[: study.trials]]


def _shifts(arm: Arm, study: Study, block: int) -> dict[str, float]:
    if arm.sampler == "grid":
        return {}
    rng = np.random.default_rng(derive_seed(study.seed, "shift", arm.name, block))
    return {
        name: float(rng.uniform()) for name, dimension in sorted(study.space.items()) if isinstance(dimension, Float)
    }


class Trajectory:
    """An adaptive arm in one block: :meth:`ask` for the next point, :meth:`tell` its score, and so on, in order.

    Either raises :class:`Failed`, with the arm and the place, if the sampler raises an error, and :class:`UserError` if it
    draws a point outside the space.
    """

    def __init__(self, arm: Arm, study: Study, block: int) -> None:
        self.arm, self.block, self.told = arm, block, 0
        self._distributions = dict(sorted(study.space.distributions.items()))
        self._study = optuna_study(arm, study, block)
        self._asked: optuna.Trial | None = None

    def ask(self) -> Point:
        """The next point; the same one until it is told."""
        if self._asked is None:
            with _experimental(), self._named():
                self._asked = self._study.ask(self._distributions)
        return self._asked.params

    def tell(self, score: float, pruned_at: int | None = None) -> None:
        """The score of the point that was asked for last; if it was pruned, the last one, and the epoch of it."""
        if self._asked is None:
            raise RuntimeError("nothing was asked for")
        with _experimental(), self._named(), self._going_on(self._asked.number):
            if pruned_at is None:
                self._study.tell(self._asked, score)
            else:
                self._asked.report(score, pruned_at)
                self._study.tell(self._asked, state=TrialState.PRUNED)
        self._asked = None
        self.told += 1

    @contextmanager
    def _named(self) -> Iterator[None]:
        """An error of the sampler, which may be anybody's, as one of its arm, with the line that raised it."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise Failed(
                f"arm {self.arm.name!r}, block {self.block}, trial {self.told}: its sampler {self.arm.sampler} failed, at "
                f"{at.filename}:{at.lineno}: {type(error).__name__}: {_in_a_line(error)}"
            ) from error

    @contextmanager
    def _going_on(self, number: int) -> Iterator[None]:
        """A sampler that has been everywhere stops its study, which outside ``optimize`` is an error, once the trial is told."""
        try:
            yield
        except RuntimeError:
            if not self._study.trials[number].state.is_finished():
                raise


def optuna_study(arm: Arm, study: Study, block: int) -> optuna.Study:
    """A study in memory whose sampler is the arm's, under its seed for the block.

    Raises :class:`UserError` if there is no such sampler, a package it needs is missing, or its arguments do not fit.
    """
    quiet_loggers("optuna")
    seed = derive_seed(study.seed, "sampler", arm.name, block)
    with _experimental():
        sampler = _sampler(arm, seed)
        _hold_to_space(sampler, arm, study, block)
        return optuna.create_study(direction="maximize", sampler=sampler)


def _hold_to_space(sampler: BaseSampler, arm: Arm, study: Study, block: int) -> None:
    """Have the sampler raise :class:`UserError` when it draws a value outside the space."""
    kind = type(sampler)

    def held(trial: FrozenTrial, name: str, value: Any) -> Any:
        where = f"arm {arm.name!r}, block {block}, trial {max(trial.number - _skipped(arm), 0)}"
        remedy = f"Mend its sampler {arm.sampler}, or take another"
        if name not in study.space:
            known = ", ".join(study.space)
            raise UserError(f"{where}: got a value of {name!r}; expected one of {known}. {remedy}")
        dimension = study.space[name]
        if isinstance(dimension, Float):
            if _is_number(value) and dimension.low <= value <= dimension.high:
                return float(value)
            expected = f"{dimension.low!r} to {dimension.high!r}"
        else:
            same = [choice for choice in dimension.choices if _same_choice(value, choice)]
            if same:
                return same[0]
            expected = f"one of {', '.join(map(repr, dimension.choices))}"
        raise UserError(f"{where}: {name}: got {shortened(value)}; expected {expected}. {remedy}")

    def sample_relative(study: optuna.Study, trial: FrozenTrial, space: Any) -> dict[str, Any]:
        return {
            name: held(trial, name, value) for name, value in kind.sample_relative(sampler, study, trial, space).items()
        }

    def sample_independent(study: optuna.Study, trial: FrozenTrial, name: str, distribution: Any) -> Any:
        return held(trial, name, kind.sample_independent(sampler, study, trial, name, distribution))

    vars(sampler).update(sample_relative=sample_relative, sample_independent=sample_independent)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _same_choice(value: Any, choice: str | float | bool) -> bool:
    """Return True if they are equal and of one kind: 1 is not True."""
    kinds = [(isinstance(x, (bool, np.bool_)), isinstance(x, str), _is_number(x)) for x in (value, choice)]
    return any(kinds[0]) and kinds[0] == kinds[1] and bool(value == choice)


def _sampler(arm: Arm, seed: int) -> BaseSampler:
    path, arguments = {**PLANNED, **ADAPTIVE}.get(arm.sampler, (arm.sampler, {}))
    if "seed" in arm.arguments:
        raise UserError(
            f"arm {arm.name!r}: a seed is no argument; every arm and block has one of its own. Leave it out"
        )
    missing = arm.sampler in NEEDS and importlib.util.find_spec(NEEDS[arm.sampler]) is None
    if missing:
        raise UserError(f"arm {arm.name!r}: {path} needs the package {NEEDS[arm.sampler]}; install it beside babysit")
    kind = _import(arm, path)
    try:
        seeded = {"seed": seed} if "seed" in inspect.signature(kind).parameters else {}
        sampler = kind(**{**arguments, **arm.arguments}, **seeded)
    except Exception as error:  # it is anybody's, and may raise anything
        raise UserError(f"arm {arm.name!r}: {path} does not take its arguments: {_in_a_line(error)}") from error
    if not isinstance(sampler, BaseSampler):
        raise UserError(f"arm {arm.name!r}: {path} makes no Optuna sampler; expected a subclass of BaseSampler")
    return sampler


def _from_hub(arm: Arm, path: str) -> Any:
    """A sampler of OptunaHub, given as ``optunahub:samplers/PACKAGE.NAME``; fetched, unless it is here already."""
    package, _, name = path.removeprefix(HUB).rpartition(".")
    try:
        import optunahub
    except ImportError:
        raise UserError(f"arm {arm.name!r}: {path} needs the package optunahub; install it beside babysit") from None
    try:
        return getattr(optunahub.load_module(package), name)
    except Exception as error:  # it is a package of anybody's, from a network that may be away
        raise UserError(f"arm {arm.name!r}: {path} cannot be had from OptunaHub ({_in_a_line(error)})") from error


def _import(arm: Arm, path: str) -> Any:
    if path.startswith(HUB):
        return _from_hub(arm, path)
    module, _, name = path.rpartition(".")
    if module and hasattr(found := _module(arm, path, module), name):
        return getattr(found, name)
    words = (*GRIDS, *PLANNED, *ADAPTIVE)
    raise UserError(
        f"arm {arm.name!r}: unknown sampler {path!r}; {did_you_mean(path, words)}expected one of {', '.join(words)}, or an "
        "import path"
    )


def _module(arm: Arm, path: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # it is anybody's, and may raise anything
        raise UserError(
            f"arm {arm.name!r}: {path} cannot be imported ({_in_a_line(error)}). Install its package, or put its folder "
            "on PYTHONPATH"
        ) from error


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextmanager
def _experimental() -> Iterator[None]:
    """Some of Optuna's samplers call themselves experimental, with each call; a study that names one has chosen it."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        yield
