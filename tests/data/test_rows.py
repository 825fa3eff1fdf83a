"""Labelled rows: their hash, their statistics by columns, and the place of a bad cell."""

import tracemalloc

import numpy as np
import pytest

from pipeline.data.rows import CHUNK, COLUMNS, Rows, by_columns, check_inputs, digest
from pipeline.errors import UserError


def rows_of(count, features=3, dtype=float):
    """Random rows of three classes in turn."""
    inputs = np.random.default_rng(0).integers(0, 256, (count, features)).astype(dtype)
    return Rows(inputs, np.arange(count) % 3, tuple("abc"))


def test_other_data_have_another_hash():
    """Another pixel, label, type or shape changes the hash; another layout in memory does not."""
    rows = rows_of(30)
    pixel, labels = rows.inputs.copy(), rows.labels.copy()
    pixel[4, 1] += 1
    labels[0] = 1
    others = [
        Rows(pixel, rows.labels, rows.class_names),
        Rows(rows.inputs, labels, rows.class_names),
        Rows(rows.inputs.astype(np.float32), rows.labels, rows.class_names),
        Rows(rows.inputs.reshape(-1, 1), rows.labels, rows.class_names),
    ]
    assert len({digest(other) for other in [*others, rows]}) == 5
    same = Rows(np.asfortranarray(rows.inputs.astype(">f8")), rows.labels.astype(np.int32), ("other", "names", "x"))
    assert digest(same) == digest(rows)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, float])
@pytest.mark.parametrize("statistic", [np.mean, np.std])
def test_statistics_by_columns_have_the_same_bits(statistic, dtype):
    """Means and deviations of a few columns at a time have the bits of those of all columns at once."""
    inputs = rows_of(1000, features=2 * COLUMNS + 7, dtype=dtype).inputs
    np.testing.assert_array_equal(by_columns(statistic, inputs), statistic(inputs, axis=0))


def test_a_deviation_by_columns_makes_no_float64_copy():
    """It takes the memory of a few columns in float64."""
    inputs = rows_of(1000, features=8 * COLUMNS, dtype=np.uint8).inputs
    tracemalloc.start()
    by_columns(np.std, inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 1000 * COLUMNS * 8


def test_a_cell_beyond_the_first_chunk_is_named_right():
    """The row number counts from the first row, not from the first of a chunk."""
    inputs = np.zeros((2 * CHUNK + 5, 3))
    inputs[CHUNK + 1, 2] = np.nan
    with pytest.raises(UserError, match=f"row {CHUNK + 2}, column 'c'"):
        check_inputs("table", inputs, "abc")
