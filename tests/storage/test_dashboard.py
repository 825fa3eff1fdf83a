"""What is stored for Optuna Dashboard: notes and figures that it reads, replaced and never piled up."""

import json
from dataclasses import replace

import optuna
import pytest
from mlflow import MlflowClient
from optuna_dashboard import get_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from pipeline.cli.main import main
from pipeline.storage.backends import open_storage
from pipeline.storage.dashboard import leave_figure, leave_note
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study


@pytest.fixture
def study(tmp_path):
    """An empty study in a journal file."""
    return optuna.create_study(study_name="one", storage=open_storage(str(tmp_path / "optuna.log")))


def shown(study):
    """The figures that the dashboard finds, by their names."""
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return get_plotly_graph_objects(attributes)


def test_the_dashboard_reads_what_was_left(study):
    """Its own readers give back the note, and a figure that is stored in several pieces."""
    figure = json.dumps({"data": [{"x": list(range(2000))}], "layout": {}})
    leave_note(study, "**Why?**")
    leave_figure(study, "best_after_n", figure)
    assert get_note(study) == "**Why?**"
    assert shown(study) == {"best_after_n": figure}


def test_a_figure_is_replaced_whole(study):
    """A shorter figure of the same name leaves nothing of the longer one, and a figure of another name stays."""
    leave_figure(study, "other", "{}")
    leave_figure(study, "best_after_n", "x" * 9000)
    leave_figure(study, "best_after_n", '{"data":[]}')
    assert shown(study) == {"best_after_n": '{"data":[]}', "other": "{}"}


def test_an_equal_figure_writes_nothing(study, tmp_path):
    """A report that is made again does not make the storage longer."""
    leave_figure(study, "best_after_n", "x" * 9000)
    before = (tmp_path / "optuna.log").read_bytes()
    leave_figure(study, "best_after_n", "x" * 9000)
    assert (tmp_path / "optuna.log").read_bytes() == before


def test_every_arm_is_illustrated_in_the_first_block(tmp_path):
    """The studies that the printed link compares show the figure, those of other blocks do not, and other studies neither."""
    one = find_study("random_vs_grid", {"blocks": 2})
    ledgers = [OptunaStore(study, str(tmp_path / "optuna.log")) for study in (one, replace(one, name="other"))]
    for optuna_store in ledgers:
        optuna_store.open("0" * 32, {})
    ledgers[0].illustrate({"best_after_n": "{}"})
    names = optuna.get_all_study_names(ledgers[0].storage)
    illustrated = [name for name in names if shown(optuna.load_study(study_name=name, storage=ledgers[0].storage))]
    assert illustrated == [f"random_vs_grid/{arm}/b00" for arm in ("random", "shifted_grid", "grid")]


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
