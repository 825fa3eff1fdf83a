"""The figures of a trained network show the numbers of its trial."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from pipeline.data import load_block
from pipeline.estimator.trial_training import retrain_trial
from pipeline.report.figures.network import network_figures, save_figures
from pipeline.study.hparams import HyperParams, TrainConfig

CONFIG = TrainConfig(epochs=3)


@pytest.fixture(scope="module")
def block():
    """A block of the digits."""
    return load_block("digits", CONFIG, 0)


def figures_of(block, **settings):
    """Return the figures of a trial, by name, and its record."""
    record = retrain_trial(HyperParams(learning_rate=0.1, **settings), block, CONFIG)
    return {figure.name: figure for figure in network_figures(record, block)}, record


@pytest.fixture(scope="module")
def deep(block):
    """The figures of a trial of two hidden layers, by name, and its record."""
    return figures_of(block, hidden=(20, 15))


def test_the_figures_show_the_numbers_of_the_trial(deep):
    """Losses, accuracies and update ratios are the record's; the title has the gap; each hidden layer has a histogram."""
    figures, record = deep
    assert list(figures) == ["loss", "accuracy", "update_ratio", "activations", "first_weights"]
    np.testing.assert_array_equal(figures["loss"].table["val"], record.curves["val/loss"][0])
    accuracy = figures["accuracy"].table
    best = accuracy["val"].argmax()
    assert (
        f"{100 * (accuracy['train'] - accuracy['val'])[best]:.1f} points at epoch {best + 1}"
        in figures["accuracy"].title
    )
    ratios = figures["update_ratio"].table.pivot_table(index="epoch", columns="layer", values="update_ratio")
    np.testing.assert_array_equal(ratios, record.layer_statistics["update_ratio"][0])
    assert list(figures["activations"].table["layer"]) == [1, 2]


def test_the_figures_of_layers_and_weights_are_labelled(deep):
    """The histograms have a title, named axes and a number for each layer; each image has the number of its unit."""
    figures, _ = deep
    texts = {name: re.findall(r">([^<>]+)</text>", figure.svg) for name, figure in figures.items()}
    assert {"Outputs of each hidden layer", "output of a unit", "how often", "layer 1", "layer 2"} <= set(
        texts["activations"]
    )
    units = {f"unit {unit}" for unit in figures["first_weights"].table["unit"]}
    assert {"Weights into first-layer units, the longest first", *units} <= set(texts["first_weights"])


def test_the_first_weights_are_the_largest(block):
    """The images are of the units with the largest weights, in that order; a convolution has no images."""
    figures, record = figures_of(block, hidden=(30,))
    norms = np.linalg.norm(record.checkpoint.params.weights[0][0], axis=0)
    np.testing.assert_array_equal(figures["first_weights"].table["unit"], np.argsort(-norms, kind="stable")[:16])
    assert "first_weights" not in figures_of(block, conv="4p", hidden=())[0]


@pytest.mark.parametrize("shape", [(), (64,), (2, 4, 8)])
def test_inputs_that_are_not_images_have_no_images_of_weights(shape, block):
    """Inputs without an image's shape have no images of weights; a network without a hidden layer has no histograms."""
    figures, _ = figures_of(dataclasses.replace(block, shape=shape), hidden=())
    assert list(figures) == ["loss", "accuracy", "update_ratio"]


def test_figures_are_written_with_their_numbers(block, tmp_path):
    """Each figure has a PNG and a CSV."""
    figures, record = figures_of(block, hidden=(5,))
    save_figures(figures.values(), tmp_path / "best")
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        f"{n}.{kind}" for n in figures for kind in ("png", "csv")
    }
    table = pd.read_csv(tmp_path / "best" / "loss.csv")
    np.testing.assert_allclose(table["train"], record.curves["train/loss"][0], rtol=1e-12)
