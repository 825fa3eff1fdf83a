"""Pending trials: the plan without the recorded trials, in waves, and compared with the record."""

from dataclasses import replace

import optuna
import pytest

from pipeline.search.pending import find_pending
from pipeline.search.plan import plan
from pipeline.study.hparams import TrainConfig
from pipeline.study.spec import Arm, Float, Pruner, SearchSpace, Study

STUDY = Study(
    name="s",
    question="?",
    space=SearchSpace(learning_rate=Float(1e-3, 1, log=True)),
    config=TrainConfig(epochs=3),
    arms=(Arm("random"), Arm("tpe")),
    blocks=2,
    trials=12,
)


def recorded(study, point, *, arm="random", number=0, state=optuna.trial.TrialState.COMPLETE):
    """The record of one trial in the first block."""
    trial = optuna.trial.create_trial(
        params=point,
        distributions=study.space.distributions,
        state=state,
        value=0.5,
        intermediate_values={1: 0.4, 2: 0.5},
        user_attrs={"best/val_accuracy": 0.5},
    )
    return {(arm, 0, number): trial}


def test_missing_trials_of_every_arm_are_counted():
    """A recorded trial of a planned or adaptive arm is not pending; one beyond the budget does not count as done."""
    planned = plan(STUDY)
    empty = find_pending(STUDY, planned, {})
    assert len(empty) == 2 * 2 * 12
    first = next(key for key in empty.ask() if key[0] == "tpe")
    point = empty.ask()[first][1].point
    known = recorded(STUDY, planned[0].point) | recorded(STUDY, point, arm="tpe")
    known |= recorded(STUDY, planned[0].point, number=STUDY.trials)
    pending_trials = find_pending(STUDY, planned, known)
    assert len(pending_trials) == 2 * 2 * 12 - 2
    assert set(pending_trials.done) == {("random", 0, 0), ("tpe", 0, 0)}
    assert [trial.key for trial in pending_trials.unrecorded] == [trial.key for trial in planned[1:]]


@pytest.mark.parametrize("arm", ["random", "tpe"])
def test_a_record_at_another_point_is_refused(arm):
    """A recorded trial for which the plan, or the adaptive arm, has another point is refused by name."""
    with pytest.raises(ValueError, match=rf"{arm}.* is recorded at .*0\.123.*a sampler has changed since"):
        find_pending(STUDY, plan(STUDY), recorded(STUDY, {"learning_rate": 0.123}, arm=arm))


def test_a_wave_covers_all_blocks():
    """A wave holds trials of every block; without a pruner, all trials are in one wave."""
    study = replace(STUDY, arms=(Arm("random"),), pruner=Pruner("median", wave=5))
    waves = list(find_pending(study, plan(study), {}).waves())
    assert [len(wave) for wave in waves] == [10, 10, 4]
    assert [{trial.number // 5 for trial in wave} for wave in waves] == [{0}, {1}, {2}]
    assert len(list(find_pending(STUDY, plan(STUDY), {}).waves())) == 1


def test_pruning_is_separate_for_each_arm_and_block():
    """Pruning has a name for the arm and block, and all trials of earlier waves with their rungs."""
    study = replace(STUDY, arms=(Arm("random"),), pruner=Pruner("successive_halving", wave=1))
    planned = plan(study)
    known = recorded(study, planned[0].point, state=optuna.trial.TrialState.PRUNED)
    known["random", 0, 0].system_attrs["rung"] = 0.4
    pending_trials = find_pending(study, planned, known)
    second = next(trial for trial in planned if trial.key == ("random", 0, 1))
    other = next(trial for trial in planned if trial.key == ("random", 1, 0))
    (past_trial,) = pending_trials.pruning_history.pruning([second]).past_trials
    assert (past_trial.number, past_trial.pruned, dict(past_trial.rungs)) == (0, True, {"rung": 0.4})
    names = {pending_trials.pruning_history.pruning([trial]).name for trial in (second, other)}
    assert len(names) == 2
