"""Notes and figures for Optuna Dashboard, read back with its own functions."""

import json
from dataclasses import replace

import optuna
import pytest
from mlflow import MlflowClient
from optuna_dashboard import get_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from pipeline.cli.main import main
from pipeline.storage.dashboard import save_figure, save_note, study_ids
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study


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


def test_the_dashboard_reads_the_note_and_the_figure(study):
    """Its own readers return the note, and a figure that is longer than one attribute, without Plotly's template."""
    save_note(study._storage, "one", "**Why?**")
    save_figure(study, "best_after_n", line(2000))
    assert get_note(study) == "**Why?**"
    (figure,) = map(json.loads, shown(study).values())
    assert (figure["data"][0]["x"], figure["layout"]["xaxis"]) == (list(range(2000)), {"type": "log"})
    assert len(json.dumps(figure["layout"])) < 200


def test_a_figure_is_replaced_whole(study):
    """A shorter figure of the same name leaves nothing of the longer one, and a figure of another name stays."""
    for name, points in (("other", 1), ("best_after_n", 2000), ("best_after_n", 3)):
        save_figure(study, name, line(points))
    assert {name: json.loads(text)["data"][0]["x"] for name, text in shown(study).items()} == {
        "best_after_n": [0, 1, 2],
        "other": [0],
    }


def test_every_arm_shows_the_figure_in_the_first_block(tmp_path):
    """The studies that the printed link compares show the figure. Other blocks and other studies do not."""
    study = find_study("random_vs_grid", {"blocks": 2})
    stores = [OptunaStore(each, str(tmp_path / "optuna.log")) for each in (study, replace(study, name="other"))]
    for store in stores:
        store.open("0" * 32, {})
    stores[0].save_figures({"best_after_n": "{}"})
    storage = stores[0].storage
    names = optuna.get_all_study_names(storage)
    illustrated = [name for name in names if shown(optuna.load_study(study_name=name, storage=storage))]
    assert illustrated == [f"random_vs_grid/{arm}/b00" for arm in ("random", "grid", "shifted_grid")]


def test_equal_figures_write_nothing(tmp_path):
    """Figures that are saved again add no byte to the journal; one that differs is shown."""
    journal = tmp_path / "optuna.log"
    store = OptunaStore(find_study("random_vs_grid", {"blocks": 1}), str(journal))
    store.open("0" * 32, {})
    store.save_figures({"best_after_n": line(2000), "other": line(1)})
    before = journal.read_bytes()
    store.save_figures({"best_after_n": line(2000), "other": line(1)})
    OptunaStore(store.study, str(journal)).save_figures({"best_after_n": line(2000), "other": line(1)})
    assert journal.read_bytes() == before
    store.save_figures({"best_after_n": line(3)})
    figures = shown(optuna.load_study(study_name="random_vs_grid/grid/b00", storage=store.storage))
    assert len(json.loads(figures["best_after_n"])["data"][0]["x"]) == 3


def test_links_to_the_dashboard_are_of_one_study_in_its_first_block(tmp_path):
    """The ids leave out the arms of another study, and other blocks."""
    study, address = find_study("random_vs_grid", {"blocks": 2}), str(tmp_path / "optuna.log")
    for name in (study.name, "other"):
        OptunaStore(replace(study, name=name), address).open(f"run of {name}", {})
    storage = open_storage(address)
    names = [storage.get_study_name_from_id(study_id) for study_id in study_ids(address, f"run of {study.name}")]
    assert names == [f"random_vs_grid/{arm}/b00" for arm in ("random", "grid", "shifted_grid")]
    assert len(optuna.get_all_study_names(storage)) == 12


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
