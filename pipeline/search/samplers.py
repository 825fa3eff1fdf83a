"""Samplers: how each arm chooses the points that it tries.

An arm is **planned** if its points do not depend on scores (random, the grids, quasi-random sequences): all of them are
drawn in advance. Otherwise it is **adaptive**: within a block it draws a point, learns its score, then draws the next.

Hyperparameters are drawn in the order of their names, so the order in which a study lists them has no effect. A sampler's
seed is derived from its arm and block, so no two samplers share one.
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
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from pipeline.console.log_records import quiet_loggers
from pipeline.errors import Failed, UserError, one_line
from pipeline.seeds import derive_seed
from pipeline.study.arms import GRIDS
from pipeline.study.spec import Arm, Float, Int, Point, Range, Study
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
"""Optuna's samplers by the names that a study uses. The arguments are explicit, since defaults change between releases."""

NEEDS = {"gp": "torch", "cmaes": "cmaes"}
"""Packages that Optuna imports only when such a sampler draws its first point, some trials into a study."""


def is_planned(arm: Arm) -> bool:
    """Return True if all points of an arm are known before the first trial."""
    return arm.is_grid or arm.sampler in PLANNED


def check_sampler(arm: Arm, study: Study) -> None:
    """Raise :class:`UserError` if an arm's sampler cannot be created, or does not repeat its points when created again."""
    if not arm.is_grid:
        optuna_study(arm, study, 0)
        if not is_planned(arm) and _first(arm, study) != _first(arm, study):
            raise UserError(
                f"arm {arm.name!r}: {arm.sampler} draws other points each time it is created; it needs a parameter `seed`"
            )
    elif arm.arguments:
        raise UserError(
            f"arm {arm.name!r}: got {dict(arm.arguments)}; a grid takes no arguments, its levels are the space's. Leave them out"
        )


def _first(arm: Arm, study: Study) -> Point:
    """Return the first point of an adaptive arm; some samplers check their arguments only then."""
    try:
        return Trajectory(arm, study, 0).ask()
    except Failed as failure:
        raise UserError(
            f"arm {arm.name!r}: {arm.sampler} cannot draw with its arguments {dict(arm.arguments)}: {failure.__cause__}. Correct them"
        ) from None


def points(arm: Arm, study: Study, block: int) -> list[Point]:
    """Return the points of a planned arm in a block, in order; a larger budget begins with the same points."""
    if arm.is_grid:
        return grid_points(arm, study, block)
    sampled = optuna_study(arm, study, block)
    skipped = _skipped(arm)
    distributions = dict(sorted(study.space.distributions.items()))
    with _without_experimental_warnings():
        return [sampled.ask(distributions).params for _ in range(study.trials + skipped)][skipped:]


def _skipped(arm: Arm) -> int:
    """Return the number of first draws to skip: Optuna's quasi-random samplers draw their first point at random."""
    return int(arm.sampler in ("sobol", "halton"))


