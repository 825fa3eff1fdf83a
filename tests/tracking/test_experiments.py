"""The experiment of a new run: named by the environment, and refused if it is deleted, missing or ambiguous."""

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from pipeline.errors import UserError
from pipeline.tracking import Tracker


def test_a_deleted_experiment_is_refused(tracking_uri, study, monkeypatch):
    """A deleted experiment is refused in one line with its name."""
    tracker = Tracker(tracking_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    tracker.client.delete_experiment(tracker.client.create_experiment("mine"))
    with pytest.raises(
        UserError, match=r"^MLflow's experiment 'mine' is deleted; restore it, or name another in [A-Z_]+$"
    ):
        tracker.open(study)


def test_the_environment_names_the_experiment(tracking_uri, study, monkeypatch):
    """A new run goes into the experiment of ``MLFLOW_EXPERIMENT_ID``, with or without its name; then into that of the name."""
    client = MlflowClient(tracking_uri)
    wanted = client.create_experiment("mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", wanted)
    for name in ("", "mine"):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
        tracker = Tracker(tracking_uri)
        tracker.verify()
        tracker.open(study)
        assert tracker.experiment_id == wanted
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named")
    tracker.open(study)
    assert client.get_experiment(tracker.experiment_id).name == "named"


@pytest.mark.parametrize("wrong", ["unknown", "too large", "no id", "deleted", "another name"])
def test_a_wrong_experiment_id_is_refused(wrong, tracking_uri, study, monkeypatch):
    """An id of no experiment, of a deleted one, or of one with another name is refused in one line, and nothing is written."""
    client = MlflowClient(tracking_uri)
    wanted = {"unknown": "4711", "too large": "9" * 30, "no id": "mine"}.get(wrong) or client.create_experiment("mine")
    if wrong == "deleted":
        client.delete_experiment(wanted)
    if wrong == "another name":
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "yours")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", wanted)
    tracker = Tracker(tracking_uri)
    known = len(client.search_experiments())
    for call in (tracker.verify, lambda: tracker.open(study)):
        with pytest.raises(UserError, match=r"^MLFLOW_EXPERIMENT_ID: got .*$"):
            call()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert (len(experiments), client.search_runs(experiments, run_view_type=ViewType.ALL)) == (known, [])


def test_without_the_environment_it_is_the_one_of_mlflow_run(tracking_uri, study):
    """A study that is started without ``mlflow run`` is recorded in the experiment that ``mlflow run`` takes by itself."""
    tracker = Tracker(tracking_uri)
    tracker.open(study)
    assert (tracker.experiment_id, tracker.client.get_experiment("0").name) == ("0", "Default")
