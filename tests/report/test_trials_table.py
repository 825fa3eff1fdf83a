"""The table of trials: its files give it back, and a wrong table is refused in one line."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from synthetic import make_frame, make_study, make_table

from pipeline.report.trials_table import TrialsTable, read_table, write_table
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace

MIXED = SearchSpace(init=Categorical("he", 0.01), learning_rate=Float(1e-3, 1, log=True))


def test_a_table_comes_back_as_it_was(tmp_path):
    """The Parquet file gives back frame, declaration and provenance, also a column of several types."""
    table = make_table(
        lambda frame, _, rng: rng.uniform(size=len(frame)), space=MIXED, blocks=2, provenance={"declared": "2026"}
    )
    write_table(table, tmp_path)
    back = read_table(tmp_path)
    pd.testing.assert_frame_equal(back.frame, table.frame)
    assert (back.study.to_json(), back.provenance) == (table.study.to_json(), table.provenance)


def test_a_table_has_the_types_that_its_file_gives_back(tmp_path):
    """Columns of objects and tuples become in memory what a file keeps, so that both give the same report."""
    study = make_study(blocks=1, arms=(Arm("random", arguments={"range": (1, 2)}),))
    frame = make_frame(study).astype({"activation": object, "batch_norm": object, "l2": object})
    table = TrialsTable(frame, study, {"blas": ("openblas, Haswell", "openblas, Zen")})
    back = read_table(write_table(table, tmp_path)[0])
    pd.testing.assert_frame_equal(back.frame, table.frame)
    assert (back.study.arms, back.provenance) == (table.study.arms, table.provenance)


def test_the_order_of_rows_does_not_matter(table, tmp_path):
    """Rows in any order, and with any index, give the same files."""
    shuffled = table.frame.sample(frac=1, random_state=1).set_axis(np.arange(len(table.frame)) % 2)
    write_table(table, tmp_path / "a")
    write_table(TrialsTable(shuffled, table.study), tmp_path / "b")
    for name in ("trials.parquet", "trials.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_csv_cell_never_runs_as_a_formula(start, tmp_path):
    """A text that a spreadsheet would take for a formula is written behind an apostrophe."""
    frame = make_frame(make_study(blocks=1)).assign(run_id=f'{start}HYPERLINK("http://x")')
    write_table(TrialsTable(frame, make_study(blocks=1)), tmp_path)
    assert pd.read_csv(tmp_path / "trials.csv")["run_id"].str.startswith(f"'{start}").all()


def broken(**cells):
    """A good frame in which the first row has other values."""
    frame = make_frame(make_study(blocks=1))
    for name, value in cells.items():
        frame[name] = frame[name].astype(object)
        frame.loc[0, name] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (broken().drop(columns="seconds"), "no column 'seconds'"),
        (broken().drop(columns="l2"), "no column 'l2'"),
        (broken().iloc[:0], "no finished trial"),
        (broken(arm="tpe"), "arm 'tpe' is not an arm of study 'toy'"),
        (broken(study="other"), "holds trials of study 'other'"),
        (broken(block="x"), "column 'block' holds a value that is not int64"),
        (broken(trial=1), "arm 'random', block 0, trial 1: this trial is in the table twice"),
        (broken(learning_rate=99.0), "learning_rate is outside of the search space; got 99.0"),
        (broken(activation="gelu"), "activation is outside of the search space; got gelu"),
        (broken(**{"best/val_accuracy": np.nan}), "best/val_accuracy must be a number from 0 to 1; got nan"),
        (broken(seconds=np.nan), "seconds must be a number of at least 0; got nan"),
        (broken(seconds=np.inf), "seconds must be a number of at least 0; got inf"),
        (broken(epochs=-1), "epochs must be a number of at least 0; got -1"),
        (broken(**{"test/accuracy": 97.0}), "test/accuracy must be a number from 0 to 1; got 97.0"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(frame, message):
    """The error names the wrong value and its trial, in one line."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        TrialsTable(frame, make_study(blocks=1))
    assert "\n" not in str(caught.value)


def test_another_file_is_refused_in_one_line(table, tmp_path):
    """A missing file, a text file, and a table of another version each have an error of one line."""
    (tmp_path / "text.parquet").write_text("hello")
    arrow = pq.read_table(write_table(table, tmp_path)[0])
    newer = json.dumps({"version": 3}).encode()
    pq.write_table(arrow.replace_schema_metadata({b"babysit": newer}), tmp_path / "newer.parquet")
    pq.write_table(arrow.replace_schema_metadata(None), tmp_path / "bare.parquet")
    messages = {"none": "no table", "text": "cannot be read as Parquet", "newer": "version 3; this report reads 1 to 2"}
    for name, message in {**messages, "bare": "version None"}.items():
        with pytest.raises(ValueError, match=message) as caught:
            read_table(tmp_path / f"{name}.parquet")
        assert "\n" not in str(caught.value)
