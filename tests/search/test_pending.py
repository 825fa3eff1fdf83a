"""What a study still has to train: its plan without what is recorded, in waves, and held against the record."""

from dataclasses import replace

import optuna
import pytest

from pipeline.search.pending import find_pending
from pipeline.search.plan import plan
from pipeline.search.recording import PlanOrder
from pipeline.study.hparams import TrainConfig
from pipeline.study.spec import Arm, Float, Pruner, SearchSpace, Study
from pipeline.trials.trial import FinishedTrial

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


def test_it_counts_what_is_missing_of_every_arm():
    """A recorded trial is not pending, in a planned arm or in an adaptive one; one beyond the budget is not done."""
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
    assert [trial.key for trial in pending_trials.planned] == [trial.key for trial in planned[1:]]


@pytest.mark.parametrize("arm", ["random", "tpe"])
def test_a_record_at_another_point_is_refused(arm):
    """A trial that stands where the plan, or the adaptive arm, has another point is named."""
    with pytest.raises(ValueError, match=rf"{arm}.* is recorded at .*0\.123.*a sampler has changed since"):
        find_pending(STUDY, plan(STUDY), recorded(STUDY, {"learning_rate": 0.123}, arm=arm))


def test_a_wave_is_of_all_blocks():
    """Trials that may train side by side do so whatever their block; each wave of a pruned study is one."""
    study = replace(STUDY, arms=(Arm("random"),), pruner=Pruner("median", wave=5))
    waves = list(find_pending(study, plan(study), {}).waves())
    assert [len(wave) for wave in waves] == [10, 10, 4]
    assert [{trial.number // 5 for trial in wave} for wave in waves] == [{0}, {1}, {2}]
    assert len(list(find_pending(STUDY, plan(STUDY), {}).waves())) == 1


def test_a_pruner_knows_arms_and_blocks_apart():
    """What is pruned is decided under a name of the arm and block, and by all trials of earlier waves with their notes."""
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


def test_trials_are_released_in_the_order_of_the_plan():
    """Whatever order they are pending and finished in, those of an arm and block come out by number, each once."""
    trials = [trial for trial in plan(STUDY) if trial.block == 0][:4]
    finished = {trial.number: FinishedTrial(trial, None) for trial in trials}
    in_order = PlanOrder([trials[2], trials[0], trials[3], trials[1]])
    released = [in_order.release([finished[n] for n in numbers]) for numbers in ((3, 1), (0,), (2,))]
    assert [[trial.plan.number for trial in part] for part in released] == [[], [0, 1], [2, 3]]
