"""The arms of a comparison: how each one chooses the points that it tries.

Hyperparameters are drawn in the order of their names, so that the order in which a study lists them decides nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import optuna

from pipeline.seeds import derive_seed
from pipeline.spec import Arm, Float, Point, Study


def points(arm: Arm, study: Study, block: int) -> list[Point]:
    """The points that an arm visits in a block, in order; a larger budget begins with the same ones.

    Raises ``ValueError`` for an unknown sampler.
    """
    if arm.sampler not in PLANNED:
        raise ValueError(f"arm {arm.name!r}: unknown sampler {arm.sampler!r}; expected one of {', '.join(PLANNED)}")
    return PLANNED[arm.sampler](arm, study, block)


def random_points(arm: Arm, study: Study, block: int) -> list[Point]:
    """Independent draws by Optuna's ``RandomSampler``, from a seed of the arm and block's own."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=derive_seed(study.seed, "sampler", arm.name, block))
    drawn = optuna.create_study(sampler=sampler)
    distributions = dict(sorted(study.space.distributions.items()))
    return [drawn.ask(distributions).params for _ in range(study.trials)]


def grid_points(arm: Arm, study: Study, block: int) -> list[Point]:
    """The textbook's grid in shuffled order: every prefix of it is then a fair sample of the whole."""
    return _shuffled(arm, study, block, shifts={})


def shifted_grid_points(arm: Arm, study: Study, block: int) -> list[Point]:
    """The grid, moved by a fraction of a step along each numeric axis, drawn afresh in every block.

    One fixed grid is a sample of size one: whether it wins is mostly the luck of where its levels fall.
    """
    rng = np.random.default_rng(derive_seed(study.seed, "shift", arm.name, block))
    shifts = {
        name: float(rng.uniform()) for name, dimension in sorted(study.space.items()) if isinstance(dimension, Float)
    }
    return _shuffled(arm, study, block, shifts)


def _shuffled(arm: Arm, study: Study, block: int, shifts: dict[str, float]) -> list[Point]:
    levels = dict(sorted(study.space.grid(shifts).items()))
    grid = [dict(zip(levels, values, strict=True)) for values in itertools.product(*levels.values())]
    order = np.random.default_rng(derive_seed(study.seed, "sampler", arm.name, block)).permutation(len(grid))
    return [grid[i] for i in order[: study.trials]]


PLANNED: dict[str, Callable[[Arm, Study, int], list[Point]]] = {
    "random": random_points,
    "grid": grid_points,
    "shifted_grid": shifted_grid_points,
}
"""The samplers that do not adapt, so that every point is known before the first trial."""
