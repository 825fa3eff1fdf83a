"""Confirmation: the arms' likely choices are trained again from other weights, once, with any workers, crashes and stores."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.refine import declaration
from pipeline.search import confirmation
from pipeline.search.engine import Engine
from pipeline.seeds import derive_seed
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.study.spec import Study
from pipeline.tracking.client_writer import ClientWriter
from pipeline.training.metrics import BEST_VAL_ACCURACY
from pipeline.trials.selection import choice_probabilities
from pipeline.trials.task import run_task
from pipeline.trials.trial import FinishedTrial, pack_bits
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


@pytest.fixture
def searched(searched_study):
    """The repetitions of the tiny study, which one worker searched."""
    return repeated(searched_study)


@pytest.fixture
def elsewhere(tmp_path, empty_mlflow_db):
    """The flags of a second pair of stores."""
    shutil.copyfile(empty_mlflow_db, tmp_path / "other.db")
    return ["--storage", "other.log", "--tracking-uri", f"sqlite:///{tmp_path / 'other.db'}"]


def test_each_block_of_an_arm_has_five_repetitions(searched, tiny_study):
    """In every block the best trial comes first; all repetitions have their trial's own point, from seeds that no trial had."""
    optuna_store = optuna_store_of(tiny_study)
    table = optuna_store.table()
    best = table.loc[table.groupby(["arm", "block"], sort=False)["best/val_accuracy"].idxmax()]
    assert places(best) == places(searched[searched["repetition"] == 1])
    assert places(best) < places(searched), "no choice is close: the example needs other numbers"
    assert Counter(searched["repetition"]) == dict.fromkeys(range(1, 6), 6)
    points = searched.merge(table, on=["arm", "block", "trial"], suffixes=("", "_chosen"))
    assert len(points) == 30
    assert all(points[name].equals(points[f"{name}_chosen"]) for name in optuna_store.study.space)
    assert not set(searched["seed"]) & set(table["seed"])
    assert len(searched[["block", "repetition", "seed"]].drop_duplicates()) == searched["seed"].nunique() == 2 * 5


def test_repetitions_follow_the_probability_of_the_choice(searched, tiny_study):
    """The trials that get repetitions are those that validation would choose with new rows, the more probable the more."""
    table = optuna_store_of(tiny_study).table()
    for (_, block), rows in table.groupby(["arm", "block"]):
        eligible = ~rows["diverged"].to_numpy(bool)
        validation, bits = rows["best/val_accuracy"].to_numpy(), rows["val_correct"].tolist()
        probable = choice_probabilities(validation, bits, eligible, rows["n_val"].iloc[0], block)
        again = rows[["arm", "block", "trial"]].merge(searched)
        counts = np.bincount(again["trial"], minlength=len(rows))
        others = np.arange(len(rows)) != validation.argmax()
        assert np.all(np.abs(counts - 5 * probable)[others] < 1)


def recorded_trial(score, correct=None, **facts):
    """A trial as Optuna has it, which may tell which of the validation rows it has right."""
    if correct is not None:
        facts |= {"val_correct": pack_bits(np.array(correct, bool)), "n_val": len(correct)}
    state = optuna.trial.TrialState.PRUNED if facts.pop("pruned", False) else optuna.trial.TrialState.COMPLETE
    return optuna.trial.create_trial(
        state=state, value=score, user_attrs={BEST_VAL_ACCURACY: score, "diverged": False, **facts}
    )


def numbers(trials, **changes):
    """The number of the trial of each repetition."""
    return [planned.number for planned in confirmation.repetitions(replace(STUDY, **changes), trials)]


