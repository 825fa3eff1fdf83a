"""Dropout: right on average, silent in testing, and each trial's own."""

import numpy as np

from pipeline.nn.layers import Dropout, Workspace

ROWS, WIDTH = 400, 500


def run(keep, seeds, *, training=True):
    """Return dropout's outputs for inputs of ones, (K, B, H)."""
    workspace = Workspace(len(seeds), ROWS, "float64")
    workspace.generators = [np.random.default_rng(seed) for seed in seeds]
    params = {"keep": np.reshape(keep, (-1, 1, 1))}
    return Dropout(0, WIDTH).forward(params, np.ones((len(seeds), ROWS, WIDTH)), workspace, training=training)


def test_the_expected_output_is_the_input():
    """For inputs of 1, outputs are 0 or 1/keep, and their mean is 1 within three standard errors."""
    keep = np.array([0.5, 0.8])
    outputs = run(keep, [0, 1])
    for k in range(2):
        assert set(np.unique(outputs[k])) == {0.0, 1 / keep[k]}
        error = np.sqrt((1 - keep[k]) / keep[k] / (ROWS * WIDTH))
        assert abs(outputs[k].mean() - 1) < 3 * error


def test_testing_changes_nothing():
    """In test mode, outputs equal inputs."""
    np.testing.assert_array_equal(run([0.5], [0], training=False), 1)


def test_each_trial_draws_its_own_mask():
    """A mask comes from the trial's generator: it is the same alone and in a group, and differs for another seed."""
    together, alone = run([0.5, 0.5], [7, 8]), run([0.5], [8])
    np.testing.assert_array_equal(together[1], alone[0])
    assert (together[0] != together[1]).mean() > 0.4
