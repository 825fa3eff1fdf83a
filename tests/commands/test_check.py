"""The verb ``check``."""

from mlflow import MlflowClient

from pipeline.cli.main import main


def test_a_failed_check_stops_the_run(tiny_study, tmp_path, tracking_uri, capsys):
    """A network that cannot learn ends ``run`` with exit code 1 and the reason; ``--skip-checks`` searches, and says so in MLflow."""
    source = tiny_study.read_text().replace("import Arm,", "import Arm, HyperParams,")
    tiny_study.write_text(source.replace("    blocks=2,", '    blocks=2,\n    fixed=HyperParams(init="zeros"),'))
    assert main(["run", str(tiny_study)]) == 1
    assert "check 'overfit 20 examples' failed: overfitted at no learning rate" in capsys.readouterr().err
    client = MlflowClient(tracking_uri=tracking_uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FAILED"
    assert main(["run", str(tiny_study), "--skip-checks", "--workers", "1", "--no-model"]) == 0
    assert "check: skipped" in capsys.readouterr().out
    (study,) = client.search_runs([run.info.experiment_id], "tags.kind = 'study' and attributes.status = 'FINISHED'")
    assert study.data.tags["checks"] == "skipped"


def test_a_check_needs_no_store(tmp_path, monkeypatch, capsys):
    """A check runs where no store can be reached, prints each result, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere/mlflow.db")
    assert main(["check", "random_vs_grid"]) == 0
    assert "overfit 20 examples" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
