"""NaN and infinite measurements, from training through both stores and the table to the report."""

import json
import math
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.report.trials_table import TrialsTable, read_table, write_table
from pipeline.report.writer import write_report
from pipeline.search.plan import plan
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.tracking.client_writer import ClientWriter

WILD = """
from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="wild",
    question="What is left of it?",
    space=SearchSpace(
        learning_rate=Float(1e-2, 1e38, log=True, levels=3),  # float32 ends at 3.4e38
        l2=Float(0, 1e38, levels=2),
        activation=Categorical("relu", "tanh"),
        init=Categorical("he", 1e30),
        batch_norm=Categorical(False, True),
    ),
    config=TrainConfig(epochs=2, batch_size=200),
    arms=(Arm("random"), Arm("grid")),
    blocks=1,
    trials=24,
    confirm=1,
)
"""
ALL_DIVERGE = WILD.replace("Float(1e-2, 1e38, log=True, levels=3)", "Float(1e30, 1e38, log=True, levels=3)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, empty_mlflow_db):
    """A study with many diverging trials, run with a journal and bulk writes, and with SQLite and single writes."""
    folder = tmp_path_factory.mktemp("wild")
    (folder / "wild.py").write_text(WILD)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        shutil.copyfile(empty_mlflow_db, "mlflow.db")
        shutil.copyfile(empty_mlflow_db, "other.db")
        assert main(["search", "wild.py", "--workers", "1"]) == 0
        assert main(["report", "wild.py", "--no-model"]) == 0
        monkeypatch.setattr(
            "pipeline.tracking.tracker.choose_writer", lambda client, _: (ClientWriter(client), "one by one")
        )
        flags = ["--storage", "sqlite:///optuna.db", "--tracking-uri", "sqlite:///other.db"]
        assert main(["search", "wild.py", "--workers", "1", *flags]) == 0
        yield folder


def optuna_store(folder, storage="optuna.log"):
    """Return the study's Optuna store."""
    return OptunaStore(find_study(str(folder / "wild.py"), {}), storage)


def runs(folder, database):
    """Return the runs of all trials, by name."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / database}")
    trial_runs = client.search_runs(
        ["0"], "tags.kind = 'trial'", max_results=1000, order_by=["metrics.`test/loss` ASC"]
    )
    return {run.info.run_name: run for run in trial_runs}


def strict(text):
    """Parse JSON by its standard, which has no NaN and Infinity."""

    def refuse(word):
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


def test_the_example_has_all_cases(folder):
    """Most trials diverge, some in their first epoch, some do not, and some have an infinite measurement without diverging."""
    table = optuna_store(folder).table()
    assert 0.5 < table["diverged"].mean() < 1
    assert (table.loc[table["diverged"], "epochs"] == 0).any()
    assert ((table["not_finite"] != "") & ~table["diverged"]).any()


def test_optuna_keeps_every_trial(folder):
    """A journal and SQLite have the same trials with finite values; a diverged trial has the value of a guess."""
    tables = [optuna_store(folder, storage).table() for storage in ("optuna.log", "sqlite:///optuna.db")]
    assert len(tables[0]) == len(plan(optuna_store(folder).study)) == 48
    pd.testing.assert_frame_equal(*(table.drop(columns=["seconds", "run_id"]) for table in tables), check_like=True)
    for trial in optuna_store(folder).recorded().values():
        assert math.isfinite(trial.value)
        assert all(map(math.isfinite, trial.intermediate_values.values()))
        assert (trial.value == 0.1) or not trial.user_attrs["diverged"]
        strict(json.dumps(trial.user_attrs))


@pytest.mark.parametrize("database", ["mlflow.db", "other.db"])
def test_mlflow_keeps_every_run(database, folder):
    """Both writers record a finished run for each trial, no NaN or infinite value, and the names of those left out."""
    runs_by_name = runs(folder, database)
    storage = "optuna.log" if database == "mlflow.db" else "sqlite:///optuna.db"
    recorded = {trial.user_attrs["run_id"]: trial for trial in optuna_store(folder, storage).recorded().values()}
    assert {run.info.run_id for run in runs_by_name.values()} == set(recorded)
    for run in runs_by_name.values():
        known = recorded[run.info.run_id].user_attrs
        assert run.info.status == "FINISHED"
        assert run.data.tags["diverged"] == str(known["diverged"])
        assert run.data.tags.get("not_finite", "") == known["not_finite"]
        assert ("test/loss" in run.data.metrics) is not known["diverged"]
        assert all(map(math.isfinite, run.data.metrics.values()))
    with closing(sqlite3.connect(folder / database)) as connection:
        for table in ("metrics", "latest_metrics"):
            odd = f"SELECT count(*) FROM {table} WHERE is_nan OR abs(value) > 1e300 OR typeof(step) != 'integer'"  # noqa: S608
            assert connection.execute(odd).fetchone() == (0,)


def test_the_table_has_nan_for_missing_losses(folder):
    """Parquet and CSV have every trial and the same numbers, with a loss only for trials that did not diverge."""
    table = read_table(folder / "reports" / "wild")
    rows = pd.read_csv(folder / "reports" / "wild" / "trials.csv")
    assert len(table.frame) == 48
    for frame in (table.frame, rows):
        for name in ("val/loss", "test/loss"):
            np.testing.assert_array_equal(frame[name].isna(), frame["diverged"])
    first_runs = rows[rows["repetition"] == 0]
    for name in ("learning_rate", "l2", "best/val_accuracy", "test/loss"):
        np.testing.assert_array_equal(table.frame[name], first_runs[name])


def test_the_report_is_whole(folder):
    """The report's files have no NaN and no infinity, verdict.json is standard JSON, and the table gives the same report."""
    report = folder / "reports" / "wild"
    for name in ("report.html", "report.md", "tables/choices_again.csv"):
        text = re.sub(r"<path .*?/>|data:[^\"]*", "", (report / name).read_text(), flags=re.DOTALL)
        assert not re.search(r"\b(nan|inf|infinity)\b", text, flags=re.IGNORECASE), name
    assert not re.search(r'<path d="[^"]*(nan|inf)', (report / "report.html").read_text())
    verdict = strict((report / "verdict.json").read_text())
    assert verdict["label"] == "too few repeats"
    again = write_report(read_table(report), folder / "again")
    for path in again.paths:
        assert path.read_bytes() == (report / path.relative_to(folder / "again")).read_bytes(), path.name


def test_a_second_run_trains_nothing(folder, capsys):
    """All recorded trials are recognised, and none is trained again."""
    assert main(["search", "wild.py", "--workers", "1"]) == 0
    output = capsys.readouterr()
    assert "nothing to train, all 48 trials are recorded" in output.out
    assert output.err == ""


def test_a_study_in_which_every_trial_diverges(tracking_uri, tmp_path, capsys):
    """If every trial diverges, the report says that all scored the same, and no model is registered."""
    (tmp_path / "wild.py").write_text(ALL_DIVERGE.replace("blocks=1", "blocks=6").replace("trials=24", "trials=2"))
    assert main(["search", "wild.py", "--workers", "1"]) == 0
    assert main(["report", "wild.py"]) == 0
    output = capsys.readouterr()
    assert "model: none, since every trial diverged or was pruned" in output.out
    assert output.err == ""
    verdict = strict((tmp_path / "reports" / "wild" / "verdict.json").read_text())
    assert "every trial scored the same (10.0%)" in verdict["sentences"][0]
    assert read_table(tmp_path / "reports" / "wild").frame["test/loss"].isna().all()


def test_a_table_with_nan_and_infinity_has_a_report(folder, tmp_path):
    """NaN and infinite losses and gaps in the table are read back, and the report is written."""
    table = read_table(folder / "reports" / "wild")
    odd = {"val/loss": np.nan, "test/loss": np.inf, "gap": -np.inf}
    changed = TrialsTable(table.frame.assign(**odd), table.study, table.provenance)
    write_table(changed, tmp_path / "file")
    pd.testing.assert_frame_equal(read_table(tmp_path / "file").frame, changed.frame)
    report = write_report(changed, tmp_path / "report")
    strict((tmp_path / "report" / "verdict.json").read_text())
    assert not re.search(r"\bnan\b", re.sub(r"<path .*?/>", "", report.page.read_text(), flags=re.DOTALL))


@pytest.mark.parametrize(
    ("init", "code", "says"),
    [
        (1e15, 0, "relu from 1000000000000000.0 explodes to "),
        (1e30, 1, "check the scale of 1e+30"),
    ],
)
def test_checks_report_an_init_beyond_float32(init, code, says, tracking_uri, tmp_path, capsys):
    """Weights that overflow in a forward pass give advice or a failed check, and no NumPy warning."""
    (tmp_path / "wild.py").write_text(WILD.replace("1e30", repr(init)))
    assert main(["check", "wild.py"]) == code
    output = capsys.readouterr()
    assert says in output.out
    assert output.err.count("\n") == code


@pytest.mark.slow
def test_the_terminal_shows_no_warning(tracking_uri, tmp_path):
    """With worker processes, the search and its report end with exit code 0 and an empty standard error."""
    Path("wild.py").write_text(WILD)
    for verb in (["search", "wild.py", "--workers", "2"], ["report", "wild.py"]):
        command = [sys.executable, "-W", "always::RuntimeWarning", "-m", "pipeline", *verb]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
