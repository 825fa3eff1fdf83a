"""A journal and a database that version 0.1 recorded are opened, resumed and reported."""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from pipeline.cli.main import main

ARCHIVE = Path(__file__).parent / "recorded" / "stores.tar.gz"
FOLDER_THEN = "/tmp/fx"  # noqa: S108  the folder of the recorded artifacts
MOVES = (
    "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)",
    "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)",
)
RECORDED = """
from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="recorded",
    question="Is what was recorded before still read?",
    dataset="digits-200",
    space=SearchSpace(
        learning_rate=Float(1e-2, 1, log=True, levels=2),
        activation=Categorical("relu", "tanh"),
        batch_norm=Categorical(False, True),
    ),
    config=TrainConfig(epochs=3, batch_size=32),
    arms=(Arm("random"), Arm("grid"), Arm("tpe")),
    blocks=2,
    trials=4,
    confirm=2,
)
"""
PRUNED = """
from pipeline import Arm, Categorical, Float, HyperParams, Pruner, SearchSpace, Stage, Study, TrainConfig

STUDY = Study(
    name="pruned",
    question="Is what was pruned before still read?",
    dataset="digits-200",
    space=SearchSpace(learning_rate=Float(1e-3, 1, log=True), hidden=Categorical("16", "8x8")),
    fixed=HyperParams(activation="tanh"),
    config=TrainConfig(epochs=4, batch_size=32),
    arms=(Arm("random"),),
    blocks=1,
    trials=12,
    pruner=Pruner("median", wave=4),
    stages=(Stage(epochs=4, trials=12), Stage(epochs=5, trials=6)),
    confirm=0,
)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with both studies and the stores that hold them, whose artifacts are looked for here."""
    monkeypatch.chdir(tmp_path)
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        for statement in MOVES:
            database.execute(statement, (FOLDER_THEN, str(tmp_path)))
        database.commit()
    (tmp_path / "recorded.py").write_text(RECORDED)
    (tmp_path / "pruned.py").write_text(PRUNED)
    return tmp_path


def trials(folder, study):
    """Each recorded trial of a study, by its arm, block and number: its point, value, curve and MLflow run."""
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    return {
        (made.user_attrs["arm"], made.user_attrs["block"], trial.user_attrs["trial"]): (
            trial.params,
            trial.value,
            trial.intermediate_values,
            trial.user_attrs["run_id"],
        )
        for made in optuna.get_all_study_summaries(storage)
        if made.user_attrs.get("study") == study and "block" in made.user_attrs  # not a pooled one
        for trial in optuna.load_study(study_name=made.study_name, storage=storage).trials
    }


def test_a_recorded_study_is_resumed_and_reported(folder):
    """A larger budget trains what is missing, in random, grid and adaptive arms, and leaves each recorded trial as it was."""
    before = trials(folder, "recorded")
    assert len(before) == 24
    assert main(["search", "recorded.py", "--trials", "6", "--workers", "1"]) == 0
    after = trials(folder, "recorded")
    assert len(after) == 36
    assert {key: after[key] for key in before} == before
    assert main(["report", "recorded.py"]) == 0
    verdict = json.loads((folder / "reports" / "recorded" / "verdict.json").read_text())
    assert (verdict["study"], verdict["study_hash"]) == ("recorded", "eb4d2ccc2959")
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = {run.info.run_id for run in client.search_runs(["1"], "tags.kind = 'trial' and tags.study = 'recorded'")}
    assert runs == {run_id for *_, run_id in after.values()}


def test_a_recorded_study_with_pruning_and_stages_is_whole(folder, capsys):
    """Nothing is left to train of the study, and ``refine`` makes the third stage of what the second recorded."""
    before = trials(folder, "pruned"), trials(folder, "pruned.stage2")
    assert [len(recorded) for recorded in before] == [12, 6]
    assert main(["search", "pruned.py", "--workers", "1"]) == 0
    assert "nothing to train, all 12 trials are recorded" in capsys.readouterr().out
    assert main(["refine", "pruned.py", "--run", "--workers", "1"]) == 0
    assert (trials(folder, "pruned"), trials(folder, "pruned.stage2")) == before
    assert (folder / "reports" / "pruned.stage3" / "report.html").is_file()
    assert len(trials(folder, "pruned.stage3")) == 6
