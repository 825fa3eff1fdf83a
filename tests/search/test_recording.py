"""Recording: any number of workers and interruptions gives the same trials, each recorded completely and once."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.data import describe
from pipeline.search.plan import plan
from pipeline.search.recording import PlanOrder
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.study_lock import study_lock
from pipeline.study.loading import find_study
from pipeline.tracking import Tracker
from pipeline.trials.task import NETWORK_VERSION
from pipeline.trials.trial import FinishedTrial

TIMES = ["seconds", "run_id"]


def recorded(folder, study_path):
    """The table of the trials recorded in a folder, without the columns that differ from run to run."""
    optuna_store = OptunaStore(find_study(str(study_path), {}), str(folder / "optuna.log"))
    return optuna_store.table().drop(columns=TIMES)


def numbered_as_planned(folder, study_path):
    """Return True if Optuna numbers each trial as the plan does."""
    optuna_store = OptunaStore(find_study(str(study_path), {}), str(folder / "optuna.log"))
    return all(number == trial.number for (_, _, number), trial in optuna_store.recorded().items())


def runs(tracking_uri, **tags):
    """All runs of the store with these tags."""
    client = MlflowClient(tracking_uri=tracking_uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    query = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    return client.search_runs(experiments, query, max_results=5000)


@pytest.fixture
def searched(searched_study, tmp_path):
    """The trials of the tiny study, which one worker searched."""
    return recorded(tmp_path, searched_study)


def test_the_number_of_workers_changes_nothing(searched, tiny_study, tmp_path):
    """The same seed gives the same trials, numbers and scores with any number of workers."""
    other = str(tmp_path / "other.log")
    other_db = f"sqlite:///{tmp_path / 'other.db'}"
    (tmp_path / "other.db").write_bytes(b"")
    assert main(["search", str(tiny_study), "--workers", "3", "--storage", other, "--tracking-uri", other_db]) == 0
    optuna_store = OptunaStore(find_study(str(tiny_study), {}), other)
    assert optuna_store.table().drop(columns=TIMES).equals(searched)
    assert all(number == trial.number for (_, _, number), trial in optuna_store.recorded().items())


def test_every_trial_is_a_finished_run_and_an_optuna_trial(searched, tiny_study, tmp_path, tracking_uri):
    """Each planned trial is once in Optuna, under its number, and once in MLflow, finished, under one parent run."""
    assert len(searched) == 36
    assert not searched.duplicated(["arm", "block", "trial"]).any()
    assert numbered_as_planned(tmp_path, tiny_study)
    (parent,) = runs(tracking_uri, kind="study")
    children = runs(tracking_uri, kind="trial")
    assert Counter(run.info.status for run in children) == {"FINISHED": 36}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    optuna_store = OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log"))
    assert {run.info.run_id for run in children} == {t.user_attrs["run_id"] for t in optuna_store.recorded().values()}


def test_optuna_holds_the_curve_and_the_score(searched, tiny_study, tmp_path):
    """A trial's intermediate values are its finite validation curve; its value is the best of them or, if diverged, chance."""
    assert searched["diverged"].any()
    for trial in OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log")).recorded().values():
        curve = list(trial.intermediate_values.values())
        assert len(curve) == trial.user_attrs["epochs"]
        assert trial.value == (0.1 if trial.user_attrs["diverged"] else max(curve))


def test_arms_share_the_seeds_of_a_block(searched):
    """Trial n of a block has the same seed in every arm; another block or number has another seed."""
    per_place = searched.groupby(["block", "trial"])["seed"].nunique()
    assert (per_place == 1).all()
    assert searched["seed"].nunique() == len(per_place)


def test_a_finished_study_trains_nothing(searched, tiny_study, tmp_path, tracking_uri, capsys):
    """A rerun prints that all trials are recorded, and adds no run."""
    assert main(["search", str(tiny_study)]) == 0
    assert "nothing to train, all 36 trials are recorded" in capsys.readouterr().out
    assert recorded(tmp_path, tiny_study).equals(searched)
    assert len(runs(tracking_uri, kind="trial")) == 36
    assert len(runs(tracking_uri, kind="study")) == 1


def test_a_larger_budget_adds_the_missing_trials(searched, tiny_study, tmp_path, capsys):
    """With a larger number of trials, only the missing ones are trained; the recorded ones do not change."""
    assert main(["search", str(tiny_study), "--trials", "8", "--workers", "1"]) == 0
    assert "12 of 48 trials to train" in capsys.readouterr().out
    table = (
        OptunaStore(find_study(str(tiny_study), {"trials": 8}), str(tmp_path / "optuna.log"))
        .table()
        .drop(columns=TIMES)
    )
    assert table[table["trial"] < 6].reset_index(drop=True).equals(searched)


