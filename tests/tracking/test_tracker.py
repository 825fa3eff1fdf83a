"""The study's run: opened once, resumed, adopted from ``mlflow run``, and refused if it is missing."""

import logging
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from pipeline.cli.main import main
from pipeline.storage.failures import store_failure
from pipeline.study.suite import Suite
from pipeline.tracking import Tracker
from pipeline.tracking.tracker import SUITE_KIND

TRIALS = "tags.kind = 'trial'"


def runs(tracker, query="", view=ViewType.ACTIVE_ONLY):
    """Return the store's runs that match a query, by id."""
    experiments = [e.experiment_id for e in tracker.client.search_experiments()]
    return {run.info.run_id: run for run in tracker.client.search_runs(experiments, query, view)}


def refusal(call, *arguments):
    """Return the message of the ValueError that a call raises; it has one line."""
    with pytest.raises(ValueError, match=r".") as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_study_has_a_run(tracker, study):
    """The run is RUNNING, has the study's name, tags and question, and holds its declaration."""
    (run,) = runs(tracker).values()
    assert (run.info.run_id, run.info.run_name, run.info.status) == (tracker.run_id, "made_up", "RUNNING")
    expected = {"kind": "study", "study": "made_up", "study_hash": study.hash}
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.note.content"] == "**Is it written down?**"
    assert [file.path for file in tracker.client.list_artifacts(tracker.run_id)] == ["study.json"]
    assert tracker.client.get_experiment(tracker.experiment_id).name == "Default"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_recorded_run_is_resumed(status, tracker, tracking_uri, study):
    """A study that ended in any way is resumed in its run, and no second run is created."""
    tracker.finish(status)
    assert tracker.client.get_run(tracker.run_id).info.status == status
    again = Tracker(tracking_uri)
    again.open(study, tracker.run_id)
    assert again.run_id == tracker.run_id
    assert [run.info.status for run in runs(tracker).values()] == ["RUNNING"]


def test_the_run_of_mlflow_run_is_adopted(tracking_uri, study, finish, monkeypatch):
    """The run that ``mlflow run`` opened becomes the study's, with the trials below it, in the experiment of that run."""
    client = MlflowClient(tracking_uri)
    given = client.create_run(client.create_experiment("theirs"))
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    tracker = Tracker(tracking_uri)
    tracker.open(study)
    assert (tracker.run_id, tracker.pointer_run) == (given.info.run_id, None)
    (trial,) = tracker.record(study, [finish(0)])
    assert client.get_run(trial).info.experiment_id == given.info.experiment_id
    assert set(runs(tracker)) == {given.info.run_id, trial}


