"""Runs: searched over all pages of MLflow's answers, and ended if a killed process left them."""

import os
import subprocess
import sys
from dataclasses import replace

from mlflow import MlflowClient
from mlflow.entities import ViewType

from pipeline.search.processes import alive
from pipeline.tracking import Tracker
from pipeline.tracking.runs import end_abandoned, end_killed_experiments, experiment_ids


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


def test_the_run_of_a_killed_experiment_is_ended(tracking_uri, study):
    """The run of an experiment whose process has ended is KILLED; those of a living process or another machine stay RUNNING."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    marks = {
        "dead": {"process": str(ended.pid)},
        "reused": {},  # its process had the id of this one
        "living": {"process": str(os.getppid())},
        "far": {"process": str(ended.pid), "host": "elsewhere"},
    }
    kept = {name: Tracker(tracking_uri) for name in marks}
    for name, tracker in kept.items():
        tracker.open(replace(study, name=name), kind="experiment")
        tracker.set_tags(marks[name])
    kept["study"] = Tracker(tracking_uri)
    kept["study"].open(study)
    end_killed_experiments(MlflowClient(tracking_uri=tracking_uri), alive)
    statuses = {name: tracker.client.get_run(tracker.run_id).info.status for name, tracker in kept.items()}
    running = dict.fromkeys(("living", "far", "study"), "RUNNING")
    assert statuses == {"dead": "KILLED", "reused": "KILLED", **running}
