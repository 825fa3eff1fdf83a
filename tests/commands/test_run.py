"""The verb ``run``: its order, and the run of ``mlflow run`` that it records under."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main


def test_run_checks_searches_and_reports(tiny_study, tmp_path, tracking_uri, capsys):
    """``run`` prints its phases in order, then the page and, last and without long addresses, the command to look further."""
    assert main(["run", str(tiny_study), "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    phases = [word for word, _ in itertools.groupby(starts) if word in ("check", "search", "confirm", "report")]
    assert phases == ["check", "search", "confirm", "report"]
    assert starts.count("report") == 2  # a verdict for each contrast
    page = tmp_path / "reports" / "tiny" / "report.html"
    assert any(str(page) in line for line in lines)
    assert page.is_file()
    assert lines[-1] == "look at every trial: babysit ui"
    assert not [line for line in lines if "http://" in line or "mlflow ui" in line or "\x1b" in line]


FIRST_TASK = """
import sys
import pipeline.search.executor as executor
from pipeline.cli.main import main

def first_task(tasks, workers):
    print("imported:", sorted({"sklearn", "scipy.stats", "matplotlib", "mlflow"} & set(sys.modules)))
    raise SystemExit

executor._run = first_task
main(["run", "quick", "--workers", "2"])
"""


def test_the_first_trial_does_not_wait_for_libraries_that_it_does_not_need(tmp_path):
    """The checks are done by a worker; scikit-learn, SciPy's statistics and Matplotlib are imported after the first task."""
    done = subprocess.run([sys.executable, "-c", FIRST_TASK], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "imported: ['mlflow']" in done.stdout
    assert "  ok      overfit 20 examples" in done.stdout


def test_run_belongs_to_the_run_that_mlflow_opened(tiny_study, tmp_path, tracking_uri, monkeypatch):
    """Under ``mlflow run`` the trials are children of its run, which has the report; a second such run only links to it."""
    client = MlflowClient(tracking_uri=tracking_uri)
    opened = [client.create_run("0").info.run_id for _ in range(2)]
    for run_id, verb in zip(opened, ("run", "search"), strict=True):
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
        assert main([verb, str(tiny_study), "--workers", "1"]) == 0
    children = client.search_runs(["0"], "tags.kind = 'trial'", max_results=100)
    assert len(children) == 36
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {opened[0]}
    assert "report.html" in {path.path.split("/")[-1] for path in client.list_artifacts(opened[0], "report")}
    assert client.get_run(opened[1]).data.tags["study_run"] == opened[0]


PROJECT = Path(__file__).parents[2]
RUNNER = [sys.executable, "-m", "mlflow", "run", str(PROJECT), "--env-manager", "local", "-e", "search"]
SHELL = ["sh", "-c", f"MLFLOW_RUN_ID=$0 {sys.executable} -m pipeline search $1 --workers 2 & wait"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the starter is looked up in /proc")
@pytest.mark.parametrize("by_runner", [True, False])
def test_a_search_ends_with_the_runner_that_started_it(by_runner, tiny_study, tmp_path, tracking_uri):
    """After ``mlflow run`` is killed its search stops, resumable; one that a shell put in the background completes."""
    tiny_study.write_text(tiny_study.read_text().replace("trials=6", "trials=12").replace("epochs=2", "epochs=100"))
    client, journal = MlflowClient(tracking_uri=tracking_uri), tmp_path / "optuna.log"
    if by_runner:
        command = [*RUNNER, *(f"-P{name}" for name in (f"study={tiny_study}", f"storage={journal}", "workers=2"))]
    else:
        command = [*SHELL, client.create_run("0").info.run_id, str(tiny_study)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "MLFLOW_TRACKING_URI": tracking_uri}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        while not journal.is_file() or b'"op_code":4' not in journal.read_bytes():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.1)
        process.kill()
        output = process.stdout.read()  # the search holds the other end of the pipe until it ends
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'study'")
    assert ("stopped by SIGTERM" in output, run.info.status) == (by_runner, "KILLED" if by_runner else "FINISHED")
    assert main(["search", str(tiny_study), "--workers", "2"]) == 0
    trials = client.search_runs([run.info.experiment_id], "tags.kind = 'trial'", max_results=200)
    assert [len(trials), *{trial.info.status for trial in trials}] == [72, "FINISHED"]
