"""Runs: searched over all pages of MLflow's answers, and ended if a killed process left them."""

from dataclasses import replace

from mlflow.entities import ViewType

from pipeline.tracking import Tracker
from pipeline.tracking.runs import end_abandoned, experiment_ids


def test_stray_runs_are_found_on_all_pages(tracker, study, finish, monkeypatch):
    """All stray runs are found in a store that answers two runs at a time."""
    search = tracker.client.search_runs
    monkeypatch.setattr(tracker.client, "search_runs", lambda *a, **k: search(*a, **{**k, "max_results": 2}))
    known, *_ = tracker.record(study, [finish(number) for number in range(5)])
    assert tracker.discard_unknown([known]) == 4


def test_a_killed_run_of_the_study_is_ended(tracking_uri, study, finish):
    """Runs of the study and generation that are RUNNING are KILLED, with half a trial below them; others stay RUNNING."""
    trackers = {}
    for name, generation in (("made_up", "own"), ("made_up", "other"), ("another", "own")):
        trackers[name, generation] = tracker = Tracker(tracking_uri)
        tracker.open(replace(study, name=name), None, generation if name == "made_up" else "")
    own = trackers["made_up", "own"]
    (whole,) = own.record(study, [finish(0)])
    marks = {"kind": "trial", "study": study.name, "mlflow.parentRunId": own.run_id}
    half = own.client.create_run(own.experiment_id, tags=marks).info.run_id
    end_abandoned(own.client, "made_up", "own")
    search, everywhere = own.client.search_runs, experiment_ids(own.client)
    found = {run.info.run_id: run.info.status for run in search(everywhere, "", ViewType.ALL)}
    running = {tracker.run_id: "RUNNING" for key, tracker in trackers.items() if key != ("made_up", "own")}
    assert found == {own.run_id: "KILLED", half: "KILLED", whole: "FINISHED", **running}
    assert [run.info.run_id for run in search(everywhere, "", ViewType.DELETED_ONLY)] == [half]
