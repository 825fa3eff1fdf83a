"""Under fire: a search that is killed at any moment, again and again, ends as one that never was."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.search.plan import plan
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

SEED = int(os.environ.get("FAULTS_SEED", "20261122"))


def start(study_path, folder):
    """A search in a process group of its own, as a shell would start it."""
    command = [sys.executable, "-m", "pipeline", "search", str(study_path), "--workers", "2"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=folder, stdout=quiet, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def kill_while_recording(process, journal, after):
    """Kill the whole group once the record has grown ``after`` times; whether it was still alive then."""
    size = journal.stat().st_size if journal.exists() else 0
    while after and process.poll() is None:
        time.sleep(0.0005)
        now = journal.stat().st_size if journal.exists() else 0
        after, size = (after - 1, now) if now > size else (after, size)
    return kill(process)


def kill_after(process, seconds):
    """Kill the whole group after some time; whether it was still alive then."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return kill(process)


def kill(process):
    """Kill -9, main process and workers together."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


def audit(study_path, folder, tracking_uri):
    """Exactly the planned set, once each, the same in both stores, every curve whole, and nothing left RUNNING."""
    study = find_study(str(study_path), {})
    planned = {trial.key: trial for trial in plan(study)}
    recorded = OptunaStore(study, str(folder / "optuna.log")).recorded()
    assert recorded.keys() == planned.keys()
    client = MlflowClient(tracking_uri=tracking_uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    children = {
        run.info.run_id: run for run in client.search_runs(experiments, "tags.kind = 'trial'", max_results=5000)
    }
    assert Counter(trial.user_attrs["run_id"] for trial in recorded.values()) == Counter(list(children))
    for key, trial in recorded.items():
        run = children[trial.user_attrs["run_id"]]
        assert trial.number == key[2]
        assert trial.params == planned[key].point
        assert run.info.status == "FINISHED"
        assert (run.data.tags["arm"], run.data.tags["block"], run.data.tags["trial"]) == tuple(map(str, key))
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "val/accuracy")]
        assert steps == list(range(1, trial.user_attrs["epochs"] + 1))
        assert run.data.metrics["best/val_accuracy"] == trial.value
    assert not client.search_runs(experiments, "status = 'RUNNING'")
    again = [
        record
        for records in OptunaStore(study, str(folder / "optuna.log")).confirmations().values()
        for record in records
    ]
    assert len(again) == study.confirm * study.blocks * len(study.arms)
    repeated = client.search_runs(experiments, "tags.kind = 'confirmation' and status = 'FINISHED'", max_results=5000)
    assert Counter(record["run_id"] for record in again) == Counter(run.info.run_id for run in repeated)


def survive(kills, study_path, folder, tracking_uri, seed=SEED):
    """Kill a number of searches, then let one finish; the share of kills that hit one alive."""
    rng = random.Random(seed)
    journal = folder / "optuna.log"
    hits = 0
    for _ in range(kills):
        process = start(study_path, folder)
        if rng.random() < 0.3:
            hits += kill_after(process, rng.uniform(0.5, 6))
        else:
            hits += kill_while_recording(process, journal, rng.randint(1, 4))
    assert main(["search", str(study_path), "--workers", "2"]) == 0
    audit(study_path, folder, tracking_uri)
    return hits / kills


def larger(study_path, **values):
    """The tiny study with other numbers."""
    source = study_path.read_text()
    for name, value in values.items():
        before = {"blocks": "blocks=2", "epochs": "epochs=2"}[name]
        source = source.replace(before, f"{name}={value}")
    study_path.write_text(source)


def test_a_search_survives_kill_9(tiny_study, tmp_path, tracking_uri):
    """Killed twice at random moments and resumed, the study is the planned set, once each, in both stores."""
    larger(tiny_study, blocks=4)
    assert survive(2, tiny_study, tmp_path, tracking_uri) > 0


@pytest.mark.parametrize("given", [False, True])
def test_a_study_cut_short_before_its_run_was_recorded_goes_on_with_it(
    given, tiny_study, tmp_path, tracking_uri, monkeypatch
):
    """Killed between the two stores, a study finds the run that it had started in MLflow, and leaves none RUNNING."""
    client = MlflowClient(tracking_uri=tracking_uri)
    if given:  # as `mlflow run` does, each time
        experiment = client.create_experiment("given")
        monkeypatch.setenv("MLFLOW_RUN_ID", client.create_run(experiment).info.run_id)
    with monkeypatch.context() as patch:
        patch.setattr(OptunaStore, "open", lambda *_: 1 / 0)
        patch.setattr("pipeline.tracking.Tracker.finish", lambda *_: None)  # a killed process does not get to it
        assert main(["search", str(tiny_study), "--workers", "1"]) == 1
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    audit(tiny_study, tmp_path, tracking_uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments, "tags.kind = 'study'")
    assert run.info.status == "FINISHED"


def test_a_search_survives_kill_9_while_it_confirms(tiny_study, tmp_path, tracking_uri):
    """Killed once the first of its choices has been trained again, a study has all of them trained again, once each, after a rerun."""
    process, journal = start(tiny_study, tmp_path), tmp_path / "optuna.log"
    while process.poll() is None and not (journal.exists() and b'"confirmation/' in journal.read_bytes()):
        time.sleep(0.001)
    assert kill(process)
    assert main(["search", str(tiny_study), "--workers", "2"]) == 0
    audit(tiny_study, tmp_path, tracking_uri)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_a_search_survives_many_kills(seed, tiny_study, tmp_path, tracking_uri):
    """Killed at 25 random moments, of which most hit it alive, a study of 216 trials is whole and right in both stores."""
    larger(tiny_study, blocks=12, epochs=100)
    assert survive(25, tiny_study, tmp_path, tracking_uri, seed) >= 0.6


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tiny_study, tmp_path, tracking_uri):
    """When a worker is killed the search goes on with new ones, and the study is the planned set, once each."""
    larger(tiny_study, blocks=4, epochs=100)
    process = start(tiny_study, tmp_path)
    workers = []
    while not workers and process.poll() is None:
        time.sleep(0.05)
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
        )
        workers = [int(line.split()[0]) for line in listed.stdout.splitlines() if "LokyProcess" in line]
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    audit(tiny_study, tmp_path, tracking_uri)


@pytest.mark.slow
def test_a_fresh_store_is_made_once(tmp_path, tiny_study):
    """Twenty searches, each on stores that do not exist yet while its workers start, all succeed."""
    for i in range(20):
        folder = tmp_path / str(i)
        folder.mkdir()
        command = [sys.executable, "-m", "pipeline", "search", str(tiny_study), "--workers", "2", "--blocks", "1"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_lock_that_a_crash_left_is_released_in_silence(tiny_study, tmp_path, tracking_uri):
    """The journal's lock, held by nobody, keeps a search waiting for some seconds and makes it say nothing."""
    (tmp_path / "optuna.log.lock").symlink_to(tmp_path / "optuna.log")
    process = start(tiny_study, tmp_path)
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    audit(tiny_study, tmp_path, tracking_uri)