def test_without_rows_the_first_of_equals_has_all_repetitions():
    """Where no record tells the right rows, all are of the choice: of equals within the budget the lowest, in any order."""
    scores = {3: 0.9, 0: 0.5, 2: 0.9, 1: 0.8, STUDY.trials: 1.0}
    trials = {
        (arm.name, 1, number): recorded_trial(score) for arm in STUDY.arms[::-1] for number, score in scores.items()
    }
    planned = confirmation.repetitions(STUDY, trials)
    assert Counter(plan.key for plan in planned) == {(arm.name, 1, 2): 5 for arm in STUDY.arms}
    assert {plan.repetition for plan in planned} == {1, 2, 3, 4, 5}


def test_equal_trials_share_the_repetitions_and_the_seeds():
    """Two trials with the same right rows share them, the first with the larger half; seeds are by block and repetition."""
    rows = [1] * 18 + [0] * 2
    trials = {
        ("grid", 4, 0): recorded_trial(0.5, [1] * 10 + [0] * 10),
        ("grid", 4, 1): recorded_trial(0.9, rows),
        ("grid", 4, 2): recorded_trial(0.9, rows),
    }
    assert numbers(trials) == [1, 1, 1, 2, 2]
    assert numbers(trials, confirm=1) == [1]
    assert numbers(trials, confirm=0) == []
    seeds = [derive_seed(STUDY.seed, "confirmation", 4, repetition) for repetition in range(1, 6)]
    assert [planned.hparams.seed for planned in confirmation.repetitions(STUDY, trials)] == seeds


def test_a_trial_that_diverged_or_was_pruned_gets_none():
    """Neither can be chosen while another can, whatever its score; a pruned one is chosen only where all were pruned."""
    rows = [1] * 18 + [0] * 2
    whole, out = recorded_trial(0.9, rows), [1] * 19 + [0]
    pruned, diverged = recorded_trial(0.95, out, pruned=True), recorded_trial(0.9, rows, diverged=True)
    assert numbers({("grid", 0, 0): pruned, ("grid", 0, 1): whole, ("grid", 0, 2): diverged}) == [1] * 5
    assert numbers({("grid", 0, 0): pruned}) == [0] * 5


def test_repetitions_come_together_and_in_order():
    """In whatever order and tasks they finish, a choice is yielded once, with its last repetition, and they are in order."""
    key, other = ("random", 0, 3), ("grid", 0, 1)
    planned = confirmation.repetitions(STUDY, dict.fromkeys((key, other), recorded_trial(0.5)))
    done = [FinishedTrial(plan, None) for plan in sorted(planned, key=lambda plan: (plan.key == key, -plan.repetition))]
    batches = iter([done[:2], done[2:6], done[6:]])
    engine = Engine("one after another", lambda _: batches, 2**30)
    confirmations = confirmation.train_repetitions(STUDY, planned, engine)
    assert [
        {choice: [trial.plan.repetition for trial in trials] for choice, trials in choices.items()}
        for choices in confirmations
    ] == [{other: [1, 2, 3, 4, 5]}, {key: [1, 2, 3, 4, 5]}]


def test_the_report_gets_as_many_repetitions_as_the_study_asks_for(searched, tiny_study):
    """If more repetitions are recorded than the study asks for, the first ones are used."""
    optuna_store = optuna_store_of(tiny_study)
    chosen = searched[searched["repetition"] == 1]
    optuna_store.study = replace(optuna_store.study, confirm=1)
    rows = pd.DataFrame(confirmation.confirmed(optuna_store)).drop(columns=TIMES)
    pd.testing.assert_frame_equal(rows, chosen.reset_index(drop=True), check_like=True)
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
    trials = runs(tracking_uri, "trial")
    assert {run.info.start_time for run in repetition_runs} == {parent.info.start_time}  # the UI lists them last
    assert min(run.info.start_time for run in trials) > parent.info.start_time
    history = MlflowClient(tracking_uri=tracking_uri).get_metric_history(repetition_runs[0].info.run_id, "val/accuracy")
    assert [point.step for point in history] == [1, 2]
    assert len(runs(tracking_uri, "trial")) == len(optuna_store_of(tiny_study).recorded()) == 36


