"""Notes and figures for Optuna Dashboard, read back with its own functions."""

import json
from dataclasses import replace

import optuna
import optuna_dashboard
import pytest
from mlflow import MlflowClient
from optuna_dashboard import get_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from small import STUDY, finished

from pipeline.cli.main import main
from pipeline.diagnosis.trial_facts import Finding
from pipeline.storage.dashboard import Shown, save_figure, save_note, study_ids
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore


@pytest.fixture
def study(tmp_path):
    """An empty study in a journal file."""
    return optuna.create_study(study_name="one", storage=open_storage(str(tmp_path / "optuna.log")))


def shown(study):
    """Return the figures that the dashboard finds, by name."""
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return get_plotly_graph_objects(attributes)


def line(points):
    """Plotly's JSON of a line."""
    return json.dumps({"data": [{"x": list(range(points)), "mode": "lines"}], "layout": {"xaxis": {"type": "log"}}})


def report(figures=None, verdicts=("Random is ahead.", "So is the other.")):
    """What a report shows, with links to runs that a test can recognise."""
    return Shown(figures or {"best_after_n": line(3)}, verdicts, lambda run_id: f"http://ui/{run_id}")


@pytest.fixture
def store(tmp_path):
    """Two arms in two blocks with three trials each: the first diverged, the third of the last one is the best."""
    store = OptunaStore(STUDY, str(tmp_path / "optuna.log"))
    store.open("0" * 32, {})
    scores = [(arm, block, number) for arm in ("random", "grid") for block in (0, 1) for number in (0, 1, 2)]
    for i, (arm, block, number) in enumerate(scores):
        trial = finished(arm, block, number, diverged=number == 0)
        trial.result.scores["best/val_accuracy"] = 0.1 if number == 0 else 0.5 + 0.01 * i
        findings = (Finding("diverged", "the rate is far too high", "divide it"),) if number == 0 else ()
        store.add_all({f"{arm}-{block}-{number}": replace(trial, findings=findings)})
    store.study = replace(STUDY, trials=3)
    return store


def notes(store, name):
    """Return the note of an Optuna study, and those of its trials by number, as the dashboard reads them."""
    study = optuna.load_study(study_name=name, storage=store.storage)
    by_trial = {t.number: get_note(optuna.trial.Trial(study, t._trial_id)) for t in study.trials}
    return get_note(study), {number: note for number, note in by_trial.items() if note}


def test_the_dashboard_reads_the_note_and_the_figure(study):
    """Its own readers return a note and a figure that are longer than one attribute."""
    save_note(study._storage, study._study_id, "**Why?**" * 1000)
    save_figure(study._storage, study._study_id, "best_after_n", line(2000))
    assert get_note(study) == "**Why?**" * 1000
    (figure,) = map(json.loads, shown(study).values())
    assert (figure["data"][0]["x"], figure["layout"]["xaxis"]) == (list(range(2000)), {"type": "log"})


def test_a_shorter_text_leaves_nothing_of_a_longer_one(study):
    """A shorter figure or note replaces the longer one whole, and a figure of another name stays."""
    for name, points in (("other", 1), ("best_after_n", 2000), ("best_after_n", 3)):
        save_figure(study._storage, study._study_id, name, line(points))
    assert {name: json.loads(text)["data"][0]["x"] for name, text in shown(study).items()} == {
        "best_after_n": [0, 1, 2],
        "other": [0],
    }
    for text in ("long" * 1000, "short"):
        save_note(study._storage, study._study_id, text)
    assert get_note(study) == "short"


def test_a_note_that_a_user_edited_stays(study):
    """A note that was saved in the dashboard is not replaced."""
    save_note(study._storage, study._study_id, "ours")
    optuna_dashboard.save_note(study, "mine")
    save_note(study._storage, study._study_id, "ours again")
    assert get_note(study) == "mine"


def test_a_report_is_shown_on_every_study(store):
    """Each block's and each pooled study has the figure, and a note with the question, the verdicts and MLflow's link."""
    store.show(report())
    names = [f"s/{arm}/{place}" for arm in ("random", "grid") for place in ("b00", "b01", "all blocks")]
    assert sorted(optuna.get_all_study_names(store.storage)) == sorted(names)
    for name in names:
        assert list(shown(optuna.load_study(study_name=name, storage=store.storage))) == ["best_after_n"]
        note, _ = notes(store, name)
        for text in ("**?**", "Random is ahead.", "So is the other.", f"(http://ui/{'0' * 32})", "arm `"):
            assert text in note


