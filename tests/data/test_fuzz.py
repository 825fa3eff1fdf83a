"""Damaged tables: each one gives sound rows or is refused in one line."""

import gzip
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.data.encoder_fitting import fit
from pipeline.data.tables import load_table
from pipeline.errors import UserError

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]), st.floats(0, 1), st.binary(min_size=1, max_size=64)
    ),
    min_size=1,
    max_size=8,
)


def edited(content, edits):
    """The content after some edits, each at a share of its length."""
    result = bytearray(content)
    for kind, share, extra in edits:
        at = int(share * (max(len(result), 1) - 1))
        if kind == "flip" and at < len(result):
            result[at] ^= extra[0] or 1
        elif kind == "cut":
            del result[at : at + 16 * len(extra)]
        else:
            result[at:at] = extra if kind == "insert" else bytes(result[at : at + 16 * len(extra)])
    return bytes(result)


def outcome(read, path):
    """The result of reading, or None after a refusal in one line."""
    try:
        return read(path)
    except UserError as error:
        line = str(error)
    assert "\n" not in line
    assert path.name in line
    return None


def check_table(folder, name, content, edits):
    """Assert that an edited table gives rows whose inputs are finite, each with a label, or is refused."""
    path = folder / name
    path.write_bytes(edited(content, edits))
    rows = outcome(lambda file: load_table(str(file)), path)
    if rows is not None:
        assert len(rows.inputs) == len(rows.labels)
        inputs = fit(rows.columns, rows.inputs)(rows.inputs) if rows.columns else rows.inputs
        assert np.isfinite(inputs).all()
        assert rows.labels.max() < rows.classes


def npz():
    """An .npz of 30 rows."""
    stream, rng = io.BytesIO(), np.random.default_rng(0)
    np.savez(stream, X=rng.normal(size=(30, 3)), y=np.arange(30) % 3)
    return stream.getvalue()


def csv():
    """A .csv of 30 rows."""
    rows = [f"{i / 7:.3f},{i % 5},{'abc'[i % 3]}" for i in range(30)]
    return "\n".join(["width,height,target", *rows]).encode()


def parquet():
    """A .parquet of 30 rows."""
    frame = pd.read_csv(io.BytesIO(csv()))
    return frame.to_parquet(index=False)


def mixed():
    """A .csv of 30 rows with text, dates and missing cells."""
    rows = [
        f"{i / 7:.3f};{'uv'[i % 2]};2020-01-{i % 28 + 1:02d};{'' if i % 5 else i};{'abc'[i % 3]}" for i in range(30)
    ]
    return "\n".join(["width;colour;day;gap;target", *rows]).encode()


def json_lines():
    """A .jsonl of 30 rows."""
    return "\n".join(json.dumps({"a": i / 7, "b": "uv"[i % 2], "y": "abc"[i % 3]}) for i in range(30)).encode()


TABLES = {
    "rows.npz": npz(),
    "rows.csv": csv(),
    "mixed.csv": mixed(),
    "rows.jsonl": json_lines(),
    "rows.json": b"[" + json_lines().replace(b"\n", b",") + b"]",
    "rows.csv.gz": gzip.compress(csv(), mtime=0),
    "rows.parquet": parquet(),
}
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(QUICK, max_examples=20_000)


@pytest.mark.parametrize("name", TABLES)
@QUICK
@example(edits=[("flip", 0.9220241625093344, b"\x00")])  # a compression method that zip files do not have
@given(edits=EDITS)
def test_a_damaged_table_is_refused(name, tmp_path_factory, edits):
    """A table that is edited anywhere gives finite, labelled rows or one line of error."""
    check_table(tmp_path_factory.mktemp("fuzz"), name, TABLES[name], edits)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", TABLES)
@LONG
@given(edits=EDITS)
def test_many_damaged_tables_are_refused(name, tmp_path_factory, edits):
    """The same, for 20,000 tables of each kind."""
    check_table(tmp_path_factory.mktemp("fuzz"), name, TABLES[name], edits)
