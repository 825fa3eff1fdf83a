"""Confirmation: the arms' choices are trained again from other weights, once, with any workers, crashes and stores."""

import shutil
from collections import Counter
from dataclasses import replace

import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.refine import declaration
from pipeline.search import confirmation
from pipeline.search.engine import Engine
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.study.spec import Study
from pipeline.tracking.client_writer import ClientWriter
from pipeline.training.metrics import BEST_VAL_ACCURACY
from pipeline.trials.task import run_task
from pipeline.trials.trial import FinishedTrial
from studies.random_vs_grid import STUDY

TIMES = ["seconds", "run_id"]


def optuna_store_of(study_path, journal="optuna.log", **changes):
    """Optuna's record of the study, as it is declared now."""
    return OptunaStore(find_study(str(study_path), changes), journal)


def repeated(study_path, journal="optuna.log", **changes):
    """The recorded repetitions of the arms' choices, without the columns that differ from run to run."""
    return pd.DataFrame(confirmation.confirmed(optuna_store_of(study_path, journal, **changes))).drop(columns=TIMES)


def runs(tracking_uri, kind="confirmation"):
    """All active runs of a kind."""
    client = MlflowClient(tracking_uri=tracking_uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    return client.search_runs(experiments, f"tags.kind = '{kind}'", max_results=5000)


@pytest.fixture(scope="module")
def searched_once(tmp_path_factory, empty_mlflow_db, tiny_source):
    """A folder in which the tiny study was searched by one worker."""
    folder = tmp_path_factory.mktemp("searched")
    shutil.copyfile(empty_mlflow_db, folder / "mlflow.db")
    (folder / "tiny.py").write_text(tiny_source)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        assert main(["search", "tiny.py", "--workers", "1"]) == 0
    return folder


@pytest.fixture
def searched(tiny_study, tmp_path, searched_once):
    """The repetitions of the tiny study, with its records copied to the test's folder."""
    shutil.copytree(searched_once, tmp_path, dirs_exist_ok=True)
    return repeated(tiny_study)


@pytest.fixture
def elsewhere(tmp_path, empty_mlflow_db):
    """The flags of a second pair of stores."""
    shutil.copyfile(empty_mlflow_db, tmp_path / "other.db")
    return ["--storage", "other.log", "--tracking-uri", f"sqlite:///{tmp_path / 'other.db'}"]


def test_each_choice_is_trained_five_more_times(searched, tiny_study, tracking_uri):
    """In every block the best trial is trained at its own point, from seeds that no trial had."""
    optuna_store = optuna_store_of(tiny_study)
    table = optuna_store.table()
    best = table.loc[table.groupby(["arm", "block"], sort=False)["best/val_accuracy"].idxmax()]
    assert places(best) == places(searched)
    assert Counter(searched["repetition"]) == dict.fromkeys(range(1, 6), 6)
    points = searched.merge(table, on=["arm", "block", "trial"], suffixes=("", "_chosen"))
    assert all(points[name].equals(points[f"{name}_chosen"]) for name in optuna_store.study.space)
    assert not set(searched["seed"]) & set(table["seed"])
    assert len(searched[["block", "repetition", "seed"]].drop_duplicates()) == searched["seed"].nunique() == 2 * 5


def test_the_first_of_equals_is_chosen():
    """Of equal trials within the budget, the one with the lowest number is chosen, in whatever order they are read."""
    scores = {3: 0.9, 0: 0.5, 2: 0.9, 1: 0.8, STUDY.trials: 1.0}
    trials = {
        (arm.name, 1, number): optuna.trial.create_trial(value=score, user_attrs={BEST_VAL_ACCURACY: score})
        for arm in STUDY.arms[::-1]
        for number, score in scores.items()
    }
    assert set(confirmation.choices(STUDY, trials)) == {(arm.name, 1, 2) for arm in STUDY.arms}


def test_a_trial_that_was_pruned_is_chosen_only_where_no_other_is():
    """A pruned trial is not chosen over a complete one, whatever its score, since it was not trained to the end."""
    state = optuna.trial.TrialState.PRUNED
    pruned = optuna.trial.create_trial(state=state, value=0.9, user_attrs={BEST_VAL_ACCURACY: 0.9})
    whole = optuna.trial.create_trial(value=0.5, user_attrs={BEST_VAL_ACCURACY: 0.5})
    assert list(confirmation.choices(STUDY, {("grid", 0, 0): pruned, ("grid", 0, 1): whole})) == [("grid", 0, 1)]
    assert list(confirmation.choices(STUDY, {("grid", 0, 0): pruned})) == [("grid", 0, 0)]


def test_repetitions_come_together_and_in_order():
    """In whatever order and tasks they finish, a choice is yielded once, with its last repetition, and they are in order."""
    trial = optuna.trial.create_trial(value=0.5, user_attrs={BEST_VAL_ACCURACY: 0.5})
    key, other = ("random", 0, 3), ("grid", 0, 1)
    planned = [plan for choice in (key, other) for plan in confirmation.repetitions(STUDY, choice, trial)]
    done = [FinishedTrial(plan, None) for plan in reversed(planned)]
    batches = iter([done[:2], done[2:6], done[6:]])
    engine = Engine("one after another", lambda _: batches, 2**30)
    confirmations = confirmation.train_repetitions(STUDY, planned, engine)
    assert [(choice, [trial.plan.repetition for trial in trials]) for choice, trials in confirmations] == [
        (other, [1, 2, 3, 4, 5]),
        (key, [1, 2, 3, 4, 5]),
    ]


def test_the_report_gets_as_many_repetitions_as_the_study_asks_for(searched, tiny_study):
    """If more repetitions are recorded than the study asks for, the first ones are used."""
    optuna_store = optuna_store_of(tiny_study)
    optuna_store.study = replace(optuna_store.study, confirm=2)
    assert Counter(row["repetition"] for row in confirmation.confirmed(optuna_store)) == {1: 6, 2: 6}
    assert confirmation.pending(optuna_store) == []


def test_repetitions_are_complete_runs_of_their_own_kind(searched, tiny_study, tracking_uri):
    """Each repetition is a finished child run of the study with its own kind and its curve; trials do not include it."""
    repetition_runs = runs(tracking_uri)
    (parent,) = runs(tracking_uri, "study")
    assert {run.data.tags["mlflow.parentRunId"] for run in repetition_runs} == {parent.info.run_id}
    assert Counter(run.info.status for run in repetition_runs) == {"FINISHED": 30}
    assert len({run.info.run_name for run in repetition_runs}) == 30
    records = [record for records in optuna_store_of(tiny_study).confirmations().values() for record in records]
    scores = {record["run_id"]: record["test/accuracy"] for record in records}
    assert {run.info.run_id: run.data.metrics["test/accuracy"] for run in repetition_runs} == scores
    history = MlflowClient(tracking_uri=tracking_uri).get_metric_history(repetition_runs[0].info.run_id, "val/accuracy")
    assert [point.step for point in history] == [1, 2]
    assert len(runs(tracking_uri, "trial")) == len(optuna_store_of(tiny_study).recorded()) == 36


def test_a_repetition_is_the_same_bits_alone(searched, tiny_study):
    """Trained outside its group, a repetition has the numbers that were recorded."""
    optuna_store = optuna_store_of(tiny_study)
    key, trial = list(confirmation.choices(optuna_store.study, optuna_store.recorded()).items())[3]
    planned = list(confirmation.repetitions(optuna_store.study, key, trial))[2]
    (task,) = confirmation.tasks_of(optuna_store.study, [planned], 2**30)
    (alone,) = run_task(task)
    row = searched[(searched["arm"] == key[0]) & (searched["block"] == key[1]) & (searched["repetition"] == 3)].iloc[0]
    assert {name: row[name] for name in alone.metrics} == alone.metrics


def test_workers_and_memory_change_nothing(searched, tiny_study, elsewhere, monkeypatch):
    """Two workers, and groups that memory limits to one trial, record the same repetitions."""
    monkeypatch.setattr("pipeline.search.executor.bytes_per_worker", lambda _: 1)
    assert main(["search", str(tiny_study), "--workers", "2", *elsewhere]) == 0
    assert repeated(tiny_study, "other.log").equals(searched)


def test_a_rerun_trains_nothing(searched, tiny_study, tracking_uri, capsys):
    """The second search trains nothing, and adds no run."""
    before = {run.info.run_id for run in runs(tracking_uri)}
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    assert "confirm: nothing to train" in capsys.readouterr().out
    assert {run.info.run_id for run in runs(tracking_uri)} == before
    assert repeated(tiny_study).equals(searched)


def test_a_crash_between_the_stores_is_repaired(searched, tiny_study, tracking_uri):
    """Unknown runs are discarded, deleted ones are restored, and missing repetitions are trained to the same numbers."""
    optuna_store = optuna_store_of(tiny_study)
    arm, block, number = next(iter(optuna_store.confirmations()))
    deleted = next(run for run in runs(tracking_uri) if run.data.tags["arm"] != arm)
    MlflowClient(tracking_uri=tracking_uri).delete_run(deleted.info.run_id)
    place = optuna.load_study(study_name=optuna_store.optuna_name(arm, block), storage=optuna_store.storage)
    place.set_user_attr(f"confirmation/{number:04d}", [])
    assert len(repeated(tiny_study)) == 25
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    pd.testing.assert_frame_equal(repeated(tiny_study), searched)
    recorded = {r["run_id"] for records in optuna_store_of(tiny_study).confirmations().values() for r in records}
    assert {run.info.run_id for run in runs(tracking_uri)} == recorded
    assert deleted.info.run_id in recorded


def test_more_repetitions_are_added_to_the_recorded_ones(tiny_study, tracking_uri):
    """A study with two confirmations of each choice that now asks for four trains two more; with 0 it trains none."""
    source = tiny_study.read_text()
    before = set()
    for wanted, new in ((0, 0), (2, 12), (4, 12)):
        tiny_study.write_text(source.replace("blocks=2", f"blocks=2,\n    confirm={wanted}"))
        assert main(["search", str(tiny_study), "--workers", "1"]) == 0
        now = {run.info.run_id for run in runs(tracking_uri)}
        assert len(now - before) == new
        assert before <= now
        before = now
    assert Counter(repeated(tiny_study)["repetition"]) == dict.fromkeys((1, 2, 3, 4), 6)


def test_a_larger_budget_may_change_the_choice(searched, tiny_study):
    """With more trials the choice may change: the report gets its repetitions, and the earlier ones stay recorded."""
    assert main(["search", str(tiny_study), "--workers", "1", "--trials", "12"]) == 0
    optuna_store = optuna_store_of(tiny_study, trials=12)
    chosen, before = set(confirmation.choices(optuna_store.study, optuna_store.recorded())), places(searched)
    assert places(repeated(tiny_study, trials=12)) == chosen
    assert len(repeated(tiny_study, trials=12)) == 30
    assert before - chosen, "no choice has changed: the example needs other numbers"
    assert set(optuna_store.confirmations()) == before | chosen
    assert repeated(tiny_study).equals(searched)


def places(rows):
    """The chosen trials of the rows: arm, block and number."""
    return set(zip(rows["arm"], rows["block"], rows["trial"], strict=True))


@pytest.mark.slow
def test_the_client_records_the_same(searched, tiny_study, elsewhere, monkeypatch):
    """MLflow's client records the same repetitions, one by one, as the bulk writer."""
    monkeypatch.setattr(
        "pipeline.tracking.tracker.choose_writer", lambda client, _: (ClientWriter(client), "one by one")
    )
    assert main(["search", str(tiny_study), "--workers", "1", *elsewhere]) == 0
    assert repeated(tiny_study, "other.log").equals(searched)
    assert Counter(run.info.status for run in runs(elsewhere[-1])) == {"FINISHED": 30}


def test_choices_of_a_pruned_study_are_complete_trials(tiny_study):
    """In a study with a pruner, the choice and its repetitions are trained to the end."""
    source = tiny_study.read_text().replace("import Arm,", "import Arm, Pruner,").replace("epochs=2", "epochs=4")
    source = source.replace('Arm("random"), Arm("shifted_grid"), Arm("grid")', 'Arm("random"),')
    tiny_study.write_text(source.replace("trials=6", 'trials=20, pruner=Pruner("median", wave=5)'))
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    table, again = optuna_store_of(tiny_study).table(), repeated(tiny_study)
    assert table["pruned"].any()
    chosen = table.merge(again[["arm", "block", "trial"]].drop_duplicates(), on=["arm", "block", "trial"])
    assert len(chosen) == 2
    assert not chosen["pruned"].any()
    assert set(again["epochs"]) == {4}


def test_a_declaration_without_confirmations_has_the_default():
    """A study recorded before there were confirmations has the default and the same hash; 0 is written."""
    plain = STUDY.to_json()
    assert "confirm" not in plain.keys() | STUDY.identity.keys()
    assert Study.from_json(plain) == STUDY
    without = replace(STUDY, confirm=0)
    assert without.hash == STUDY.hash
    assert Study.from_json(without.to_json()) == without
    assert "confirm=0" in declaration(without)