def test_a_changed_declaration_is_refused(searched, tiny_study, tmp_path, tracking_uri, capsys):
    """A study whose space has changed is refused with the difference and exit code 2; nothing is written."""
    before = (tmp_path / "optuna.log").read_bytes()
    tiny_study.write_text(tiny_study.read_text().replace("1e-6", "1e-5"))
    assert main(["search", str(tiny_study)]) == 2
    assert "space.l2.low was 1e-06, is 1e-05" in capsys.readouterr().err
    assert (tmp_path / "optuna.log").read_bytes() == before


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (signal.SIGTERM, signal.SIGHUP))]
)
def test_a_stopped_search_is_completed_by_a_rerun(stop, tiny_study, tmp_path, tracking_uri):
    """After Ctrl-C, SIGTERM or SIGHUP a rerun completes the plan, each trial once, and no run stays RUNNING."""
    command = [sys.executable, "-m", "pipeline", "search", str(tiny_study), "--workers", "2", "--blocks", "12"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "trials;" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + stop
    assert errors.splitlines() == [
        f"stopped by {stop.name}. What is recorded stays; the same command continues from there"
    ]
    assert [run.info.status for run in runs(tracking_uri, kind="study")] == ["KILLED"]
    done = len(recorded(tmp_path, tiny_study))
    known = OptunaStore(find_study(str(tiny_study), {"blocks": 12}), str(tmp_path / "optuna.log")).recorded()
    places = Counter(f"{arm}-b{block:02d}" for arm, block, _ in known)
    assert {name: len(x) for name, x in arm_curves(tracking_uri, "best_so_far/val_accuracy").items()} == places
    assert "RUNNING" not in {run.info.status for run in runs(tracking_uri, kind="arm")}
    assert main(["search", str(tiny_study), "--workers", "2", "--blocks", "12"]) == 0
    trials = OptunaStore(find_study(str(tiny_study), {"blocks": 12}), str(tmp_path / "optuna.log")).recorded()
    assert 0 < done <= len(trials) == 12 * 18
    assert Counter(run.info.status for run in runs(tracking_uri, kind="trial")) == {"FINISHED": 12 * 18}
    assert [run.info.status for run in runs(tracking_uri, kind="study")] == ["FINISHED"]
    assert {run.info.status for run in runs(tracking_uri, kind="arm")} == {"FINISHED"}
    assert set(map(len, arm_curves(tracking_uri, "best_so_far/val_accuracy").values())) == {6}
    assert numbered_as_planned(tmp_path, tiny_study)


def test_a_search_whose_output_is_closed_stops_with_a_message(tiny_study, tmp_path, tracking_uri):
    """When the reader of its output ends, as ``head`` does, it prints one line, ends its run, and can be resumed."""
    command = [sys.executable, "-m", "pipeline", "search", str(tiny_study), "--workers", "1", "--blocks", "4"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors.count("\n")) == (1, 1)
    assert "stopped, since the output is closed" in errors
    assert [run.info.status for run in runs(tracking_uri, kind="study")] == ["KILLED"]
    assert main(["search", str(tiny_study), "--workers", "1", "--blocks", "4"]) == 0


def arm_curves(tracking_uri, metric):
    """A metric of the arms' runs, by the run's name, and its values by step."""
    client = MlflowClient(tracking_uri=tracking_uri)
    found = {}
    for run in runs(tracking_uri, kind="arm"):
        points = client.get_metric_history(run.info.run_id, metric)
        found[run.info.run_name] = [point.value for point in sorted(points, key=lambda point: point.step)]
    return found


def test_each_arm_and_block_has_a_run_of_its_best_so_far(searched, tracking_uri):
    """A finished child of the study for each arm and block has the best validation accuracy so far, trial by trial."""
    wanted = {
        f"{arm}-b{block:02d}": rows.sort_values("trial")["best/val_accuracy"].cummax().tolist()
        for (arm, block), rows in searched.groupby(["arm", "block"])
    }
    assert arm_curves(tracking_uri, "best_so_far/val_accuracy") == wanted
    (parent,) = runs(tracking_uri, kind="study")
    arms = runs(tracking_uri, kind="arm")
    assert {(run.info.status, run.data.tags["mlflow.parentRunId"]) for run in arms} == {
        ("FINISHED", parent.info.run_id)
    }


@pytest.mark.parametrize("words", [["search"], ["report", "--no-model"]])
def test_runs_of_arms_are_made_for_a_study_that_has_none(words, searched, tiny_study, tracking_uri):
    """A study recorded before there were such runs, or whose runs were deleted, gets them from its trials."""
    client = MlflowClient(tracking_uri=tracking_uri)
    before = arm_curves(tracking_uri, "best_so_far/test_accuracy")
    for run in runs(tracking_uri, kind="arm"):
        client.delete_run(run.info.run_id)
    assert main([*words, str(tiny_study)]) == 0
    assert arm_curves(tracking_uri, "best_so_far/test_accuracy") == before


def test_the_report_adds_the_expected_accuracy_to_the_runs_of_arms(searched, tiny_study, tmp_path, tracking_uri):
    """The mean of its last values over blocks, first arm minus second, is the difference that the verdict is about."""
    for _ in range(2):
        assert main(["report", str(tiny_study), "--no-model"]) == 0
    curves = arm_curves(tracking_uri, "expected/test_accuracy")
    last = {name: curve[-1] for name, curve in curves.items()}
    gains = [last[f"random-b0{block}"] - last[f"shifted_grid-b0{block}"] for block in (0, 1)]
    (parent,) = runs(tracking_uri, kind="study")
    metrics = parent.data.metrics
    assert sum(gains) / 2 == pytest.approx(metrics["report/random-shifted_grid/difference"], abs=1e-9)
    spread = arm_curves(tracking_uri, "spread/val_accuracy")
    assert {len(curve) for curve in spread.values()} == {101}
    assert all(curve == sorted(curve) for curve in spread.values())


def test_the_stores_are_reconciled_before_a_search(searched, tiny_study, tmp_path, tracking_uri, capsys):
    """A run that no trial names, as after a crash, is discarded; a deleted run of a trial is restored; both are printed."""
    client = MlflowClient(tracking_uri=tracking_uri)
    (parent,) = runs(tracking_uri, kind="study")
    tags = {"mlflow.parentRunId": parent.info.run_id, "kind": "trial", "study": "tiny"}
    stray = client.create_run(parent.info.experiment_id, start_time=int(time.time() * 1000), tags=tags)
    for run in runs(tracking_uri, kind="trial", arm="grid", block=1):
        client.delete_run(run.info.run_id)
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    assert "1 half-recorded runs discarded, 6 deleted runs of recorded trials restored" in capsys.readouterr().out
    children = runs(tracking_uri, kind="trial")
    assert stray.info.run_id not in {run.info.run_id for run in children}
    assert Counter(run.info.status for run in children) == {"FINISHED": 36}


def test_new_records_under_another_name(searched, tiny_study, tmp_path, tracking_uri, capsys):
    """A changed study searched with --new is recorded under a new name, and later searches continue that one."""
    tiny_study.write_text(tiny_study.read_text().replace("1e-6", "1e-5"))
    assert main(["search", str(tiny_study), "--new", "--workers", "1"]) == 0
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    assert "nothing to train" in capsys.readouterr().out
    optuna_store = OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log"))
    assert optuna_store.study.name == "tiny-2"
    assert optuna_store.study_names == ["tiny", "tiny-2"]
    assert Counter(run.data.tags["study"] for run in runs(tracking_uri, kind="trial")) == {"tiny": 36, "tiny-2": 36}


def test_two_searches_at_once_are_refused(searched, tiny_study, tmp_path, tracking_uri, capsys):
    """While one process records to a study, a second is refused with exit code 2, and records nothing."""
    with study_lock(str(tmp_path / "optuna.log"), "tiny"):
        assert main(["search", str(tiny_study), "--trials", "7"]) == 2
    assert f"study 'tiny': process {os.getpid()} is recording it" in capsys.readouterr().err
    assert len(recorded(tmp_path, tiny_study)) == 36


@pytest.mark.parametrize(("verb", "name"), [("report", "tiny"), ("train", "tiny-manual")])
def test_every_verb_that_writes_needs_the_lock(verb, name, searched, tiny_study, tmp_path, tracking_uri, capsys):
    """A report and a manual trial are refused while another process records to the study, whose run does not change."""
    (parent,) = runs(tracking_uri, kind="study")
    MlflowClient(tracking_uri=tracking_uri).update_run(parent.info.run_id, status="RUNNING")
    with study_lock(str(tmp_path / "optuna.log"), name):
        assert main([verb, str(tiny_study)]) == 2
    assert f"study {name!r}: process {os.getpid()} is recording it" in capsys.readouterr().err
    assert [run.info.status for run in runs(tracking_uri, kind="study")] == ["RUNNING"]


@pytest.mark.slow
def test_two_studies_may_start_at_once_in_a_new_folder(tiny_source, tmp_path):
    """Two commands that create the same stores for different studies both succeed, twice in a row."""
    for turn in ("a", "b"):
        folder = tmp_path / turn
        folder.mkdir()
        for name in ("one", "two"):
            (folder / f"{name}.py").write_text(tiny_source.replace('"tiny"', f'"{name}"'))
        commands = [
            [sys.executable, "-m", "pipeline", "search", f"{name}.py", "--workers", "1"] for name in ("one", "two")
        ]
        started = [subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) for command in commands]
        assert [(process.communicate(timeout=120)[1], process.returncode) for process in started] == [("", 0)] * 2
        assert Counter(run.data.tags["study"] for run in runs(f"sqlite:///{folder / 'mlflow.db'}", kind="trial")) == {
            "one": 36,
            "two": 36,
        }


