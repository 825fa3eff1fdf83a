"""The choice of the writer: MLflow's client writes wherever the SQL writer is not tested."""

from pipeline.tracking import Tracker
from pipeline.tracking.client_writer import ClientWriter


def test_an_unknown_schema_goes_through_the_client(tracking_uri, study, finish, monkeypatch):
    """A schema that the SQL writer is not tested on is written by MLflow's client, and the description says why."""
    monkeypatch.setattr("pipeline.tracking.sql_writer.TESTED", {"0123456789ab": "9.9.9"})
    tracker = Tracker(tracking_uri)
    assert tracker.writer_description == "one by one, by MLflow's client: schema dc11669786a5 is not known"
    assert isinstance(tracker.writer, ClientWriter)
    tracker.open(study)
    (run_id,) = tracker.record(study, [finish(0)])
    assert tracker.client.get_run(run_id).info.status == "FINISHED"


def test_an_untested_mlflow_goes_through_the_client(tracking_uri, monkeypatch):
    """A version of MLflow that the SQL writer is not tested with uses the client, although its schema is a tested one."""
    monkeypatch.setattr("mlflow.__version__", "3.99.0")
    tracker = Tracker(tracking_uri)
    assert tracker.writer_description == "one by one, by MLflow's client: MLflow 3.99.0 is not known"
    assert isinstance(tracker.writer, ClientWriter)


def test_an_unknown_database_goes_through_the_client(tracking_uri, monkeypatch):
    """A database that the SQL writer is not tested on is written by the client."""
    monkeypatch.setattr("pipeline.tracking.sql_writer.DIALECTS", ("postgresql",))
    assert Tracker(tracking_uri).writer_description == "one by one, by MLflow's client: it is not tested on sqlite"


def test_workspaces_go_through_the_client(tracking_uri, study, finish, monkeypatch):
    """A store with workspaces is written by the client: more than the rows may decide what it shows."""
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    monkeypatch.setenv("MLFLOW_WORKSPACE", "default")
    tracker = Tracker(tracking_uri)
    assert (
        tracker.writer_description
        == "one by one, by MLflow's client: WorkspaceAwareSqlAlchemyStore is no plain database"
    )
    tracker.open(study)
    assert len(tracker.record(study, [finish(0)])) == 1
