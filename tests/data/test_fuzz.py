"""Files that somebody has tampered with: each one is read right, or refused in one line, and nothing else happens."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.data.cifar import read_records
from pipeline.data.tables import load_table
from pipeline.errors import UserError

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]), st.floats(0, 1), st.binary(min_size=1, max_size=64)
    ),
    min_size=1,
    max_size=8,
)


def edited(content, edits, places=None):
    """The content after some edits, each at a share of its length, or of these places in it."""
    found = bytearray(content)
    for kind, share, extra in edits:
        anywhere = places or range(len(found) or 1)
        at = anywhere[int(share * (len(anywhere) - 1))]
        if kind == "flip" and at < len(found):
            found[at] ^= extra[0] or 1
        elif kind == "cut":
            del found[at : at + 16 * len(extra)]
        else:
            found[at:at] = extra if kind == "insert" else bytes(found[at : at + 16 * len(extra)])
    return bytes(found)


def resealed(tar):
    """A tar whose edited headers have sums that are right again: who means harm sees to that."""
    found = bytearray(tar)
    for start in headers(found):
        field = slice(start + 148, start + 156)
        found[field] = b" " * 8
        found[field] = b"%06o\0 " % sum(found[start : start + 512])
    return bytes(found)


def headers(tar):
    """Where the headers of a tar begin."""
    return [start for start in range(0, len(tar) - 511, 512) if tar[start + 257 : start + 262] == b"ustar"]


def edited_inside(packed, edits):
    """A .tar.gz whose tar had its headers edited before it was packed, so that all sums are right."""
    tar = gzip.decompress(packed)
    return gzip.compress(resealed(edited(tar, edits, [start + i for start in headers(tar) for i in range(512)])), 1)


def outcome(read, path):
    """What reading gives, or the one line that refuses."""
    try:
        return read(path)
    except UserError as error:
        line = str(error)
    assert "\n" not in line
    assert path.name in line
    return None


@pytest.fixture(scope="module")
def archive(forge):
    """A small archive of the true format, and its bytes."""
    found = forge.small("cifar10")
    return found, forge.published(found)


def hold_archive(folder, archive, content):
    """A tampered archive gives all records or is refused, and leaves no file beside it."""
    known, _ = archive
    path = folder / "archive.tar.gz"
    path.write_bytes(content)
    records = outcome(lambda file: read_records(file, known), path)
    assert records is None or records.shape == known.shape
    assert [file.name for file in folder.iterdir()] == [path.name]


def hold_table(folder, name, content, edits):
    """A tampered table gives finite rows, each with a label, or is refused."""
    path = folder / name
    path.write_bytes(edited(content, edits))
    rows = outcome(lambda file: load_table(str(file)), path)
    if rows is not None:
        assert len(rows.inputs) == len(rows.labels)
        assert np.isfinite(rows.inputs).all()
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


TABLES = {"rows.npz": npz(), "rows.csv": csv(), "rows.parquet": parquet()}
TAMPER = {"packed": edited, "inside": edited_inside}
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(QUICK, max_examples=20_000)


@pytest.mark.parametrize("way", TAMPER)
@QUICK
@given(edits=EDITS)
def test_a_tampered_archive_is_refused(way, archive, tmp_path_factory, edits):
    """An archive edited anywhere, as it is packed or inside, gives all of its records or one line, and writes nothing."""
    hold_archive(tmp_path_factory.mktemp("fuzz"), archive, TAMPER[way](archive[1], edits))


@pytest.mark.parametrize("name", TABLES)
@QUICK
@example(edits=[("flip", 0.9220241625093344, b"\x00")])  # a compression that no zip file has
@given(edits=EDITS)
def test_a_tampered_table_is_refused(name, tmp_path_factory, edits):
    """A table edited anywhere gives finite, labelled rows or one line."""
    hold_table(tmp_path_factory.mktemp("fuzz"), name, TABLES[name], edits)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("way", TAMPER)
@LONG
@given(edits=EDITS)
def test_tampered_archives_for_long(way, archive, tmp_path_factory, edits):
    """The same, for 20,000 archives each way."""
    hold_archive(tmp_path_factory.mktemp("fuzz"), archive, TAMPER[way](archive[1], edits))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", TABLES)
@LONG
@given(edits=EDITS)
def test_tampered_tables_for_long(name, tmp_path_factory, edits):
    """The same, for 20,000 tables of each kind."""
    hold_table(tmp_path_factory.mktemp("fuzz"), name, TABLES[name], edits)
