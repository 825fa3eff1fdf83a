"""The study's own run: opened once, gone on with, adopted from ``mlflow run``, and refused where it is missing."""

import logging
import math
import subprocess
import sys
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from pipeline.storage.opening import store_failure
from pipeline.tracking import Tracker, ui_of

TRIALS = "tags.kind = 'trial'"


def runs(tracker, query="", view=ViewType.ACTIVE_ONLY):
    """The store's runs that answer a query, by their ids."""
    experiments = [e.experiment_id for e in tracker.client.search_experiments()]
    return {run.info.run_id: run for run in tracker.client.search_runs(experiments, query, view)}


def refusal(call, *arguments):
    """The one line that a ValueError says."""
    with pytest.raises(ValueError, match=r".") as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_study_has_a_run(tracker, study):
    """It is RUNNING, named and tagged as the study, describes it, and holds its declaration."""
    (run,) = runs(tracker).values()
    assert (run.info.run_id, run.info.run_name, run.info.status) == (tracker.run_id, "made_up", "RUNNING")
    expected = {"kind": "study", "study": "made_up", "study_hash": study.hash}
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags["mlflow.note.content"] == "**Is it written down?**"
    assert [file.path for file in tracker.client.list_artifacts(tracker.run_id)] == ["study.json"]
    assert tracker.client.get_experiment(tracker.experiment_id).name == "babysit"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_known_run_is_gone_on_with(status, tracker, tracking_uri, study):
    """A study that ended in any way goes on in the run that it had: no second one is made."""
    tracker.finish(status)
    assert tracker.client.get_run(tracker.run_id).info.status == status
    again = Tracker(tracking_uri)
    again.open(study, tracker.run_id)
    assert again.run_id == tracker.run_id
    assert [run.info.status for run in runs(tracker).values()] == ["RUNNING"]


def test_the_run_of_mlflow_run_is_adopted(tracking_uri, study, finish, monkeypatch):
    """The run that ``mlflow run`` opened becomes the study's, with the trials below it, in its own experiment."""
    client = MlflowClient(tracking_uri)
    given = client.create_run(client.create_experiment("theirs"))
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    tracker = Tracker(tracking_uri)
    tracker.open(study)
    assert (tracker.run_id, tracker.visitor) == (given.info.run_id, None)
    (trial,) = tracker.record(study, [finish(0)])
    assert client.get_run(trial).info.experiment_id == given.info.experiment_id
    assert set(runs(tracker)) == {given.info.run_id, trial}


