"""Wrong data and wrong hyperparameters are refused with their name and value before training starts."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import Dataset, Split
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import train
from pipeline.training.inputs import check_inputs

INPUTS, LABELS = np.random.default_rng(0).standard_normal((30, 4)), np.arange(30) % 3
DATA = Dataset(*[Split(INPUTS, LABELS)] * 3, classes=3)
CONFIG = TrainConfig(epochs=1, batch_size=10)


def with_value(array, value, dtype=None):
    """Return a copy with the value in row 7."""
    other = array.astype(dtype or array.dtype)
    other[7] = value
    return other


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (INPUTS, with_value(LABELS, 3), "labels: got 3; expected classes from 0 to 2"),
        (INPUTS, with_value(LABELS, -1), "labels: got -1; expected classes from 0 to 2"),
        (INPUTS, LABELS.astype(float), "labels: got float64 of shape .*; expected 30 whole numbers"),
        (INPUTS, LABELS.astype(str), "labels: got <U21 of shape .*; expected 30 whole numbers"),
        (INPUTS, LABELS[1:], r"labels: got int64 of shape \(29,\); expected 30 whole numbers"),
        (with_value(INPUTS, np.nan), LABELS, "inputs: got nan in row 7, column 0; expected finite numbers"),
        (with_value(INPUTS, -np.inf), LABELS, "inputs: got -inf in row 7, column 0; expected finite numbers"),
        (INPUTS.astype(object), LABELS, "inputs: got dtype object; expected numbers"),
        (INPUTS.astype(str), LABELS, "inputs: got dtype <U32; expected numbers"),
        (INPUTS.astype(complex), LABELS, "inputs: got dtype complex128; expected numbers"),
        (INPUTS[:0], LABELS[:0], r"inputs: got shape \(0, 4\); expected \(N, 4\), neither of them 0"),
    ],
)
def test_rows_that_cannot_be_trained_on(part, inputs, labels, message):
    """Wrong labels, missing numbers, other types and no rows are refused in any split, with the value and its place."""
    with pytest.raises(ValueError, match=f"^{part} {message}"):
        train([HyperParams()], replace(DATA, **{part: Split(inputs, labels)}), CONFIG)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(29), r"got float64 of shape \(29,\); expected 30 numbers"),
        (with_value(np.ones(30), -0.5), "got -0.5; expected finite numbers of at least 0"),
        (with_value(np.ones(30), np.nan), "got nan; expected finite numbers"),
        (np.zeros(30), "got zero for every row"),
    ],
)
def test_weights_that_cannot_be_trained_with(weights, message):
    """Weights of another shape, below 0, missing, or all 0 are refused."""
    with pytest.raises(ValueError, match=f"^train weights: {message}"):
        train([HyperParams()], replace(DATA, train=Split(INPUTS, LABELS, weights)), CONFIG)


def test_rows_of_another_width():
    """A split with another number of columns than the training rows is refused."""
    with pytest.raises(ValueError, match=r"val inputs: got shape \(30, 3\); expected \(N, 4\)"):
        train([HyperParams()], replace(DATA, val=Split(INPUTS[:, :3], LABELS)), CONFIG)


def test_no_trials_and_no_columns():
    """No trials, and rows without columns, are refused."""
    with pytest.raises(ValueError, match="trials: got none; expected at least one"):
        train([], DATA, CONFIG)
    bare = Split(INPUTS[:, :0], LABELS)
    with pytest.raises(ValueError, match=r"train inputs: got shape \(30, 0\); expected \(N, D\), neither of them 0"):
        train([HyperParams()], Dataset(bare, bare, bare, classes=3), CONFIG)


@pytest.mark.parametrize("name", ["learning_rate", "init", "l1", "l2"])
def test_a_number_beyond_float32_diverges(name):
    """The trial is marked as diverged, without a NumPy warning, and the other trial of the group is not affected."""
    history = train([HyperParams(**{name: 1e39}), HyperParams(**{name: 1e-3})], DATA, CONFIG)
    assert history.diverged.tolist() == [True, False]


def test_a_batch_larger_than_the_data():
    """The message has both sizes; a batch of all rows is allowed."""
    with pytest.raises(ValueError, match="batch_size: got 31; the training split has 30 rows"):
        train([HyperParams()], DATA, replace(CONFIG, batch_size=31))
    assert np.isfinite(train([HyperParams()], DATA, replace(CONFIG, batch_size=30)).curves["train/loss"]).all()


def test_the_default_batch_is_all_rows_where_there_are_fewer():
    """``"auto"`` is the recorded 64, and trains 30 rows with the bits of a batch of 30."""
    assert TrainConfig(batch_size="auto") == TrainConfig() == TrainConfig(batch_size=64)
    auto, all_rows = (train([HyperParams()], DATA, replace(CONFIG, batch_size=size)) for size in ("auto", 30))
    assert np.array_equal(auto.curves["train/loss"], all_rows.curves["train/loss"])


def test_rows_that_are_refused_do_not_change():
    """Neither the rows nor NumPy's error settings change."""
    inputs, before = with_value(INPUTS, np.nan), np.geterr()
    copy = inputs.copy()
    with pytest.raises(ValueError, match="train inputs: got nan"):
        train([HyperParams()], replace(DATA, train=Split(inputs, LABELS)), CONFIG)
    np.testing.assert_array_equal(inputs, copy)
    assert np.geterr() == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": (20, 0)}, "hidden: got 0; expected a whole number of at least 1"),
        ({"hidden": 0}, "hidden: got 0"),
        ({"hidden": (2.5,)}, "hidden: got 2.5"),
        ({"hidden": None}, "hidden: got None; expected sizes"),
        ({"learning_rate": -0.1}, "learning_rate: got -0.1; expected a finite number of at least 0"),
        ({"learning_rate": np.nan}, "learning_rate: got nan"),
        ({"learning_rate": "0.1"}, "learning_rate: got '0.1'"),
        ({"learning_rate": np.array(0.1, dtype=object)}, "learning_rate: got array"),
        ({"l2": -1}, "l2: got -1"),
        ({"momentum": 1.0}, "momentum: got 1.0; expected a finite number of at least 0 and below 1"),
        ({"dropout": 1.0}, "dropout: got 1.0"),
        ({"epsilon": 0.0}, "epsilon: got 0.0"),
        ({"init": -1.0}, "init: got -1.0"),
        ({"init": "hee"}, "init: got 'hee'"),
        ({"optimizer": "lion"}, "optimizer: got 'lion'; expected one of sgd"),
        ({"batch_norm": 1}, "batch_norm: got 1; expected True or False"),
        ({"seed": -1}, "seed: got -1"),
        ({"step_epochs": 0}, "step_epochs: got 0"),
    ],
)
def test_wrong_hyperparameters_are_refused(values, message):
    """The error names each with its value."""
    with pytest.raises(ValueError, match=message):
        HyperParams(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dtype": "object"}, "dtype: got 'object'; expected one of float32, float64"),
        ({"dtype": object}, "dtype: got <class 'object'>; expected one of"),
        ({"dtype": "float16"}, "dtype: got 'float16'"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"batch_size": 2.0}, "batch_size: got 2.0"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"preprocessing": "zca"}, "preprocessing: got 'zca'"),
    ],
)
def test_wrong_settings_are_refused(values, message):
    """The error names each with its value."""
    with pytest.raises(ValueError, match=message):
        TrainConfig(**values)


def test_a_row_of_a_later_chunk_has_its_number():
    """Rows are checked in chunks, and the message counts from the first row of all."""
    inputs = np.zeros((2500, 3))
    inputs[2100, 2] = np.inf
    with pytest.raises(ValueError, match=r"inputs: got inf in row 2100, column 2; expected finite numbers"):
        check_inputs("train", inputs, 3)
