"""From coarse to fine as a verb: what is shown, what is run, and how the stages are tied together."""

import json
import signal

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.refine import declaration
from pipeline.search.interrupts import Stopped
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from studies.random_vs_grid import STUDY

STAGED = """
from pipeline import Arm, Float, SearchSpace, Stage, Study, TrainConfig

STUDY = Study(
    name="staged",
    question="Where do the good rates lie?",
    space=SearchSpace(learning_rate=Float(1e-5, 1e-1, log=True)),
    config=TrainConfig(batch_size=200),
    arms=(Arm("random"),),
    blocks=1,
    stages=(Stage(epochs=1, trials=8), Stage(epochs=2, trials=5)),
)
"""


@pytest.fixture
def staged(tracking_uri, tmp_path):
    """The path of a study of two stages, the first of which is searched."""
    path = tmp_path / "staged.py"
    path.write_text(STAGED)
    assert main(["search", str(path), "--workers", "1"]) == 0
    return path


def test_a_stage_is_proposed_as_a_declaration(staged, tmp_path, capsys):
    """With its reasons; as a file of its own it declares what would be run. Nothing is recorded."""
    before = OptunaStore(find_study(str(staged), {}), "optuna.log").study_names
    capsys.readouterr()
    assert main(["refine", str(staged)]) == 0
    said = capsys.readouterr().out
    assert "so on to 0.001 to 10" in said
    pasted = tmp_path / "pasted.py"
    pasted.write_text(said[said.index("from pipeline import") :])
    fine = find_study(str(pasted), {})
    assert (fine.name, fine.config.epochs, fine.trials, fine.stages) == ("staged.stage2", 2, 5, ())
    assert fine.space["learning_rate"].low == pytest.approx(1e-3)
    assert OptunaStore(find_study(str(staged), {}), "optuna.log").study_names == before == ["staged"]


def test_a_stage_is_run_and_tied_to_the_one_before(staged, tracking_uri):
    """Its MLflow run has a tag, and each of its Optuna studies an attribute, that name the run of the stage before."""
    assert main(["refine", str(staged), "--run", "--workers", "1"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    parents = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'study'")
    by_name = {run.data.tags["study"]: run for run in parents}
    assert set(by_name) == {"staged", "staged.stage2"}
    fine, coarse = by_name["staged.stage2"], by_name["staged"].info.run_id
    assert (fine.data.tags["previous_stage_run"], fine.data.tags["stage"]) == (coarse, "2")
    optuna_store = OptunaStore(find_study(str(staged), {}), "optuna.log")
    attributes = [a for a in optuna_store._known().values() if a["study"] == "staged.stage2"]
    assert [a["previous_stage_run"] for a in attributes] == [coarse]
    assert {file.path for file in client.list_artifacts(fine.info.run_id)} >= {"check.md", "report", "study.json"}
    assert any(key.startswith("check/initial_loss") for key in fine.data.metrics)
    assert sum(value for key, value in fine.data.metrics.items() if key.startswith("health/")) == 5


def test_a_stage_that_was_stopped_goes_on(staged, tracking_uri, monkeypatch):
    """The same command proposes the same stage again, and trains what is missing of it: the planned set, once each."""
    add, added = OptunaStore.add, []

    def stopped_at_the_third(optuna_store, trial, run_id):
        if len(added) == 2:
            raise Stopped(signal.SIGINT)
        added.append(trial.plan.name)
        add(optuna_store, trial, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(OptunaStore, "add", stopped_at_the_third)
        assert main(["refine", str(staged), "--run", "--workers", "1"]) == 130
    assert main(["refine", str(staged), "--run", "--workers", "1"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    query = "tags.study = 'staged.stage2' AND tags.kind = 'trial'"
    trials = client.search_runs(experiments, query)
    assert sorted(run.data.tags["trial"] for run in trials) == list("01234")
    assert {run.info.status for run in trials} == {"FINISHED"}
    (stage,) = client.search_runs(experiments, "tags.study = 'staged.stage2' AND tags.kind = 'study'")
    assert stage.info.status == "FINISHED"


def test_refining_what_is_not_recorded_is_refused(tiny_study, capsys):
    """The user is told, in a line, and nothing is made."""
    assert main(["refine", str(tiny_study)]) == 2
    assert "run one first" in capsys.readouterr().err


def test_any_study_is_declared_in_words(tmp_path):
    """The text that declares a study, read back, is the study: the default one, whole."""
    path = tmp_path / "again.py"
    path.write_text(declaration(STUDY))
    assert json.dumps(find_study(str(path), {}).to_json()) == json.dumps(STUDY.to_json())
