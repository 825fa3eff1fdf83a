"""What is done with the columns of a table is printed, recorded and reported."""

import json

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.refine import declaration
from pipeline.data.dataset import load_rows
from pipeline.data.encoding import Encoding
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

STUDY = """
from pipeline import Arm, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="table",
    question="Does a table work?",
    dataset="table.csv:fate",
    columns={"name": "drop"},
    space=SearchSpace(learning_rate=Float(1e-2, 1, log=True)),
    config=TrainConfig(epochs=1, batch_size=16),
    arms=(Arm("random"),),
    blocks=2,
    trials=2,
    confirm=0,
)
"""


@pytest.fixture
def table_study(tracking_uri, tmp_path):
    """The path of a study of a table with names, missing numbers, a rare value, an index and labels that pandas drops."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"name": [f"n{i}" for i in range(90)], "age": generator.normal(size=90)})
    frame["port"] = np.where(np.arange(90) < 3, "rare", generator.choice(["C", "S"], 90))
    frame["fate"] = np.where(frame["age"] > 0, "NA", "lost")
    frame.loc[::9, "age"] = None
    frame.to_csv("table.csv")
    (tmp_path / "table.py").write_text(STUDY)
    load_rows.cache_clear()  # the name of the file is that of the test before
    return "table.py"


def test_columns_are_printed_and_recorded(table_study, tracking_uri, tmp_path, capsys):
    """Each column stands in one line once; the frozen encoding is in MLflow, and a clause for each column in Optuna."""
    assert main(["search", table_study, "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("  dropped: name" in line for line in lines) == 1
    assert sum(line.startswith("  number, 10 missing, filled with the median") for line in lines) == 1
    assert sum("category of 3 values, rare ones share an input: port" in line for line in lines) == 1
    (warning,) = [line for line in lines if line.startswith("warning")]
    assert "table.csv:fate: column 'Unnamed: 0' looks like an id or a written index" in warning
    store = OptunaStore(find_study(table_study, {}), str(tmp_path / "optuna.log"))
    assert store.columns[1] == ["name", "dropped", 0]
    client = MlflowClient(tracking_uri=tracking_uri)
    path = client.download_artifacts(store.parent_run, "columns.json", str(tmp_path))
    with open(path) as stream:  # noqa: PTH123  a path as MLflow gives it
        recorded = json.load(stream)
    encoding = Encoding.from_json(recorded["encoding"])
    assert encoding.inputs[1:3] == ("age", "age is missing")
    assert sum(row["inputs"] for row in recorded["columns"]) == len(encoding.inputs)


def test_a_study_of_a_table_is_resumed(table_study, capsys):
    """A second search trains nothing; other uses of the columns and other cells are refused."""
    assert main(["search", table_study, "--workers", "1"]) == 0
    assert main(["search", table_study, "--workers", "1"]) == 0
    assert "nothing to train" in capsys.readouterr().out
    frame = pd.read_csv("table.csv", index_col=0, keep_default_na=False, na_values=[""])
    frame.replace("rare", "other").to_csv("table.csv")
    load_rows.cache_clear()
    assert main(["search", table_study, "--workers", "1"]) == 2
    assert "data_sha256 was" in capsys.readouterr().err


def test_check_prints_the_columns(table_study, capsys):
    """The verb ``check`` prints them too."""
    main(["check", table_study])
    assert "data: " in capsys.readouterr().out


def test_all_problems_of_a_table_are_one_line(table_study, tmp_path, capsys):
    """Exit code 2, one line with every problem, and nothing is written."""
    (tmp_path / "table.py").write_text(STUDY.replace('"name": "drop"', '"nam": "drop"'))
    before = set(tmp_path.iterdir())
    assert main(["search", table_study, "--workers", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "2 problems: (1) columns: no column 'nam'; did you mean name?" in line
    assert "(2) column 'name' is text of 90 different values" in line
    assert set(tmp_path.iterdir()) == before


def test_a_refined_stage_keeps_the_columns(table_study, tmp_path):
    """The declaration of a stage has the uses of the columns."""
    study = find_study(table_study, {})
    (tmp_path / "again.py").write_text(declaration(study))
    assert find_study("again.py", {}).hash == study.hash


def test_splits_of_rare_classes_are_not_mixed_with_older_ones(table_study, monkeypatch, capsys):
    """A study that an older version recorded, whose splits could lack a class, is refused; the line names the splits."""
    frame = pd.read_csv("table.csv", index_col=0, keep_default_na=False, na_values=[""])
    frame.assign(fate=[*["third"] * 3, *frame["fate"][3:]]).to_csv("table.csv")
    with monkeypatch.context() as older:
        older.setattr("pipeline.commands.job.may_lack_class", lambda *_: False)
        assert main(["search", table_study, "--workers", "1", "--blocks", "1"]) == 0
    assert main(["search", table_study, "--workers", "1"]) == 2
    assert "splits was 'absent', is 'rows exchanged for rare classes'" in capsys.readouterr().err
