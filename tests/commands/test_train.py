"""The verb ``train``: what it records and draws."""

import re
from pathlib import Path

from mlflow import MlflowClient

from pipeline.cli.main import main


def test_train_records_one_configuration(tracking_uri, tmp_path, capsys):
    """Each call records the given values under its own run; trials are numbered from call to call."""
    for rate in ("0.3", "0.5"):
        assert (
            main(["train", "random_vs_grid", "--learning-rate", rate, "--activation", "sigmoid", "--epochs", "2"]) == 0
        )
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name("Default").experiment_id
    trials = client.search_runs([experiment], "tags.kind = 'trial'", order_by=["start_time ASC"])
    assert [run.data.params["learning_rate"] for run in trials] == ["0.3", "0.5"]
    assert [run.data.tags["trial"] for run in trials] == ["0", "1"]
    assert {run.data.params["activation"] for run in trials} == {"sigmoid"}
    assert len(client.get_metric_history(trials[0].info.run_id, "val/loss")) == 2
    drawn = {Path(file.path).name for file in client.list_artifacts(trials[1].info.run_id, "pictures")}
    assert {"loss.png", "accuracy.png", "update_ratio.png", "activations.png", "first_weights.png"} <= drawn
    (folder,) = re.findall(r"figures: (.*manual-b00-0001)$", capsys.readouterr().out, re.MULTILINE)
    assert {file.name for file in Path(folder).iterdir()} == drawn


def test_train_takes_a_study_that_searches_an_architecture(tracking_uri, tmp_path, capsys):
    """Hidden sizes are recorded as text, as the study writes its choices."""
    (tmp_path / "wide.py").write_text(
        "from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study\n"
        "STUDY = Study(name='wide', question='How wide?', dataset='digits', arms=(Arm('random'),), blocks=2, trials=2,\n"
        "    space=SearchSpace(learning_rate=Float(0.01, 1, log=True), hidden=Categorical('10', '20x10')))\n"
    )
    assert main(["train", str(tmp_path / "wide.py"), "--learning-rate", "0.3", "--epochs", "1"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name("Default").experiment_id
    (run,) = client.search_runs([experiment], "tags.kind = 'trial'")
    assert run.data.params["hidden"] == "50"


def test_a_trial_that_diverges_is_recorded_and_not_drawn(tracking_uri, capsys):
    """A trial that diverges is recorded with its diagnosis, and has no figures."""
    assert main(["train", "random_vs_grid", "--learning-rate", "1e6", "--epochs", "2"]) == 0
    output = capsys.readouterr().out
    assert "diagnosis: diverged" in output
    assert "figures: " not in output
