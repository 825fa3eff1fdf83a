"""The verb ``run``: its order, and the run of ``mlflow run`` that it records under."""

import itertools

from mlflow import MlflowClient

from pipeline.cli.main import main


def test_run_checks_searches_and_reports(tiny_study, tmp_path, tracking_uri, capsys):
    """``run`` prints its phases in order, then the page and the commands that open the two user interfaces."""
    assert main(["run", str(tiny_study), "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    phases = [word for word, _ in itertools.groupby(starts) if word in ("check", "search", "confirm", "report")]
    assert phases == ["check", "search", "confirm", "report"]
    assert starts.count("report") == 2  # a verdict for each contrast
    page = tmp_path / "reports" / "tiny" / "report.html"
    assert any(str(page) in line for line in lines)
    assert page.is_file()
    assert any("mlflow ui --workers 1 --backend-store-uri sqlite:///" in line for line in lines)
    assert any(f"optuna-dashboard {tmp_path / 'optuna.log'}" in line for line in lines)


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