def test_a_study_that_is_killed_while_it_is_checked_leaves_no_run(tiny_study, tmp_path, tracking_uri, monkeypatch):
    """The study's run starts after the checks, so a process that ends during them leaves none."""
    monkeypatch.setattr("pipeline.checks.all_checks.check", lambda _: sys.exit(9))
    with pytest.raises(SystemExit):
        main(["run", str(tiny_study), "--workers", "1"])  # which checks in this process
    assert runs(tracking_uri, kind="study") == []


def test_a_study_named_like_a_new_one_stays_separate(tiny_study, tmp_path, tracking_uri, capsys):
    """A study named like another with -2 appended stays separate, though both give the same numbers."""
    source = tiny_study.read_text()
    other = tmp_path / "other.py"
    other.write_text(
        source.replace('"tiny"', '"tiny-2"').replace(
            '(Arm("random"), Arm("shifted_grid"), Arm("grid"))', '(Arm("random"), Arm("sobol"))'
        )
    )
    for path, message in [
        (other, "24 of 24"),
        (tiny_study, "36 of 36"),
        (tiny_study, "nothing to train"),
        (other, "nothing to train"),
    ]:
        assert main(["search", str(path), "--workers", "1"]) == 0
        assert message in capsys.readouterr().out
    assert main(["search", str(tiny_study), "--workers", "1", "--new"]) == 0
    assert Counter(run.data.tags["study"] for run in runs(tracking_uri, kind="trial")) == {
        "tiny": 36,
        "tiny-2": 24,
        "tiny-3": 36,
    }


