"""A suite: every verb takes it, its studies stay studies, and it is gone on with wherever it was stopped."""

import html
import json
import re
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_declared

SOURCE = """
from pipeline import Arm, Float, SearchSpace, Study, Suite, TrainConfig

SPACE = SearchSpace(learning_rate=Float(1e-2, 1, log=True, levels=2), l2=Float(1e-6, 1e-2, log=True, levels=2))
SUITE = Suite(
    name="tables",
    question="Is random search better on tables?",
    studies=tuple(
        Study(
            name=f"on_{data}",
            question=f"And on {data}?",
            dataset=data,
            space=SPACE,
            config=TrainConfig(epochs=2, batch_size=32),
            blocks=3,
            confirm=0,
        )
        for data in ("breast_cancer", "wine", "iris")
    ),
)
"""
SMALLEST_FIRST = ["on_iris", "on_wine", "on_breast_cancer"]


@pytest.fixture
def suite_file(tracking_uri, tmp_path):
    """The file of a suite of three small studies, next to a fresh store."""
    path = tmp_path / "tables.py"
    path.write_text(SOURCE)
    return path


def records(path, storage="optuna.log"):
    """The recorded trials of each study, without what differs from run to run."""
    suite = find_declared(str(path), {})
    tables = {study.name: OptunaStore(study, storage).table() for study in suite.studies}
    return {name: table.drop(columns=["seconds", "run_id"], errors="ignore").to_csv() for name, table in tables.items()}


