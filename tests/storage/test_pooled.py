"""The pooled study of an arm: all of its trials once, and nothing that this program would take for its records."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from small import STUDY, finished

from pipeline.storage.dashboard import Shown
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.spec import Pruner

SHOWN = Shown({}, ["?"], str)
NAME = "s/random/all blocks"


def recorded(address, places, study=STUDY):
    """The store of a study with these trials, by their place or, of a pruned one, with True after it."""
    store = OptunaStore(study, address)
    store.open("run", {})
    store.add_all({f"{a}-{b}-{n}": finished(a, b, n, pruned=bool(pruned)) for a, b, n, *pruned in places})
    return store


@pytest.fixture
def store(request, tmp_path):
    """The store of two arms in two blocks, in a journal or at the address that begins with the parameter."""
    return recorded(
        f"{getattr(request, 'param', '')}{tmp_path / 'optuna.log'}",
        [(a, b, n) for b in (1, 0) for a in ("random", "grid") for n in (0, 1)],
    )


def pooled(store):
    """The pooled study of random search."""
    return optuna.load_study(study_name=NAME, storage=store.storage)


@pytest.mark.parametrize("store", ["", "sqlite:///"], ids=["journal", "database"], indirect=True)
def test_it_has_all_trials_of_the_arm(store):
    """Points, values, times and distributions are those of the trials, in the order of blocks; there are no curves."""
    store.show(SHOWN)
    copies, originals = (
        pooled(store).trials,
        [t for (arm, *_), t in sorted(store.recorded().items()) if arm == "random"],
    )
    assert [trial.user_attrs["run_id"] for trial in copies] == [f"random-{b}-{n}" for b in (0, 1) for n in (0, 1)]
    for name in ("params", "value", "state", "distributions", "datetime_start", "datetime_complete"):
        assert [getattr(t, name) for t in copies] == [getattr(t, name) for t in originals]
    assert not any(trial.intermediate_values for trial in copies)
    assert pooled(store).user_attrs["pooled"] is True
    assert pooled(store).best_trial.number == 0


def test_a_pruned_trial_stays_pruned(tmp_path):
    """A pruned trial keeps its state and its value."""
    study = replace(STUDY, arms=STUDY.arms[:1], pruner=Pruner("median"))
    store = recorded(str(tmp_path / "optuna.log"), [("random", 0, 0), ("random", 0, 1, True)], study)
    store.show(SHOWN)
    assert [(t.state, t.value) for t in pooled(store).trials] == [(TrialState.COMPLETE, 0.3), (TrialState.PRUNED, 0.2)]


def test_a_later_report_adds_the_missing_trials(store):
    """A trial that was recorded since the last report is added, and no other."""
    store.show(SHOWN)
    store.add_all({"new": finished("random", 1, 2)})
    store.study = replace(STUDY, trials=3)
    store.show(SHOWN)
    assert [trial.user_attrs["run_id"] for trial in pooled(store).trials][3:] == ["random-1-1", "new"]


@pytest.mark.parametrize("store", ["", "sqlite:///"], ids=["journal", "database"], indirect=True)
def test_a_trial_that_is_no_longer_recorded_leaves(store):
    """If a block's study was deleted, the pooled study is made again without its trials."""
    store.show(SHOWN)
    optuna.delete_study(study_name="s/random/b01", storage=store.storage)
    store.show(SHOWN)
    assert [trial.user_attrs["run_id"] for trial in pooled(store).trials] == ["random-0-0", "random-0-1"]


def test_it_is_not_taken_for_a_record(store, tmp_path):
    """What a user adds to it, a trial with all attributes too, changes neither the records nor the next report's trials."""
    store.show(SHOWN)
    before = {key: trial.user_attrs for key, trial in store.recorded().items()}
    study = pooled(store)
    study.add_trial(optuna.trial.create_trial(value=2.0))
    original = store.recorded()["random", 0, 0]
    study.add_trial(optuna.trial.create_trial(value=2.0, user_attrs={**original.user_attrs, "trial": 7}))
    study.ask()
    store.show(SHOWN)
    again = OptunaStore(STUDY, str(tmp_path / "optuna.log"))
    assert {key: trial.user_attrs for key, trial in again.recorded().items()} == before
    assert (again.study_names, again.blocks, again.foreign, again.study.name) == (["s"], 2, [], "s")
    assert len(pooled(store).trials) == 7


def test_a_users_study_of_that_name_stays(store):
    """A study of that name that a user made is neither changed nor deleted."""
    user = optuna.create_study(study_name=NAME, storage=store.storage)
    user.add_trial(optuna.trial.create_trial(value=1.0))
    store.show(SHOWN)
    assert [(trial.value, trial.user_attrs) for trial in pooled(store).trials] == [(1.0, {})]
    assert pooled(store).user_attrs == {}
