"""Records in the study's place that are not the study's own: ignored and named, and the plan is completed around them."""

import os
import signal
import subprocess
import sys
import time

import optuna
import pytest
from mlflow import MlflowClient
from optuna.distributions import CategoricalDistribution, FloatDistribution

from pipeline.cli.main import main
from pipeline.storage.backends import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

SOURCE = """
from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="tiny",
    question="Does it work?",
    dataset="digits-200",
    space=SearchSpace(learning_rate=Float(1e-2, 1, log=True, levels=2), batch_norm=Categorical(False, True)),
    config=TrainConfig(epochs=1, batch_size=32),
    arms=(Arm("random"), Arm("tpe")),
    blocks=2,
    trials=3,
    confirm=1,
)
"""
SPACE = {"learning_rate": FloatDistribution(1e-2, 1, log=True), "batch_norm": CategoricalDistribution((False, True))}
STORAGE = "optuna.log"
PLANNED = 12


@pytest.fixture
def study_path(tracking_uri, tmp_path):
    """The path of a study of a planned and an adaptive arm, beside a fresh store."""
    path = tmp_path / "tiny.py"
    path.write_text(SOURCE)
    return str(path)


def loaded(name):
    """An Optuna study of the storage."""
    return optuna.load_study(study_name=name, storage=open_storage(STORAGE))


def by_hand(**attributes):
    """A finished trial of the study's space that somebody made up."""
    point = {"learning_rate": 0.3, "batch_norm": True}
    return optuna.trial.create_trial(value=1.0, params=point, distributions=SPACE, user_attrs=attributes)


def optuna_store(study_path, trials=3):
    """The study's record."""
    return OptunaStore(find_study(study_path, {"trials": trials}), STORAGE)


def test_foreign_trials_are_left_aside_and_named(study_path, capsys):
    """Trials by hand, enqueued, copied or with broken attributes stay as they are; the search completes the plan and reports."""
    assert main(["search", study_path, "--workers", "1", "--trials", "2", "--quiet"]) == 0
    before = optuna_store(study_path, 2).table()
    for arm in ("random", "tpe"):
        made = loaded(f"tiny/{arm}/b00")
        own = made.get_trials()[0]
        made.add_trial(by_hand())
        made.add_trial(by_hand(**{**own.user_attrs, "trial": [2]}))
        made.add_trial(by_hand(**{**own.user_attrs, "trial": 2, "run_id": None}))
        made.add_trial(own)
        made.enqueue_trial({"learning_rate": 0.1})
        made.set_user_attr("confirmation/by hand", "mine")
    optuna.copy_study(
        from_study_name="tiny/random/b00",
        from_storage=open_storage(STORAGE),
        to_storage=open_storage(STORAGE),
        to_study_name="tiny/mine",
    )
    optuna.create_study(storage=open_storage(STORAGE), study_name="tiny/random/b07")
    capsys.readouterr()
    assert main(["search", study_path, "--workers", "1"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("ignored, since"))
    for number in range(2, 6):
        assert f"tiny/random/b00 trial {number}" in line
    assert line.endswith(" and 3 more")
    record = optuna_store(study_path)
    table = record.table()
    assert len(table) == PLANNED
    assert table[table["trial"] < 2].reset_index(drop=True).equals(before)
    assert len(record.foreign) == 8
    assert len(record.confirmations()) >= 4
    assert main(["report", study_path, "--no-model", "--quiet"]) == 0
    assert main(["refine", study_path]) == 0


def test_a_foreign_study_in_an_arms_place_is_refused(study_path, tmp_path, capsys):
    """An Optuna study of the user's under the name of an arm's, which minimizes, is named in a line, and nothing is written."""
    optuna.create_study(storage=open_storage(STORAGE), study_name="tiny/tpe/b01")
    before = (tmp_path / STORAGE).read_bytes()
    assert main(["search", study_path, "--workers", "1"]) == 2
    assert "'tiny/tpe/b01' is there that does not maximize one value" in capsys.readouterr().err
    assert (tmp_path / STORAGE).read_bytes() == before


def test_a_killed_train_is_ended_by_the_next_command(study_path, tracking_uri):
    """After kill -9 in a ``train`` its run is KILLED by the next command of the study, which leaves no run RUNNING."""
    command = [sys.executable, "-m", "pipeline", "train", study_path, "--epochs", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    client = MlflowClient(tracking_uri)

    def statuses():
        where = [experiment.experiment_id for experiment in client.search_experiments()]
        return {run.data.tags.get("study"): run.info.status for run in client.search_runs(where)}

    while "tiny-manual" not in statuses():
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert statuses() == {"tiny-manual": "RUNNING"}
    assert main(["search", study_path, "--workers", "1", "--trials", "1", "--quiet"]) == 0
    assert statuses() == {"tiny-manual": "KILLED", "tiny": "FINISHED"}