def test_a_repetition_is_the_same_bits_alone(searched, tiny_study):
    """Trained outside its group, a repetition has the numbers that were recorded."""
    optuna_store = optuna_store_of(tiny_study)
    planned = confirmation.repetitions(optuna_store.study, optuna_store.recorded())[17]
    key = planned.key
    (task,) = confirmation.tasks_of(optuna_store.study, [planned], 2**30)
    (alone,) = run_task(task)
    row = searched[(searched["arm"] == key[0]) & (searched["block"] == key[1]) & (searched["repetition"] == 3)].iloc[0]
    assert (planned.repetition, row["trial"]) == (3, key[2])
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
    (arm, block, number), lost = next(iter(optuna_store.confirmations().items()))
    deleted = next(run for run in runs(tracking_uri) if run.data.tags["arm"] != arm)
    MlflowClient(tracking_uri=tracking_uri).delete_run(deleted.info.run_id)
    place = optuna.load_study(study_name=optuna_store.optuna_name(arm, block), storage=optuna_store.storage)
    place.set_user_attr(f"confirmation/{number:04d}", [])
    assert len(repeated(tiny_study)) == 30 - len(lost) < 30
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    pd.testing.assert_frame_equal(repeated(tiny_study), searched)
    recorded = {r["run_id"] for records in optuna_store_of(tiny_study).confirmations().values() for r in records}
    assert {run.info.run_id for run in runs(tracking_uri)} == recorded
    assert deleted.info.run_id in recorded


def test_more_repetitions_are_added_to_the_recorded_ones(tiny_study, tracking_uri):
    """A study with two repetitions for each arm and block that now asks for four keeps them; with 0 it trains none."""
    source = tiny_study.read_text()
    before = set()
    for wanted in (0, 2, 4):
        tiny_study.write_text(source.replace("blocks=2", f"blocks=2,\n    confirm={wanted}"))
        assert main(["search", str(tiny_study), "--workers", "1"]) == 0
        store = optuna_store_of(tiny_study)
        planned = {(*plan.key, plan.repetition) for plan in confirmation.repetitions(store.study, store.recorded())}
        assert len(planned) == wanted * 6
        records = [(*key, r["repetition"]) for key, rs in store.confirmations().items() for r in rs]
        assert len(records) == len(set(records)) == len(planned | set(records))
        now = {run.info.run_id for run in runs(tracking_uri)}
        assert len(now) == len(records)
        assert before <= now
        before = now


def test_repetitions_that_an_older_version_recorded_count(tiny_study, tracking_uri):
    """All five of them are of the choice: they stay and count, and only those of other likely trials are trained."""
    journal = ["search", str(tiny_study), "--workers", "1"]
    with pytest.MonkeyPatch.context() as older:
        older.setattr(confirmation, "choice_probabilities", lambda *_: None)
        assert main(journal) == 0
        before = repeated(tiny_study)
    assert Counter(zip(before["arm"], before["block"], before["trial"], strict=True)) == dict.fromkeys(
        places(before), 5
    )
    assert repeated(tiny_study).equals(before), "a report alone counts all five"
    assert main(journal) == 0
    after = repeated(tiny_study)
    assert len(after) > len(before)
    assert len(runs(tracking_uri)) == len(after)
    kept = after.merge(before[["arm", "block", "trial", "repetition"]])
    pd.testing.assert_frame_equal(kept, before)


def test_a_larger_budget_may_change_the_choice(searched, tiny_study):
    """With more trials the choice may change: the report gets its repetitions, and the earlier ones stay recorded."""
    assert main(["search", str(tiny_study), "--workers", "1", "--trials", "12"]) == 0
    optuna_store = optuna_store_of(tiny_study, trials=12)
    planned = confirmation.repetitions(optuna_store.study, optuna_store.recorded())
    chosen, before = {plan.key for plan in planned}, places(searched)
    assert places(repeated(tiny_study, trials=12)) == chosen
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
    assert set(chosen["block"]) == {0, 1}
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
