"""The plan: every trial of the planned arms, drawn in advance from the study's seed; and tasks, which train groups of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from pipeline.data import describe
from pipeline.errors import UserError
from pipeline.search.pruners import Pruning, make_pruner
from pipeline.search.pruning_history import PruningHistory
from pipeline.search.samplers import Trajectory, check_sampler, is_planned, points
from pipeline.seeds import derive_seed
from pipeline.study.spec import Arm, Point, Study
from pipeline.training import trials_per_group
from pipeline.training.memory import even_slices
from pipeline.trials.own_models import check_parameters
from pipeline.trials.task import Task
from pipeline.trials.trainers import Lockstep, OwnModel, Trainer
from pipeline.trials.trial import PlannedTrial

SAME_START = 5
"""Two arms that begin with this number of equal points do so by mistake; fewer can be equal by chance on a small grid."""

GROUP_SIZE = 32
"""The most trials that train in lockstep; larger groups are not faster."""


def plan(study: Study) -> list[PlannedTrial]:
    """Return every trial of the planned arms, block by block.

    The plan depends on the study alone, not on the number of workers or on what is recorded. Raises :class:`UserError`
    for arms that repeat each other's points or their own, and for a sampler or pruner that cannot be created.
    """
    for arm in study.arms:
        check_sampler(arm, study)
    if study.model:
        check_parameters(study.model, [*study.fixed, *study.space])
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


def first_trial(study: Study) -> PlannedTrial:
    """Return the first trial of the first block and arm."""
    arm = study.arms[0]
    point = points(arm, replace(study, trials=1), 0)[0] if is_planned(arm) else Trajectory(arm, study, 0).ask()
    return planned_trial(study, arm, 0, 0, point)


def refuse_repeats(drawn: Mapping[tuple[str, int], list[Point]]) -> None:
    """Raise :class:`UserError` if two arms, or two blocks of an arm, begin with the same points.

    Two arms do so if their samplers share a seed: then there is nothing to compare. Two blocks do so if a quasi-random
    sequence is not scrambled: then they are not independent repeats. A grid has the same points in every block, in
    another order. ``drawn`` holds the points of each arm and block.
    """
    starts: dict[str, tuple[str, int]] = {}
    for (arm, block), points_drawn in drawn.items():
        start = repr(points_drawn[:SAME_START])
        if len(points_drawn) >= SAME_START and start in starts:
            other, other_block = starts[start]
            raise UserError(
                f"arms: {arm!r} in block {block} begins with the points of {other!r} in block {other_block}; expected other "
                "points. Change the sampler or the arguments of one of them"
            )
        starts[start] = arm, block


def planned_trial(study: Study, arm: Arm, block: int, number: int, point: Point) -> PlannedTrial:
    """Return a trial whose weights are seeded by its block and number; trials of other arms share the seed."""
    hparams = study.hyperparams(point, seed=derive_seed(study.seed, "weights", block, number))
    return PlannedTrial(arm.name, arm.sampler, block, number, point, hparams)


def tasks(
    study: Study, trials: Collection[PlannedTrial], pruning_history: PruningHistory, limit_bytes: int
) -> list[Task]:
    """Split trials into tasks, each of one block and one network structure.

    ``trials`` are of one wave. A task has at most ``GROUP_SIZE`` of them, takes at most ``limit_bytes`` of memory, and
    has at least one. The tasks with the lowest trial numbers come first: trials are recorded in order, so a finished trial
    waits for all before it.
    """

    def structure(trial: PlannedTrial) -> tuple[int, str]:
        return trial.block, repr(trial.hparams.structure)

    groups = (list(group) for _, group in groupby(sorted(trials, key=structure), key=structure))
    parts = (
        group[part] for group in groups for part in even_slices(len(group), group_limit(study, group[0], limit_bytes))
    )
    in_order = sorted(parts, key=lambda part: (part[0].block, min(trial.number for trial in part)))
    return [make_task(study, part, pruning_history.pruning(part)) for part in in_order]


def group_limit(study: Study, trial: PlannedTrial, limit_bytes: int) -> int:
    """Return how many trials of this one's structure may train in one task."""
    if study.model:
        return 1
    data = describe(study.source)
    fits = trials_per_group(trial.hparams, data.columns, data.classes, study.config, limit_bytes, data.shape)
    return min(GROUP_SIZE, fits)


def make_task(study: Study, trials: Sequence[PlannedTrial], pruning: Pruning | None = None) -> Task:
    """Return the task that trains these trials of one block; with ``pruning``, some are stopped early."""
    block = trials[0].block
    split_seed, order_seed = (derive_seed(study.seed, purpose, block) for purpose in ("split", "order"))
    trainer: Trainer = OwnModel.of(study.model, study.trial_timeout) if study.model else Lockstep()
    preprocessing = getattr(trials[0].hparams, "preprocessing", "")  # those of a study's own model have none
    config = replace(study.config, preprocessing=preprocessing) if preprocessing else study.config
    return Task(tuple(trials), study.source, config, split_seed, order_seed, pruning, trainer)