def test_a_link_in_place_of_the_lock_is_not_followed(searched, tiny_study, tmp_path, capsys):
    """A symbolic link in place of the lock is refused by name, and its target does not change."""
    other, lock = tmp_path / "other.txt", tmp_path / "optuna.log.tiny.owner"
    other.write_text("precious")
    assert not lock.exists()
    lock.symlink_to(other)
    assert main(["search", str(tiny_study), "--trials", "7"]) == 2
    assert f"{lock.name}: the lock cannot be opened" in capsys.readouterr().err
    assert other.read_text() == "precious"


def test_recorded_files_respect_the_umask(tiny_study, tmp_path, tracking_uri):
    """With a umask of 077, other users can read nothing that a search writes."""
    before = set(tmp_path.rglob("*"))
    old = os.umask(0o077)
    try:
        assert main(["search", str(tiny_study), "--workers", "2"]) == 0
    finally:
        os.umask(old)
    written = set(tmp_path.rglob("*")) - before
    assert {"optuna.log", "artifacts"} <= {path.name for path in written}
    assert [path for path in written if path.stat().st_mode & 0o077] == []


def test_another_version_of_the_network_is_refused(searched, tiny_study, monkeypatch, capsys):
    """A study recorded by another version of the network is refused; --new starts it again."""
    monkeypatch.setattr("pipeline.commands.job.NETWORK_VERSION", 10**6)
    assert main(["search", str(tiny_study), "--trials", "7"]) == 2
    assert f"network_version was {NETWORK_VERSION}, is 1000000" in capsys.readouterr().err


def test_other_data_under_the_same_name_is_refused(searched, tiny_study, monkeypatch, capsys):
    """A study whose data have changed since it was recorded is refused: the scores would not be comparable."""
    other = replace(describe("digits"), sha256="0" * 64)
    monkeypatch.setattr("pipeline.commands.job.describe", lambda _: other)
    assert main(["search", str(tiny_study), "--trials", "7"]) == 2
    assert "data_sha256 was" in capsys.readouterr().err


