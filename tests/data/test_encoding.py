"""The frozen encoding of a table gives what scikit-learn's fitted transformer gives, from training rows alone."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import load_block
from pipeline.data.columns import ISO, UNKNOWN, Column, code_rows, raw_rows
from pipeline.data.dataset import load_rows
from pipeline.data.encoder_fitting import RARE, fit, transformer
from pipeline.data.encoding import Encoding, date_parts
from pipeline.data.splits import split_indices
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig

COLUMNS = (
    Column("age", "number", missing=True),
    Column("port", "category", missing=True, levels=("C", "Q", "S")),
    Column("when", "date", missing=True, form=ISO, times=True),
)
CODES = {
    "number": st.floats(-1e6, 1e6),
    "category": st.sampled_from([0.0, 1.0, 2.0, float(UNKNOWN)]),
    "date": st.integers(-1_000_000, 1_000_000).map(lambda hours: hours / 24),
}


@st.composite
def coded_tables(draw):
    """Codes (N, C) of a table, some of them missing, and the number of training rows; these have no unknown level."""
    count = draw(st.integers(1, 40))
    cells = [
        draw(st.lists(st.one_of(st.just(np.nan), CODES[column.kind]), min_size=count, max_size=count))
        for column in COLUMNS
    ]
    codes = np.column_stack(cells).astype(float)
    train = draw(st.integers(1, count))
    codes[:train] = np.where(codes[:train] == UNKNOWN, 0.0, codes[:train])
    return codes, train


@settings(deadline=None, max_examples=60)
@given(coded_tables())
def test_the_frozen_encoding_equals_scikit_learns(table):
    """Missing, rare, new and unknown cells become the same bits; a written and read encoding is the same."""
    codes, train = table
    encoding = fit(COLUMNS, codes[:train])
    inputs = encoding(codes)
    np.testing.assert_array_equal(inputs, transformer(COLUMNS).fit(codes[:train]).transform(codes))
    assert inputs.shape == (len(codes), len(encoding.inputs))
    assert inputs.shape[1] <= sum(column.width for column in COLUMNS)
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


def test_the_inputs_have_names():
    """Each input says which column, value or part it is of; values below the limit share one."""
    codes = np.array([[1.0, 0.0, 10.5]] * RARE + [[np.nan, 1.0, 10.5]] + [[2.0, np.nan, 10.5]] * RARE)
    assert fit(COLUMNS, codes).inputs == (
        *("age", "age is missing", "port = C", "port is missing", "port is rare"),
        *("when day", "when month", "when day of month", "when weekday", "when hour"),
    )


def test_the_parts_of_dates_are_those_of_pandas():
    """Month, day, weekday and hour agree with pandas, before 1970 too."""
    dates = pd.Series(pd.date_range("1965-12-28 05:00", periods=300, freq="171h"))
    days = ((dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)).to_numpy()
    parts = [days, dates.dt.month, dates.dt.day, dates.dt.day_of_week, dates.dt.hour]
    np.testing.assert_allclose(date_parts(days, times=True), np.column_stack(parts), atol=1e-6)


def test_held_out_rows_change_nothing(tmp_path):
    """With other cells in validation and test rows, the encoding of a block is the same."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "b": rng.choice(["u", "v", "w"], 90), "y": np.arange(90) % 3})
    frame.loc[::7, "a"] = np.nan
    path, config = tmp_path / "table.csv", TrainConfig(batch_size=8)
    frame.to_csv(path, index=False)
    block = load_block(str(path), config, 0)
    train, *_ = split_indices(load_rows(str(path)), config, 0)
    frame.loc[~frame.index.isin(train), "a"] = 1e6
    changed = tmp_path / "changed.csv"
    frame.to_csv(changed, index=False)
    assert load_block(str(changed), config, 0).encoding == block.encoding
    np.testing.assert_array_equal(load_block(str(changed), config, 0).train.inputs, block.train.inputs)


def test_raw_rows_have_the_codes_they_were_made_of():
    """Codes become cells and again the same codes: numbers, texts, dates and missing cells."""
    codes = np.array([[1.5, 2, 18_262.25], [np.nan, np.nan, np.nan], [-3, 0, -1.0]])
    np.testing.assert_array_equal(code_rows("rows", COLUMNS, raw_rows(COLUMNS, codes)), codes)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"age": "old"}, "row 1, column 'age' is 'old'; expected a number"),
        ({"when": "soon"}, "row 1, column 'when' is 'soon'; expected a date"),
    ],
)
def test_a_cell_of_another_kind_is_refused(cell, says):
    """The line has the row, the column and the cell."""
    row = {"age": 1, "port": "new", "when": "2020-01-01", **cell}
    with pytest.raises(UserError, match=says):
        code_rows("rows", COLUMNS, pd.DataFrame([row]))


def test_a_missing_column_is_refused():
    """The line names the column and all that are needed."""
    with pytest.raises(UserError, match="no column 'port'; expected age, port, when"):
        code_rows("rows", COLUMNS, pd.DataFrame([{"age": 1, "when": None}]))