def test_a_second_run_points_to_the_study(tracker, tracking_uri, study, monkeypatch):
    """If the study has a run already, the run that ``mlflow run`` opened only points to it."""
    given = tracker.client.create_run(tracker.experiment_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    again = Tracker(tracking_uri)
    again.open(study, tracker.run_id)
    assert (again.run_id, again.pointer_run) == (tracker.run_id, given.info.run_id)
    tags = tracker.client.get_run(given.info.run_id).data.tags
    assert (tags["kind"], tags["study_run"]) == ("visit", tracker.run_id)
    assert tracker.run_id in tags["mlflow.note.content"]


@pytest.mark.parametrize("missing", ["0" * 32, "no id at all", "deleted"])
def test_a_missing_run_is_refused(missing, tracker, tracking_uri, study):
    """A study whose run is unknown or deleted is refused in one line with the remedy, and nothing is written."""
    if missing == "deleted":
        missing = tracker.run_id
        tracker.client.delete_run(missing)
    before = set(runs(tracker, view=ViewType.ALL))
    said = refusal(Tracker(tracking_uri).open, study, missing)
    assert f"was recorded under MLflow run {missing}, which is not at sqlite:///" in said
    assert "Give the --tracking-uri it was recorded at, restore the run" in said
    assert set(runs(tracker, view=ViewType.ALL)) == before


def test_a_foreign_run_is_not_adopted(tracking_uri, study, monkeypatch):
    """A run that ``MLFLOW_RUN_ID`` names and the store does not know is refused in one line, and nothing is written."""
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    tracker = Tracker(tracking_uri)
    assert f"MLFLOW_RUN_ID names run {'f' * 32}, which is not at" in refusal(tracker.open, study)
    assert runs(tracker, view=ViewType.ALL) == {}


def test_no_trial_goes_into_a_deleted_experiment(either, study, finish):
    """With either writer, trials are refused after their experiment was deleted, and nothing is written."""
    from mlflow.exceptions import MlflowException

    either.client.delete_experiment(either.experiment_id)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        either.record(study, [finish(0)])
    assert runs(either, TRIALS, ViewType.ALL) == {}


def test_stray_runs_are_discarded(either, study, finish):
    """Only the study's trials that no record names are deleted: no parent, no trial of another study, no recorded one."""
    known = either.record(study, [finish(0), finish(1)])
    strays = either.record(study, [finish(2), finish(3)])
    marks = {"kind": "trial", "study": study.name, "mlflow.parentRunId": either.run_id}
    half = either.client.create_run(either.experiment_id, tags=marks)
    foreign = either.client.create_run(either.experiment_id, tags={**marks, "study": "theirs"})
    other = Tracker(either.uri)
    other.open(replace(study, name="other"))
    theirs = other.record(study, [finish(0)])
    hand_made = either.client.create_run(either.experiment_id, tags={"mlflow.parentRunId": either.run_id})
    assert either.discard_unknown(known) == 3
    assert either.discard_unknown(known) == 0
    stay = {*known, *theirs, either.run_id, other.run_id, hand_made.info.run_id, foreign.info.run_id}
    assert set(runs(either)) == stay
    deleted = runs(either, view=ViewType.DELETED_ONLY)
    assert {run_id: run.info.status for run_id, run in deleted.items()} == dict.fromkeys(
        [*strays, half.info.run_id], "KILLED"
    )


@pytest.mark.parametrize(("name", "generation"), [("other", "two"), ("made_up", "two")], ids=["study", "generation"])
def test_studies_under_one_given_run_change_only_their_own_runs(
    name, generation, tracking_uri, study, finish, monkeypatch
):
    """Of two studies, or two generations of one, in one exported run, the second has a run below it; none loses a run."""
    client = MlflowClient(tracking_uri)
    given = client.create_run(client.create_experiment("outer")).info
    monkeypatch.setenv("MLFLOW_RUN_ID", given.run_id)
    first, second = Tracker(tracking_uri), Tracker(tracking_uri)
    first.open(study, generation="one")
    ours = first.record(study, [finish(0)])
    before = client.get_run(given.run_id).data.tags
    second.open(replace(study, name=name), generation=generation)
    theirs = second.record(replace(study, name=name), [finish(0)])
    parent = client.get_run(second.run_id)
    assert (first.run_id, parent.data.tags["mlflow.parentRunId"]) == (given.run_id, given.run_id)
    assert parent.info.experiment_id == given.experiment_id
    assert [first.discard_unknown(ours), second.discard_unknown(theirs)] == [0, 0]
    second.finish("FINISHED")
    again = Tracker(tracking_uri)
    again.open(replace(study, name=name), second.run_id, generation)
    found = client.get_run(given.run_id)
    assert (again.pointer_run, found.data.tags, found.info.status) == (None, before, "RUNNING")


def test_generations_below_one_run_change_only_their_own_runs(tracking_uri, study, finish):
    """A run of another generation below the same parent stays; a run without one, of an older version, is this study's."""
    tracker = Tracker(tracking_uri)
    tracker.open(study)
    old = tracker.record(study, [finish(0), finish(1)])
    tracker.generation = "other"
    (other,) = tracker.record(study, [finish(2)])
    tracker.generation = "own"
    (own,) = tracker.record(study, [finish(3)])
    assert tracker.discard_unknown(old[:1]) == 2
    assert set(runs(tracker, TRIALS)) == {old[0], other}
    assert tracker.restore_deleted([own, old[0], "0" * 32]) == (1, 1)
    assert set(runs(tracker, TRIALS)) == {old[0], other, own}


def test_the_latest_study_was_recorded_by_this_program(tracker):
    """A later run that a user tagged as a study is ignored."""
    tracker.client.create_run(tracker.experiment_id, tags={"kind": "study"})
    ours = tracker.run_id
    assert Tracker(tracker.uri).find_latest() == ours


def test_metrics_of_the_study_are_finite(tracker):
    """The report's numbers are metrics of the study's run; those that are not finite are left out."""
    tracker.log_metrics({"verdict/low": 0.25, "verdict/high": math.inf, "verdict/middle": math.nan})
    assert tracker.client.get_run(tracker.run_id).data.metrics == {"verdict/low": 0.25}


def test_metrics_are_the_ones_logged_last_whatever_the_clock_shows(tracker, monkeypatch):
    """The report's numbers replace those of an earlier report, although the clock was set back in between."""
    for now, value in ((1_700_003_600, 0.25), (1_700_000_000, 0.125)):
        monkeypatch.setattr("pipeline.tracking.tracker.time.time", lambda now=now: now)
        tracker.log_metrics({"verdict/low": value})
    assert tracker.client.get_run(tracker.run_id).data.metrics == {"verdict/low": 0.125}


def test_files_go_with_the_study(tracker, tmp_path):
    """A folder is logged with the study's run, under the name it is given."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "page.html").write_text("<p>")
    tracker.log_files(tmp_path / "out", "report")
    assert [file.path for file in tracker.client.list_artifacts(tracker.run_id, "report")] == ["report/page.html"]


def test_the_writer_is_logged(tracking_uri, caplog):
    """Opening a store logs in one line how trials will be recorded, and the tracker keeps the description."""
    with caplog.at_level(logging.INFO, logger="pipeline.tracking"):
        tracker = Tracker(tracking_uri)
    assert tracker.writer_description == "in bulk, as rows of MLflow's schema dc11669786a5"
    assert [record.getMessage() for record in caplog.records] == [
        f"MLflow at {tracking_uri}: trials are recorded {tracker.writer_description}"
    ]


def test_help_does_not_import_mlflow():
    """The command line answers ``--help`` without importing MLflow, which takes seconds."""
    script = "import sys, pipeline.cli.main as c\ntry: c.main(['--help'])\nfinally: print('mlflow' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "False"


def test_what_cannot_be_restored_is_counted(either, study, finish):
    """Of the recorded runs, deleted ones are restored, and those that the store does not have are counted."""
    deleted, kept = either.record(study, [finish(0), finish(1)])
    either.client.delete_run(deleted)
    assert either.restore_deleted([deleted, kept, "f" * 32]) == (1, 1)
    assert {deleted, kept} <= set(runs(either))


@pytest.mark.parametrize(("given", "kept"), [("grumpy-crab-123", "made_up"), ("my first try", "my first try")])
def test_a_name_that_the_user_gave_a_run_stays(given, kept, tracking_uri, study, monkeypatch):
    """A name that MLflow made up becomes the study's."""
    client = MlflowClient(tracking_uri)
    run = client.create_run(client.create_experiment("theirs"), run_name=given)
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    Tracker(tracking_uri).open(study)
    assert client.get_run(run.info.run_id).info.run_name == kept


def test_the_latest_study_is_the_one_that_started_last(tracker, tracking_uri, study):
    """The latest is found among all studies, and a trial's run is not taken for a study's."""
    later = Tracker(tracking_uri)
    later.open(replace(study, name="later"))
    tracker.client.update_run(tracker.run_id, status="RUNNING")
    assert Tracker(tracking_uri).find_latest() == later.run_id


@pytest.mark.parametrize("given", [True, False])
def test_the_run_of_a_study_is_below_that_of_its_suite(given, tracking_uri, study, monkeypatch):
    """The suite takes the run that ``mlflow run`` opened, and is found again by its name; its studies lead to it."""
    if given:
        opened = MlflowClient(tracking_uri=tracking_uri).create_run("0").info.run_id
        monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    suite = Suite(name="both", question="?", studies=(study, replace(study, name="other", dataset="iris")))
    above, below = Tracker(tracking_uri), Tracker(tracking_uri)
    assert above.find_suite("both") is None
    above.open(suite, kind=SUITE_KIND)
    assert above.find_suite("both") == above.run_id == (opened if given else above.run_id)
    below.open(study)
    alone = below.run_id
    assert given or below.suite_links() is None  # a run below the given one is below the suite already
    for run_id in (None, alone):  # a new run, and one that was recorded before
        below.open(study, run_id, suite_run=above.run_id)
        assert below.find_latest() == below.run_id
        assert below.suite_links("http://x") == above.links("http://x")


def test_ids_of_a_batch_sort_as_its_trials(tracker, study, finish):
    """Sorted by id, the runs of a batch are in the order of the plan, though all were created in one millisecond."""
    ids = tracker.record(study, [finish(number) for number in range(20)])
    assert ids == sorted(ids)


def test_a_run_that_is_deleted_during_a_search_is_reported_with_its_remedy(either, study, finish):
    """What needs the deleted run or experiment fails with a line that says to restore it."""
    either.client.delete_run(either.run_id)
    with pytest.raises(MlflowException) as deleted_run:
        either.set_tags({"verdict": "none"})
    either.client.restore_run(either.run_id)
    either.client.delete_experiment(either.experiment_id)
    with pytest.raises(MlflowException) as deleted_experiment:
        either.record(study, [finish(0)])
    for error in (deleted_run.value, deleted_experiment.value):
        assert store_failure(error).endswith("was deleted; restore it in MLflow first")


@pytest.mark.parametrize("words", [("train", "tiny.py", "--epochs", "100000"), ("lecture", "curves")])
def test_a_killed_command_is_ended_by_the_next_one(words, tiny_study, tmp_path, tracking_uri, fork):
    """After kill -9 in a ``train`` or ``lecture``, the next command ends its run as KILLED and leaves no run RUNNING."""
    child = fork(tmp_path, main, words)
    client = MlflowClient(tracking_uri)

    def statuses():
        where = [experiment.experiment_id for experiment in client.search_experiments()]
        return {run.data.tags.get("study"): run.info.status for run in client.search_runs(where)}

    name = {"train": "tiny-manual", "lecture": "lecture_curves"}[words[0]]
    while name not in statuses():
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(0.2)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert statuses() == {name: "RUNNING"}
    assert main(["search", str(tiny_study), "--workers", "1", "--trials", "1", "--quiet"]) == 0
    assert statuses() == {name: "KILLED", "tiny": "FINISHED"}
