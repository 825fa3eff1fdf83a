"""The verb ``refine``: the stage that it shows, the stage that it runs, and the links between stages."""

import json
import signal
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.job import Job
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
    """Return the path of a study of two stages, the first of which is searched."""
    path = tmp_path / "staged.py"
    path.write_text(STAGED)
    assert main(["search", str(path), "--workers", "1"]) == 0
    return path


def test_a_stage_is_proposed_as_a_declaration(staged, tmp_path, capsys):
    """The reasons and a study file are printed; the file declares the stage, and nothing is recorded."""
    before = OptunaStore(find_study(str(staged), {}), "optuna.log").study_names
    capsys.readouterr()
    assert main(["refine", str(staged)]) == 0
    output = capsys.readouterr().out
    assert "so on to 0.001 to 10" in output
    pasted = tmp_path / "pasted.py"
    pasted.write_text(output[output.index("from pipeline import") :])
    fine = find_study(str(pasted), {})
    assert (fine.name, fine.config.epochs, fine.trials, fine.stages) == ("staged.stage2", 2, 5, ())
    assert fine.space["learning_rate"].low == pytest.approx(1e-3)
    assert OptunaStore(find_study(str(staged), {}), "optuna.log").study_names == before == ["staged"]


def test_a_stage_is_run_and_linked_to_the_one_before(staged, tracking_uri):
    """A tag of its MLflow run and an attribute of its Optuna studies name the run of the stage before."""
    assert main(["refine", str(staged), "--run", "--workers", "1"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    parents = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'study'")
    by_name = {run.data.tags["study"]: run for run in parents}
    assert set(by_name) == {"staged", "staged.stage2"}
    fine, coarse = by_name["staged.stage2"], by_name["staged"].info.run_id
    assert (fine.data.tags["previous_stage_run"], fine.data.tags["stage"]) == (coarse, "2")
    optuna_store = OptunaStore(find_study(str(staged), {}), "optuna.log")
    attributes = [a for a in optuna_store._all_attributes().values() if a["study"] == "staged.stage2"]
    assert [a["previous_stage_run"] for a in attributes] == [coarse]
    assert {file.path for file in client.list_artifacts(fine.info.run_id)} >= {"check.md", "report", "study.json"}
    assert any(key.startswith("check/initial_loss") for key in fine.data.metrics)
    assert sum(value for key, value in fine.data.metrics.items() if key.startswith("health/")) == 5


def test_a_stopped_stage_is_resumed(staged, tracking_uri, monkeypatch):
    """The same command proposes the same stage and trains its missing trials, so that each planned trial is recorded once."""
    add_all = OptunaStore.add_all

    def stopped_at_the_third(optuna_store, trials):
        add_all(optuna_store, dict(list(trials.items())[:2]))
        raise Stopped(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(OptunaStore, "add_all", stopped_at_the_third)
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


def test_a_stage_goes_from_look_to_look_and_is_resumed_between_them(staged, capsys, monkeypatch):
    """A stage of two arms, killed between its looks, takes the second before a next stage is made of it."""
    source = staged.read_text().replace('(Arm("random"),)', '(Arm("random"), Arm("again", "random"))')
    source = source.replace("blocks=1,", "looks=(1, 2), confirm=0,")
    staged.write_text(source.replace('"staged"', '"looks"'))
    assert main(["search", str(staged), "--workers", "1", "--blocks", "1"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(Job, "extend", lambda *_: 1 / 0)
        assert main(["refine", str(staged), "--run", "--workers", "1"]) == 1
    capsys.readouterr()
    assert main(["refine", str(staged), "--run", "--workers", "1"]) == 0
    assert "looks.stage2, from what looks found\n  it is not decided after 1 block" in capsys.readouterr().out
    study = find_study(str(staged), {})
    assert OptunaStore(study, "optuna.log").study_names == ["looks", "looks.stage2", "staged"]
    second = OptunaStore(replace(study, name="looks.stage2", blocks=2), "optuna.log")
    assert {block for _, block, _ in second.recorded()} == {0, 1}
    assert (second.declaration.blocks, second.declaration.looks) == (2, (1, 2))


def test_refining_what_is_not_recorded_is_refused(tiny_study, capsys):
    """A study that is not recorded is a user error."""
    assert main(["refine", str(tiny_study)]) == 2
    assert "run one first" in capsys.readouterr().err


def test_a_study_is_written_as_a_file(tmp_path):
    """The source that declares the default study is loaded as the same study."""
    path = tmp_path / "again.py"
    path.write_text(declaration(STUDY))
    assert json.dumps(find_study(str(path), {}).to_json()) == json.dumps(STUDY.to_json())