def grid_points(arm: Arm, study: Study, block: int) -> list[Point]:
    """Return the grid in shuffled order, so that its first points are a fair sample of all.

    The shifted grid is moved along each numeric axis by a random fraction of a step, drawn for each block. A fixed grid is
    a sample of size one: whether it wins depends mostly on where its levels happen to fall.
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
        name: float(rng.uniform()) for name, dimension in sorted(study.space.items()) if isinstance(dimension, Range)
    }


class Trajectory:
    """An adaptive arm in one block: :meth:`ask` for the next point, then :meth:`tell` its score.

    Both raise :class:`Failed`, with the arm, block and trial, if the sampler raises an error, and :class:`UserError` if it
    draws a point outside the space. ``number`` is the number of the next trial.
    """

    def __init__(self, arm: Arm, study: Study, block: int) -> None:
        self.arm, self.block, self.number = arm, block, 0
        self._distributions = dict(sorted(study.space.distributions.items()))
        self._study = optuna_study(arm, study, block)
        self._asked: optuna.Trial | None = None

    def ask(self) -> Point:
        """Return the next point; the same one until :meth:`tell` is called."""
        if self._asked is None:
            with _without_experimental_warnings(), self._errors_named():
                self._asked = self._study.ask(self._distributions)
        return self._asked.params

    def tell(self, score: float, pruned_at: int | None = None) -> None:
        """Tell the sampler the score of its last point or, if the trial was pruned, its last accuracy and epoch."""
        if self._asked is None:
            raise RuntimeError("tell() was called before ask()")
        with _without_experimental_warnings(), self._errors_named(), self._stop_ignored(self._asked.number):
            if pruned_at is None:
                self._study.tell(self._asked, score)
            else:
                self._asked.report(score, pruned_at)
                self._study.tell(self._asked, state=TrialState.PRUNED)
        self._asked = None
        self.number += 1

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Raise :class:`Failed`, with the arm and the line of code, for any error of the sampler, which may be third-party."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise Failed(
                f"arm {self.arm.name!r}, block {self.block}, trial {self.number}: its sampler {self.arm.sampler} failed, at "
                f"{at.filename}:{at.lineno}: {one_line(error)}"
            ) from error

    @contextmanager
    def _stop_ignored(self, number: int) -> Iterator[None]:
        """Ignore the error of a sampler that has tried every point: it calls ``study.stop()``, which needs ``optimize``."""
        try:
            yield
        except RuntimeError:
            if not self._study.trials[number].state.is_finished():
                raise


def optuna_study(arm: Arm, study: Study, block: int) -> optuna.Study:
    """Return an Optuna study in memory with the arm's sampler, seeded for the block.

    Raises :class:`UserError` if the sampler is unknown, needs a missing package or does not take its arguments.
    """
    quiet_loggers("optuna")
    seed = derive_seed(study.seed, "sampler", arm.name, block)
    with _without_experimental_warnings():
        sampler = _sampler(arm, seed)
        _refuse_outside_space(sampler, arm, study, block)
        return optuna.create_study(direction="maximize", sampler=sampler)


def _refuse_outside_space(sampler: BaseSampler, arm: Arm, study: Study, block: int) -> None:
    """Make the sampler raise :class:`UserError` when it draws a value outside the space."""
    sampler_class = type(sampler)

    def checked(trial: FrozenTrial, name: str, value: Any) -> Any:
        where = f"arm {arm.name!r}, block {block}, trial {max(trial.number - _skipped(arm), 0)}"
        remedy = f"Correct the sampler {arm.sampler}, or use another"
        if name not in study.space:
            names = ", ".join(study.space)
            raise UserError(f"{where}: got a value of {name!r}; expected one of {names}. {remedy}")
        dimension = study.space[name]
        if isinstance(dimension, Float):
            if _is_number(value) and dimension.low <= value <= dimension.high:
                return float(value)
            expected = f"{dimension.low!r} to {dimension.high!r}"
        elif isinstance(dimension, Int):
            if _is_number(value) and value in range(dimension.low, dimension.high + 1, dimension.step):
                return int(value)
            steps = f" in steps of {dimension.step}" if dimension.step > 1 else ""
            expected = f"a whole number from {dimension.low} to {dimension.high}{steps}"
        else:
            equal = [choice for choice in dimension.choices if _same_choice(value, choice)]
            if equal:
                return equal[0]
            expected = f"one of {', '.join(map(repr, dimension.choices))}"
        raise UserError(f"{where}: {name}: got {shortened(value)}; expected {expected}. {remedy}")

    def sample_relative(study: optuna.Study, trial: FrozenTrial, space: Any) -> dict[str, Any]:
        return {
            name: checked(trial, name, value)
            for name, value in sampler_class.sample_relative(sampler, study, trial, space).items()
        }

    def sample_independent(study: optuna.Study, trial: FrozenTrial, name: str, distribution: Any) -> Any:
        return checked(trial, name, sampler_class.sample_independent(sampler, study, trial, name, distribution))

    vars(sampler).update(sample_relative=sample_relative, sample_independent=sample_independent)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _same_choice(value: Any, choice: str | float | bool) -> bool:
    """Return True if the value equals the choice and has its type: 1 is not True."""
    types = [(isinstance(x, (bool, np.bool_)), isinstance(x, str), _is_number(x)) for x in (value, choice)]
    return any(types[0]) and types[0] == types[1] and bool(value == choice)


def _sampler(arm: Arm, seed: int) -> BaseSampler:
    path, arguments = {**PLANNED, **ADAPTIVE}.get(arm.sampler, (arm.sampler, {}))
    if "seed" in arm.arguments:
        raise UserError(f"arm {arm.name!r}: a seed is no argument; every arm and block has its own. Leave it out")
    if arm.sampler in NEEDS and importlib.util.find_spec(NEEDS[arm.sampler]) is None:
        raise UserError(f"arm {arm.name!r}: {path} needs the package {NEEDS[arm.sampler]}; install it next to babysit")
    sampler_class = _import(arm, path)
    try:
        seeded = {"seed": seed} if "seed" in inspect.signature(sampler_class).parameters else {}
        sampler = sampler_class(**{**arguments, **arm.arguments}, **seeded)
    except Exception as error:  # third-party code may raise anything
        raise UserError(
            f"arm {arm.name!r}: {path} does not take its arguments: {one_line(error)}. Correct them"
        ) from error
    if not isinstance(sampler, BaseSampler):
        raise UserError(f"arm {arm.name!r}: {path} is not an Optuna sampler; expected a subclass of BaseSampler")
    return sampler


def _from_hub(arm: Arm, path: str) -> Any:
    """Return a sampler class of OptunaHub, given as ``optunahub:samplers/PACKAGE.NAME``; download it unless it is cached."""
    package, _, name = path.removeprefix(HUB).rpartition(".")
    try:
        import optunahub
    except ImportError:
        raise UserError(f"arm {arm.name!r}: {path} needs the package optunahub; install it next to babysit") from None
    try:
        return getattr(optunahub.load_module(package), name)
    except Exception as error:  # third-party code, from a network that may be down
        raise UserError(
            f"arm {arm.name!r}: {path} cannot be loaded from OptunaHub ({one_line(error)}). Check its name"
        ) from error


def _import(arm: Arm, path: str) -> Any:
    if path.startswith(HUB):
        return _from_hub(arm, path)
    module, _, name = path.rpartition(".")
    try:
        if module and hasattr(importlib.import_module(module), name):
            return getattr(importlib.import_module(module), name)
    except Exception as error:  # third-party code may raise anything
        raise UserError(
            f"arm {arm.name!r}: {path} cannot be imported ({one_line(error)}). Install its package, or put its folder "
            "on PYTHONPATH"
        ) from error
    names = (*GRIDS, *PLANNED, *ADAPTIVE)
    raise UserError(
        f"arm {arm.name!r}: unknown sampler {path!r}; {did_you_mean(path, names)}expected one of {', '.join(names)}, or an "
        "import path"
    )


@contextmanager
def _without_experimental_warnings() -> Iterator[None]:
    """Hide the warning that a sampler is experimental, which Optuna repeats with each call: the study has chosen it."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        yield
