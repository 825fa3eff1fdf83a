"""The plan and its tasks: every trial is in one task, and no task exceeds its memory."""

from dataclasses import replace

import pytest

from pipeline.search.plan import GROUP_SIZE, SAME_START, make_task, plan, planned_trial, refuse_repeats, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.seeds import derive_seed
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study
from pipeline.training import trials_per_group
from pipeline.trials.task import run_task


def wide_study(hidden):
    """100 random trials of one block, over two structures."""
    space = SearchSpace(learning_rate=Float(1e-3, 1, log=True), batch_norm=Categorical(False, True))
    fixed = HyperParams(hidden=hidden)
    return Study(name="s", question="?", space=space, fixed=fixed, arms=(Arm("random"),), blocks=1, trials=100)


def sizes(study, limit_bytes):
    """The sizes of a plan's tasks, after a check that they hold all trials, each task trials of one structure."""
    planned = plan(study)
    cut = tasks(study, planned, PruningHistory(study, {}), limit_bytes)
    assert sorted(trial.key for task in cut for trial in task.trials) == sorted(trial.key for trial in planned)
    assert all(len({trial.hparams.structure for trial in task.trials}) == 1 for task in cut)
    return [len(task.trials) for task in cut]


def test_small_networks_train_in_full_groups():
    """With ample memory a task has up to GROUP_SIZE trials, and no task is much smaller than another."""
    task_sizes = sizes(wide_study((50,)), 2**30)
    assert max(task_sizes) <= GROUP_SIZE
    assert min(task_sizes) > GROUP_SIZE // 2


def test_large_networks_train_within_the_limit_of_memory():
    """A task of wide networks has at most as many trials as fit into its memory, and one trial if none fits."""
    study = wide_study((2000, 2000))
    fits = trials_per_group(study.fixed, 64, 10, study.config, 2**28)
    assert 1 < fits < 16
    assert max(sizes(study, 2**28)) <= fits
    assert set(sizes(study, 1)) == {1}


def test_preprocessing_is_chosen_by_the_trial():
    """A trial with its own preprocessing has the numbers of a study with it; the others have the study's."""
    space = SearchSpace(preprocessing=Categorical("min_max", "whiten"), batch_size=Categorical(0, 30))
    study = Study(name="s", question="?", space=space, config=TrainConfig(epochs=2), arms=(Arm("grid"),), blocks=1)
    results = {}
    for task in tasks(study, plan(study), PruningHistory(study, {}), 2**30):
        results |= {trial.plan.hparams: trial.result for trial in run_task(task)}
    assert len(results) == 4
    for hparams, result in results.items():
        config = replace(study.config, preprocessing=hparams.preprocessing)
        other = replace(study, config=config)
        plain = replace(hparams, preprocessing="")
        (trial,) = (trial for trial in plan(study) if trial.hparams == hparams)
        (alone,) = run_task(make_task(other, [replace(trial, hparams=plain)]))
        assert alone.result.curves == result.curves
    task = make_task(study, [planned_trial(study, study.arms[0], 0, 0, {})])
    assert task.config is study.config


def test_the_first_trials_train_first():
    """Tasks are in the order of their first trials, so that few finished trials wait for earlier ones."""
    study = wide_study((50,))
    cut = tasks(study, plan(study), PruningHistory(study, {}), 2**19)
    first = [min(trial.number for trial in task.trials) for task in cut]
    assert len(cut) > 10
    assert first == sorted(first)


def test_seeds_come_from_the_block_and_the_number():
    """The seed of the weights depends on block and number, not on the arm; splits and orders have one seed a block."""
    study = wide_study((50,))
    trials = [planned_trial(study, Arm(arm), 3, 17, {"learning_rate": 0.1}) for arm in ("random", "grid")]
    assert {trial.hparams.seed for trial in trials} == {derive_seed(study.seed, "weights", 3, 17)}
    task = make_task(study, trials)
    assert task.split_seed == derive_seed(study.seed, "split", 3)
    assert task.order_seed == derive_seed(study.seed, "order", 3)


def test_arms_that_begin_with_equal_points_are_refused():
    """Arms that share their first five points are refused, whatever follows; four may be equal by chance."""
    points = [{"x": i} for i in range(SAME_START + 1)]
    refuse_repeats({("a", 0): points[:4], ("b", 0): points[:4]})
    refuse_repeats({("a", 0): points, ("b", 0): points[1:]})
    for more in (points[:SAME_START], [*points[:SAME_START], {"x": "another"}]):
        with pytest.raises(ValueError, match="arms: 'b' in block 1 begins with the points of 'a' in block 0"):
            refuse_repeats({("a", 0): points[: len(more)], ("b", 1): more})
