"""The Optuna store: what it records of a trial, in which order, and under which name."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from small import STUDY, finished

from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.spec import Pruner


@pytest.fixture
def store(tmp_path):
    """The address of a fresh journal."""
    return str(tmp_path / "optuna.log")


def test_a_trial_is_recorded_with_its_curve_by_epoch(store):
    """Epochs count from 1; the value is the score or, of a pruned trial, the last accuracy, with what its pruner noted."""
    optuna_store = OptunaStore(replace(STUDY, arms=STUDY.arms[:1], pruner=Pruner("median")), store)
    optuna_store.open("run", {})
    optuna_store.add_all({"a": finished("random", 0, 0)})
    optuna_store.add_all({"b": finished("random", 0, 1, pruned=True, rungs={"rung": 0.2})})
    whole, pruned = optuna_store.recorded().values()
    assert whole.intermediate_values == pruned.intermediate_values == {1: 0.1, 2: 0.3, 3: 0.2}
    assert (whole.state, whole.value) == (TrialState.COMPLETE, 0.3)
    assert (pruned.state, pruned.value, pruned.system_attrs) == (TrialState.PRUNED, 0.2, {"rung": 0.2})


def test_the_table_is_in_the_order_of_the_declared_arms(store):
    """Whatever the order of recording, the table is sorted by declared arm, block and number."""
    optuna_store = OptunaStore(STUDY, store)
    optuna_store.open("run", {})
    places = [("grid", 0, 0), ("random", 1, 0), ("random", 0, 0), ("random", 0, 1)]
    for place in places:
        optuna_store.add_all({"a": finished(*place)})
    table = optuna_store.table()
    found = list(zip(table["arm"], table["block"], table["trial"], strict=True))
    assert found == [("random", 0, 0), ("random", 0, 1), ("random", 1, 0), ("grid", 0, 0)]


def test_the_newest_study_of_the_same_declaration_is_continued(store):
    """Of several studies with the same declaration the last is resumed; a study of another declaration is left alone."""
    other = replace(STUDY, seed=1)
    for study, new, name in [(STUDY, False, "s"), (STUDY, True, "s-2"), (STUDY, True, "s-3"), (other, True, "s-4")]:
        optuna_store = OptunaStore(study, store, new=new)
        optuna_store.open("run", {})
        assert optuna_store.study.name == name
    assert OptunaStore(STUDY, store).study.name == "s-3"
    assert OptunaStore(other, store).study.name == "s-4"


def test_what_is_declared_is_read_without_the_trials(store, monkeypatch):
    """The declaration, generation and names of studies are read without a copy of any trial, of which there may be many."""
    OptunaStore(STUDY, store).open("0" * 32, {"version": 1})
    monkeypatch.setattr(optuna.storages.JournalStorage, "get_all_trials", None)
    again = OptunaStore(STUDY, store)
    again.check_same({"version": 1})
    assert (again.declaration, again.study_names, again.parent_run) == (STUDY, ["s"], "0" * 32)
    assert again.ensure_generation() == again.generation