def test_a_visitor_points_to_the_study(tracker, tracking_uri, study, monkeypatch):
    """Where the study has a run already, the one that ``mlflow run`` opened only says where to look."""
    given = tracker.client.create_run(tracker.experiment_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    again = Tracker(tracking_uri)
    again.open(study, tracker.run_id)
    assert (again.run_id, again.visitor) == (tracker.run_id, given.info.run_id)
    tags = tracker.client.get_run(given.info.run_id).data.tags
    assert (tags["kind"], tags["study_run"]) == ("visit", tracker.run_id)
    assert tracker.run_id in tags["mlflow.note.content"]


@pytest.mark.parametrize("missing", ["0" * 32, "no id at all", "deleted"])
def test_a_missing_run_is_refused(missing, tracker, tracking_uri, study):
    """A study whose run is unknown or deleted is refused in one line that says what to do, and nothing is written."""
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


def test_a_deleted_experiment_is_refused(tracking_uri, study, monkeypatch):
    """An experiment that was deleted in MLflow is refused by its name, in one line."""
    tracker = Tracker(tracking_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    tracker.client.delete_experiment(tracker.client.create_experiment("mine"))
    assert "experiment 'mine' is deleted; restore it" in refusal(tracker.open, study)


def test_no_trial_goes_into_a_deleted_experiment(either, study, finish):
    """By either route, trials are refused once their experiment is deleted, and nothing is written."""
    from mlflow.exceptions import MlflowException

    either.client.delete_experiment(either.experiment_id)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        either.record(study, [finish(0)])
    assert runs(either, TRIALS, ViewType.ALL) == {}


def test_stray_runs_are_discarded(either, study, finish):
    """Exactly the study's own trials that no record names are deleted: no parent, no other study's, no known one."""
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
def test_studies_under_one_given_run_keep_to_their_own(name, generation, tracking_uri, study, finish, monkeypatch):
    """Of two studies, or two generations of one, under one exported run, the second has a run below it; none loses a run."""
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
    assert (again.visitor, found.data.tags, found.info.status) == (None, before, "RUNNING")


def test_generations_below_one_run_keep_to_their_own(tracking_uri, study, finish):
    """A run of another generation below the same parent stays; one without, of an older version, is this study's."""
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


def test_a_killed_run_of_its_own_is_ended(tracking_uri, study, finish):
    """Runs of the study and generation that are RUNNING are KILLED, with half a trial below them; others' stay RUNNING."""
    trackers = {}
    for name, generation in (("made_up", "own"), ("made_up", "other"), ("another", "own")):
        trackers[name, generation] = tracker = Tracker(tracking_uri)
        tracker.open(replace(study, name=name), None, generation if name == "made_up" else "")
    own = trackers["made_up", "own"]
    (whole,) = own.record(study, [finish(0)])
    marks = {"kind": "trial", "study": study.name, "mlflow.parentRunId": own.run_id}
    half = own.client.create_run(own.experiment_id, tags=marks).info.run_id
    Tracker(tracking_uri).end_abandoned("made_up", "own")
    found = {run_id: run.info.status for run_id, run in runs(own, view=ViewType.ALL).items()}
    running = {tracker.run_id: "RUNNING" for key, tracker in trackers.items() if key != ("made_up", "own")}
    assert found == {own.run_id: "KILLED", half: "KILLED", whole: "FINISHED", **running}
    assert set(runs(own, view=ViewType.DELETED_ONLY)) == {half}


def test_the_environment_names_the_experiment(tracking_uri, study, monkeypatch):
    """``MLFLOW_EXPERIMENT_ID`` is where a new run goes, with or without its name beside it; then comes the name alone."""
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
    """An experiment that is not there, is deleted, or is not the one that is named beside it is refused in one line."""
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
        assert refusal(call).startswith("MLFLOW_EXPERIMENT_ID: got ")
    assert (len(client.search_experiments()), runs(tracker, view=ViewType.ALL)) == (known, {})


def test_the_latest_study_is_one_of_ours(tracker):
    """A later run that somebody else tagged as a study is not taken for one."""
    tracker.client.create_run(tracker.experiment_id, tags={"kind": "study"})
    ours = tracker.run_id
    assert Tracker(tracker.uri).find_latest() == ours


def test_metrics_of_the_study_are_finite(tracker):
    """The report's numbers are the study run's metrics; those that are none are left out."""
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


def test_the_link_shows_the_trials(tracker, study, finish):
    """Its filter and its order are ones that MLflow answers: the study's trials, the best first."""
    ids = tracker.record(study, [finish(number) for number in (2, 0, 1)])
    parts = urlsplit(tracker.links(ui_of(tracker.uri)).charts)
    assert (parts.scheme, parts.netloc) == ("http", "127.0.0.1:5000")
    path, query = parts.fragment.split("?")
    assert path == f"/experiments/{tracker.experiment_id}/runs"
    asked = {key: value for key, (value,) in parse_qs(query).items()}
    assert (asked["workflowType"], asked["compareRunsMode"]) == ("machine_learning", "CHART")
    order = f"{asked['orderByKey']} {'ASC' if asked['orderByAsc'] == 'true' else 'DESC'}"
    found = tracker.client.search_runs([tracker.experiment_id], asked["searchFilter"], order_by=[order])
    assert [run.info.run_id for run in found] == [ids[1], ids[2], ids[0]]


def test_the_link_leads_to_the_server(tracker):
    """It starts with the server it is given; that of a tracking server is its address, without its password."""
    assert tracker.links("http://host:1").charts.startswith("http://host:1/#/experiments/")
    assert ui_of("https://me:secret@mlflow.example/") == "https://me:***@mlflow.example"


def test_the_route_is_told(tracking_uri, caplog):
    """Opening a store says in one line how trials will be recorded, and the tracker keeps the words."""
    with caplog.at_level(logging.INFO, logger="pipeline.tracking"):
        tracker = Tracker(tracking_uri)
    assert tracker.route == "in bulk, as rows of MLflow's schema dc11669786a5"
    assert [record.getMessage() for record in caplog.records] == [
        f"MLflow at {tracking_uri}: trials are recorded {tracker.route}"
    ]


def test_help_leaves_mlflow_alone():
    """The command line answers ``--help`` without importing MLflow, which takes seconds."""
    script = "import sys, pipeline.cli.main as c\ntry: c.main(['--help'])\nfinally: print('mlflow' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "False"


def test_all_strays_are_found_page_by_page(tracker, study, finish, monkeypatch):
    """A store that answers two runs at a time hides none of them."""
    search = tracker.client.search_runs
    monkeypatch.setattr(tracker.client, "search_runs", lambda *a, **k: search(*a, **{**k, "max_results": 2}))
    known, *_ = tracker.record(study, [finish(number) for number in range(5)])
    assert tracker.discard_unknown([known]) == 4


def test_what_cannot_be_restored_is_counted(either, study, finish):
    """Of the runs that a record names, deleted ones come back and those that the store never had are gone."""
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
    """It is found among all studies, and no trial is taken for one."""
    later = Tracker(tracking_uri)
    later.open(replace(study, name="later"))
    tracker.client.update_run(tracker.run_id, status="RUNNING")
    assert Tracker(tracking_uri).find_latest() == later.run_id


def test_ids_of_a_batch_sort_as_its_trials(tracker, study, finish):
    """Whoever sorts runs by id has them in the order of the plan, though all are made in the same millisecond."""
    ids = tracker.record(study, [finish(number) for number in range(20)])
    assert ids == sorted(ids)


def test_a_run_that_is_deleted_in_mid_search_is_told_with_its_remedy(either, study, finish):
    """Whatever needs the deleted run or experiment fails with a line that says to restore it."""
    either.client.delete_run(either.run_id)
    with pytest.raises(MlflowException) as deleted_run:
        either.set_tags({"verdict": "none"})
    either.client.restore_run(either.run_id)
    either.client.delete_experiment(either.experiment_id)
    with pytest.raises(MlflowException) as deleted_experiment:
        either.record(study, [finish(0)])
    for error in (deleted_run.value, deleted_experiment.value):
        assert store_failure(error).endswith("was deleted; restore it in MLflow first")
