"""The plan: every trial of a study, drawn up front from its seed, and the tasks that train them many at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby, pairwise

from pipeline.data import describe
from pipeline.errors import UserError
from pipeline.search.pruners import Pruning, make_pruner
from pipeline.search.pruning_history import PruningHistory
from pipeline.search.samplers import check_sampler, is_planned, points
from pipeline.seeds import derive_seed
from pipeline.study.spec import Arm, Point, Study
from pipeline.training import trials_per_group
from pipeline.trials.task import Task
from pipeline.trials.trial import PlannedTrial

REPEATED = 5
"""So many equal points in a row are no accident, but on a tiny grid."""

GROUP_SIZE = 32
"""The most trials that train in lockstep: past it, more of them together are no faster."""


def plan(study: Study) -> list[PlannedTrial]:
    """Every trial of the planned arms, block by block: the same for any number of workers, and after any number of crashes.

    Raises :class:`UserError` for arms that repeat one another, or themselves, and for a sampler or a pruner that cannot be
    made.
    """
    for arm in study.arms:
        check_sampler(arm, study)
    if study.pruner:
        make_pruner(study.pruner, study.config.epochs)
    drawn = {
        (arm.name, block): points(arm, study, block)
        for block in range(study.blocks)
        for arm in study.arms
        if is_planned(arm)
    }
    refuse_repeats(drawn)
    return [
        planned_trial(study, arm, block, number, point)
        for block in range(study.blocks)
        for arm in study.arms
        for number, point in enumerate(drawn.get((arm.name, block), []))
    ]


def refuse_repeats(drawn: Mapping[tuple[str, int], list[Point]]) -> None:
    """Raise :class:`UserError` if two arms open a block with the same points, or an arm opens two blocks with the same ones.

    Samplers that share a seed do the first, and quasi-random sequences that are not scrambled the second; what then
    looks like a comparison, or like repeats, is none. A grid is the same set in every block, and its order is not.
    """
    seen: dict[str, tuple[str, int]] = {}
    for place, found in drawn.items():
        opening = repr(found[:REPEATED])
        if len(found) >= REPEATED and opening in seen:
            (arm, block), (other, other_block) = place, seen[opening]
            raise UserError(
                f"arms: {arm!r} in block {block} begins with the points of {other!r} in block {other_block}; they are no repeats. Change the sampler or the arguments of one"
            )
        seen[opening] = place


def planned_trial(study: Study, arm: Arm, block: int, number: int, point: Point) -> PlannedTrial:
    """A trial with the seed of its block and number, which the arms share: they meet the same luck."""
    hparams = study.hyperparams(point, seed=derive_seed(study.seed, "weights", block, number))
    return PlannedTrial(arm.name, arm.sampler, block, number, point, hparams)


def tasks(
    study: Study, trials: Collection[PlannedTrial], pruning_history: PruningHistory, budget_bytes: int
) -> list[Task]:
    """Cut trials of one wave into tasks, block by block, each of one structure.

    A task has at most ``GROUP_SIZE`` trials, and no more of them than fit into a budget of memory. Those with the lowest
    numbers come first, since trials are recorded in order: a finished one waits for all before it.
    """

    def structure(trial: PlannedTrial) -> tuple[int, str]:
        return trial.block, repr(trial.hparams.structure)

    groups = (list(group) for _, group in groupby(sorted(trials, key=structure), key=structure))
    parts = (part for group in groups for part in _even_parts(group, group_limit(study, group[0], budget_bytes)))
    in_order = sorted(parts, key=lambda part: (part[0].block, min(trial.number for trial in part)))
    return [make_task(study, part, pruning_history.pruning(part)) for part in in_order]


def group_limit(study: Study, trial: PlannedTrial, budget_bytes: int) -> int:
    """How many trials of one structure may train together."""
    data = describe(study.dataset)
    fits = trials_per_group(trial.hparams, data.columns, data.classes, study.config, budget_bytes, data.shape)
    return min(GROUP_SIZE, fits)


def make_task(study: Study, trials: Sequence[PlannedTrial], pruning: Pruning | None = None) -> Task:
    """The task that trains these trials of one block, and prunes them if something decides which."""
    block = trials[0].block
    split_seed, order_seed = (derive_seed(study.seed, word, block) for word in ("split", "order"))
    return Task(tuple(trials), study.dataset, study.config, split_seed, order_seed, pruning)


def _even_parts(trials: Sequence[PlannedTrial], most: int) -> list[Sequence[PlannedTrial]]:
    count = -(-len(trials) // most)
    bounds = [len(trials) * i // count for i in range(count + 1)]
    return [trials[start:stop] for start, stop in pairwise(bounds)]
