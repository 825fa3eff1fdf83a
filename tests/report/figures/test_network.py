"""The portrait of a network: its pictures hold the numbers of the trial that they are of."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pipeline.data import load_block
from pipeline.estimator.trial_training import retrain_trial
from pipeline.report.figures.network import portrait, save_pictures
from pipeline.study.hparams import HyperParams, TrainConfig

CONFIG = TrainConfig(epochs=3)


@pytest.fixture(scope="module")
def block():
    """A block of the digits."""
    return load_block("digits", CONFIG, 0)


def drawn(block, **settings):
    """The pictures of a trial, by name, and its record."""
    record = retrain_trial(HyperParams(learning_rate=0.1, **settings), block, CONFIG)
    return {picture.name: picture for picture in portrait(record, block)}, record


def test_a_portrait_shows_the_trial(block):
    """Losses, accuracies and update ratios are the record's; the title says the gap; each hidden layer has a histogram."""
    pictures, record = drawn(block, hidden=(20, 15))
    assert list(pictures) == ["loss", "accuracy", "update_ratio", "activations", "first_weights"]
    np.testing.assert_array_equal(pictures["loss"].table["val"], record.curves["val/loss"][0])
    accuracy = pictures["accuracy"].table
    best = accuracy["val"].argmax()
    assert (
        f"{100 * (accuracy['train'] - accuracy['val'])[best]:.1f} points at epoch {best + 1}"
        in pictures["accuracy"].title
    )
    ratios = pictures["update_ratio"].table.pivot_table(index="epoch", columns="layer", values="update_ratio")
    np.testing.assert_array_equal(ratios, record.layers["update_ratio"][0])
    assert list(pictures["activations"].table["layer"]) == [1, 2]


def test_the_first_weights_are_the_longest(block):
    """The images are of the units with the longest weights, in that order; of convolutions there are none."""
    pictures, record = drawn(block, hidden=(30,))
    norms = np.linalg.norm(record.checkpoint.params.weights[0][0], axis=0)
    np.testing.assert_array_equal(pictures["first_weights"].table["unit"], np.argsort(-norms, kind="stable")[:16])
    assert "first_weights" not in drawn(block, conv="4p", hidden=())[0]


@pytest.mark.parametrize("shape", [(), (64,), (2, 4, 8)])
def test_rows_that_are_no_images_have_no_weights_as_images(shape, block):
    """Neither a table's rows nor those that lost their shape; nor are there histograms of a network without a hidden layer."""
    pictures, _ = drawn(dataclasses.replace(block, shape=shape), hidden=())
    assert list(pictures) == ["loss", "accuracy", "update_ratio"]


def test_pictures_are_written_with_their_numbers(block, tmp_path):
    """A PNG and a CSV for each."""
    pictures, record = drawn(block, hidden=(5,))
    save_pictures(pictures.values(), tmp_path / "best")
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        f"{n}.{kind}" for n in pictures for kind in ("png", "csv")
    }
    table = pd.read_csv(tmp_path / "best" / "loss.csv")
    np.testing.assert_allclose(table["train"], record.curves["train/loss"][0], rtol=1e-12)