def test_the_best_and_the_diverged_trials_have_a_note(store):
    """Each study's best and diverged trials have a note with reason, diagnosis and link; the study's note leads to them."""
    store.show(report())
    for name, best in (("s/random/b01", "best of this study"), ("s/grid/b01", "best of all arms and blocks")):
        note, by_trial = notes(store, name)
        study_id = store.storage.get_study_id_from_name(name)
        assert list(by_trial) == [0, 2]
        assert f"- {best}: trial [2](/dashboard/studies/{study_id}/trials?numbers=2)\n" in note
        assert f"- diverged: trial [0](/dashboard/studies/{study_id}/trials?numbers=0)\n" in note
        assert by_trial[2].startswith(f"**{best}** (block 1, trial 2)\n\nDiagnosis: nothing wrong\n")
        assert "Diagnosis: the rate is far too high" in by_trial[0]
        assert f"(http://ui/{name.split('/')[1]}-1-0)" in by_trial[0]
    note, by_trial = notes(store, "s/grid/all blocks")
    assert list(by_trial) == [0, 3, 5]
    assert by_trial[5].startswith("**best of all arms and blocks** (block 1, trial 2)")


def test_a_trial_that_is_no_longer_the_best_loses_its_note(store):
    """After a later report only the new best trial has the note of the best."""
    store.show(report())
    better = finished("grid", 1, 3)
    better.result.scores["best/val_accuracy"] = 0.99
    store.add_all({"better": better})
    store.study = replace(store.study, trials=4)
    store.show(report())
    for name, best in (("s/grid/b01", 3), ("s/grid/all blocks", 6)):
        assert [n for n, text in notes(store, name)[1].items() if "best of" in text] == [best]


def test_the_same_report_writes_nothing(store, tmp_path):
    """A report that is shown again adds no byte to the journal, also by another process; another figure is shown."""
    journal = tmp_path / "optuna.log"
    store.show(report({"best_after_n": line(2000), "other": line(1)}))
    before = journal.read_bytes()
    again = OptunaStore(store.study, str(journal))
    again.study = store.study
    for each in (store, again):
        each.show(report({"best_after_n": line(2000), "other": line(1)}))
    assert journal.read_bytes() == before
    store.show(report({"best_after_n": line(3)}))
    figures = shown(optuna.load_study(study_name="s/grid/b00", storage=store.storage))
    assert len(json.loads(figures["best_after_n"])["data"][0]["x"]) == 3


def test_links_to_the_dashboard_are_of_one_study(store, tmp_path):
    """The ids are those of the study's arms: in the first block and, after a report, over all blocks."""
    OptunaStore(replace(STUDY, name="other"), str(tmp_path / "optuna.log")).open("run of other", {})
    for place in ("b00", "all blocks"):
        ids = study_ids(str(tmp_path / "optuna.log"), "0" * 32)
        names = [store.storage.get_study_name_from_id(study_id) for study_id in ids]
        assert names == [f"s/{arm}/{place}" for arm in ("random", "grid")]
        store.show(report())


def test_the_timeline_is_that_of_the_training(tiny_study, tmp_path, tracking_uri):
    """Optuna has each trial's times as MLflow has them: when it was trained, and not when it was recorded."""
    assert main(["search", str(tiny_study), "--workers", "1", "--blocks", "1", "--trials", "2"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    storage = open_storage(str(tmp_path / "optuna.log"))
    for name in optuna.get_all_study_names(storage):
        for trial in optuna.load_study(study_name=name, storage=storage).trials:
            info = client.get_run(trial.user_attrs["run_id"]).info
            assert trial.datetime_start.timestamp() * 1000 == pytest.approx(info.start_time, abs=2)
            assert trial.datetime_complete.timestamp() * 1000 == pytest.approx(info.end_time, abs=2)
            assert trial.datetime_start < trial.datetime_complete