def test_a_run_ends_in_a_verdict_over_data_sets(suite_file, tmp_path, tracking_uri, capsys):
    """The smallest study comes first; each has its report, and the suite a page, numbers, and a run with theirs below it."""
    assert main(["run", str(suite_file), "--workers", "1", "--no-model", "--skip-checks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    pages = [line for line in lines if line.startswith("page: ")]
    reports = tmp_path / "reports"
    assert pages == [f"page: {reports / name / 'report.html'}" for name in (*SMALLEST_FIRST, "tables")]
    assert [line for line in lines if line.startswith("suite: ")][-1].partition("data sets")[1]
    verdict = json.loads((reports / "tables" / "verdict.json").read_text())
    (contrast,) = verdict["contrasts"]
    assert contrast["arms"] == ["random", "grid"]
    assert [found["study"] for found in contrast["sets"]] == SMALLEST_FIRST[::-1]
    for found in contrast["sets"]:
        own = json.loads((reports / found["study"] / "verdict.json").read_text())
        assert found["difference"]["estimate"] == pytest.approx(own["metrics"]["report/difference"])
    client = MlflowClient(tracking_uri=tracking_uri)
    (suite_run,) = client.search_runs(["0"], "tags.kind = 'suite'")
    studies = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{suite_run.info.run_id}'")
    assert sorted(run.info.run_name for run in studies) == sorted(SMALLEST_FIRST)
    assert {run.info.status for run in (suite_run, *studies)} == {"FINISHED"}
    assert suite_run.data.tags["report/verdict"] == contrast["sentence"]
    assert suite_run.data.metrics["report/difference"] == pytest.approx(contrast["difference"]["estimate"])
    assert "report/report.html" in {file.path for file in client.list_artifacts(suite_run.info.run_id, "report")}

    page = (reports / "tables" / "report.html").read_text()
    assert all(f'href="../{name}/report.html"' in page for name in SMALLEST_FIRST)


def test_a_study_of_a_suite_is_run_alone_and_then_within_it(suite_file, tracking_uri, capsys):
    """``SUITE/STUDY`` names one study; the suite takes its trials over, and its run becomes a child of the suite's."""
    for flags in ([], ["--new"]):  # it is then recorded as on_wine-2
        assert main(["search", f"{suite_file}/on_wine", "--workers", "1", *flags]) == 0
    alone = capsys.readouterr().out
    assert "suite:" not in alone
    assert main(["report", str(suite_file), "--no-model"]) == 0
    printed = capsys.readouterr().out
    assert "suite: not recorded yet, and left out: on_breast_cancer and on_iris" in printed
    assert (
        "suite: Too few data sets: a verdict over data sets needs 3 whose studies count, and 1 study counts" in printed
    )
    assert main(["search", str(suite_file), "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "search: nothing to train, all 24 trials are recorded" in printed
    assert printed.count("of 24 trials to train") == 2
    client = MlflowClient(tracking_uri=tracking_uri)
    (suite_run,) = client.search_runs(["0"], "tags.kind = 'suite'")
    children = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{suite_run.info.run_id}'")
    assert sorted(run.info.run_name for run in children) == ["on_breast_cancer", "on_iris", "on_wine-2"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["train"], "is a suite; expected one study. Give one of"),
        (["refine"], "is a suite; expected one study. Give one of"),
        (["run", "--new"], "--new: .* is a suite"),
        (["report"], "no study is recorded at"),
    ],
)
def test_what_a_suite_cannot_do_is_refused(words, reason, suite_file, tmp_path, capfd):
    """A verb that takes one study names those of the suite; nothing is written."""
    assert main([words[0], str(suite_file), *words[1:]]) == 2
    assert re.search(reason, capfd.readouterr().err)
    assert not (tmp_path / "optuna.log").exists()


def test_an_error_in_one_study_comes_before_any_is_trained(suite_file, tmp_path, capfd):
    """A data set that is missing is named, and no study of the suite is started."""
    suite_file.write_text(
        SOURCE.replace('"iris")', '"absent.csv:y")').replace('f"on_{data}"', "f\"on_{data.split('.')[0]}\"")
    )
    assert main(["run", str(suite_file)]) == 2
    assert "absent.csv" in capfd.readouterr().err
    assert not (tmp_path / "optuna.log").exists()


HOLDER = """
import sys
from pipeline.storage.study_lock import study_lock

with study_lock(*sys.argv[1:]):
    print(flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["tables", "on_wine"])
def test_two_processes_at_one_suite_are_refused(name, suite_file, capfd, tmp_path):
    """While another process has the suite, or one of its studies, nothing is trained."""
    assert main(["search", f"{suite_file}/on_iris", "--workers", "1", "--blocks", "1"]) == 0
    before = records(suite_file)
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "optuna.log"), name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert main(["run", str(suite_file), "--workers", "1"]) == 2
        process.communicate()
    assert f"'{name}': process {process.pid} is recording it" in capfd.readouterr().err
    assert records(suite_file) == before


@pytest.mark.slow
def test_a_study_that_fails_does_not_stop_the_others(suite_file, tmp_path, tracking_uri, capsys):
    """The verdict is over the others, whose trials are those of another number of workers, and says which is missing and why."""
    source = SOURCE.replace('"iris")', '"iris", "rectangles-600")').replace(
        'f"on_{data}"', "f\"on_{data.split('-')[0]}\""
    )
    source = source.replace("import Arm,", "import Arm, HyperParams,")
    suite_file.write_text(
        source.replace("confirm=0,", 'confirm=0, fixed=HyperParams(init="zeros" if data == "wine" else "he"),')
    )
    assert main(["run", str(suite_file), "--workers", "2", "--no-model"]) == 1
    printed, error = capsys.readouterr()
    reason = "check 'overfit 20 examples' failed: overfitted at no learning rate"
    assert f"suite: on_wine failed, and the others continue: {reason}" in printed
    assert f"suite 'tables': 1 of 4 studies failed. on_wine: {reason}" in error
    verdict = json.loads((tmp_path / "reports" / "tables" / "verdict.json").read_text())
    assert verdict["recorded"] == ["on_breast_cancer", "on_iris", "on_rectangles"]
    assert verdict["contrasts"][0]["label"] != "too few data sets"
    assert list(verdict["missing"]) == ["on_wine"]
    page = html.unescape((tmp_path / "reports" / "tables" / "report.html").read_text())
    assert f"Missing from the verdict: on_wine ({reason}" in page
    client = MlflowClient(tracking_uri=tracking_uri)
    (suite_run,) = client.search_runs(["0"], "tags.kind = 'suite'")
    studies = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{suite_run.info.run_id}'")
    assert {run.info.run_name: run.info.status for run in (suite_run, *studies)} == {
        "tables": "FAILED", "on_wine": "FAILED", "on_iris": "FINISHED", "on_breast_cancer": "FINISHED", "on_rectangles": "FINISHED",
    }  # fmt: skip
    alone = [f"--storage={tmp_path / 'alone.log'}", f"--tracking-uri=sqlite:///{tmp_path / 'alone.db'}"]
    assert main(["search", str(suite_file), "--workers", "1", *alone]) == 0
    ours, theirs = records(suite_file), records(suite_file, str(tmp_path / "alone.log"))
    assert {name for name in ours if ours[name] == theirs[name]} == {"on_breast_cancer", "on_iris", "on_rectangles"}


STOPPED = """
import os, signal, sys
from pipeline.cli.main import main
from pipeline.commands.suite import SuiteRun
from pipeline.storage.optuna_store import OptunaStore

method, study = sys.argv[1:]
owner = SuiteRun if method == "report" else OptunaStore
called = getattr(owner, method)

def stopped(self, *arguments):
    if method == "report" or self.study.name == study:
        os.kill(os.getpid(), signal.SIGKILL)
    return called(self, *arguments)

setattr(owner, method, stopped)
sys.exit(main(["run", "tables.py", "--workers", "1", "--no-model", "--skip-checks"]))
"""


@pytest.mark.slow
def test_a_suite_that_is_killed_anywhere_is_gone_on_with(suite_file, tmp_path, tracking_uri):
    """Killed in the first study, between two, in the last and before the page, it ends as one that was not."""
    for place in (("add_all", "on_iris"), ("open", "on_wine"), ("add_all", "on_breast_cancer"), ("report", "")):
        assert subprocess.run([sys.executable, "-c", STOPPED, *place], cwd=tmp_path, check=False).returncode == -9
    assert main(["run", str(suite_file), "--workers", "1", "--no-model", "--skip-checks"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    assert [run.info.status for run in client.search_runs(["0"], "tags.kind = 'suite'")] == ["FINISHED"]
    assert [run.info.status for run in client.search_runs(["0"], "tags.kind = 'study'")] == ["FINISHED"] * 3
    assert len(client.search_runs(["0"], "tags.kind = 'trial'", max_results=1000)) == 72
    whole = [f"--storage={tmp_path / 'whole.log'}", f"--tracking-uri=sqlite:///{tmp_path / 'whole.db'}"]
    assert main(["search", str(suite_file), "--workers", "2", *whole]) == 0
    assert records(suite_file) == records(suite_file, str(tmp_path / "whole.log"))
    page = tmp_path / "reports" / "tables" / "report.html"
    written = page.read_text()
    page.unlink()
    assert main(["report", str(suite_file), "--no-model"]) == 0
    assert page.read_text() == written
    suite_file.write_text(SOURCE.replace('"wine", ', ""))
    assert main(["report", str(suite_file), "--no-model"]) == 0
    assert "Since its first run the suite has lost on_wine." in page.read_text()