def test_adaptive_arms_resume_as_if_never_stopped(tiny_study, tmp_path, tracking_uri):
    """An adaptive arm searched in two parts by two workers has the same trials as one searched at once by one worker."""
    source = tiny_study.read_text()
    tiny_study.write_text(
        source.replace('Arm("shifted_grid"), Arm("grid")', 'Arm("tpe", arguments={"n_startup_trials": 3})')
    )
    whole = str(tmp_path / "whole.log")
    (tmp_path / "whole").mkdir()
    assert main(["search", str(tiny_study), "--workers", "2", "--trials", "4"]) == 0
    assert main(["search", str(tiny_study), "--workers", "2", "--trials", "10"]) == 0
    assert main(["search", str(tiny_study), "--workers", "1", "--trials", "10", "--storage", whole]) == 0
    study = find_study(str(tiny_study), {"trials": 10})
    tables = [OptunaStore(study, path).table().drop(columns=TIMES) for path in (str(tmp_path / "optuna.log"), whole)]
    assert len(tables[0]) == 40
    assert tables[0].equals(tables[1])
    curves = arm_curves(tracking_uri, "best_so_far/val_accuracy")
    assert {name: len(curve) for name, curve in curves.items() if "tpe" in name} == {"tpe-b00": 10, "tpe-b01": 10}


@pytest.mark.parametrize("words", [["report", "--no-model"], ["train"]])
def test_every_verb_repairs_a_torn_journal(words, searched, tiny_study, tmp_path):
    """After a crash cut off a line, every verb can read and extend the journal, and all recorded trials remain."""
    with (tmp_path / "optuna.log").open("a") as journal:
        journal.write('{"op_code": 5, "worker_id": "x", "study_id": 0, "st')
    assert main([*words, str(tiny_study)]) == 0
    assert recorded(tmp_path, tiny_study).equals(searched)


def test_a_trial_of_a_torn_line_is_trained_again(searched, tiny_study, tmp_path):
    """A journal cut in the middle of a line loses that trial, which is trained again to the same numbers."""
    journal = tmp_path / "optuna.log"
    journal.write_bytes(journal.read_bytes()[:-100])
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    assert recorded(tmp_path, tiny_study).equals(searched)


@pytest.mark.parametrize("kind", ["trial", "confirmation"])
def test_a_signal_waits_until_both_stores_are_written(kind, tiny_study, tmp_path, tracking_uri, monkeypatch):
    """Ctrl-C between the two writes of a batch leaves no run that the Optuna store does not know."""
    record = Tracker.record

    def interrupted(tracker, study, trials):
        run_ids = record(tracker, study, trials)
        if trials[0].plan.kind == kind:
            signal.raise_signal(signal.SIGINT)
        return run_ids

    monkeypatch.setattr(Tracker, "record", interrupted)
    assert main(["search", str(tiny_study), "--workers", "1"]) == 130
    optuna_store = OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log"))
    known = {
        "trial": {trial.user_attrs["run_id"] for trial in optuna_store.recorded().values()},
        "confirmation": {record["run_id"] for records in optuna_store.confirmations().values() for record in records},
    }
    assert known[kind]
    assert {run.info.run_id for run in runs(tracking_uri, kind=kind)} == known[kind]


def test_runs_created_twice_by_a_repeated_request_are_discarded(tiny_study, tracking_uri, monkeypatch):
    """Where requests may be sent again, only the runs that no trial names are discarded at the end."""
    record = Tracker.record

    def twice(tracker, study, trials):
        record(tracker, study, trials)
        return record(tracker, study, trials)

    monkeypatch.setattr(Tracker, "record", twice)
    monkeypatch.setattr(Tracker, "is_server", True)
    tiny_study.write_text(tiny_study.read_text().replace("blocks=2", "blocks=1,\n    confirm=0"))
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    assert len(runs(tracking_uri, kind="trial")) == 18


def test_trials_are_released_in_the_order_of_the_plan(tiny_study):
    """In whatever order trials are pending and finish, those of an arm and block are released by number, each once."""
    study = find_study(str(tiny_study), {})
    trials = [trial for trial in plan(study) if trial.key[:2] == ("random", 0)][:4]
    finished = {trial.number: FinishedTrial(trial, None) for trial in trials}
    plan_order = PlanOrder([trials[2], trials[0], trials[3], trials[1]])
    released = [plan_order.release([finished[n] for n in numbers]) for numbers in ((3, 1), (0,), (2,))]
    assert [[trial.plan.number for trial in part] for part in released] == [[], [0, 1], [2, 3]]
