"""Test accuracy: high on rows that did not influence training or selection, and without influence on them."""

from dataclasses import replace

import numpy as np

from pipeline.data import load_block
from pipeline.search.plan import make_task, plan
from pipeline.study.loading import find_study
from pipeline.training import train
from pipeline.trials.task import run_task

DEFAULT = find_study("random_vs_grid", {"trials": 36, "blocks": 1})
RANDOM = [trial for trial in plan(DEFAULT) if trial.arm == "random"]


def test_the_best_models_reach_96_percent_on_held_out_digits():
    """Of 36 random trials of the default study, the one with the best validation accuracy has a test accuracy of 0.96."""
    finished = run_task(make_task(DEFAULT, RANDOM))
    chosen = max(finished, key=lambda trial: trial.metrics["best/val_accuracy"])
    assert len(finished) == 36
    assert chosen.metrics["test/accuracy"] >= 0.96


def test_test_rows_influence_nothing():
    """With other test labels, all curves and the chosen epoch are the same bits; only the test scores change."""
    data = load_block(DEFAULT.dataset, DEFAULT.config, 0)
    spoilt = replace(data, test=replace(data.test, labels=(data.test.labels + 1) % data.classes))
    trials = [trial.hparams for trial in RANDOM[:12]]
    original, other = (train(trials, rows, DEFAULT.config) for rows in (data, spoilt))
    for name, curves in original.curves.items():
        assert np.array_equal(curves, other.curves[name], equal_nan=True), name
    changed = {
        name
        for name, values in original.scores.items()
        if not np.array_equal(values, other.scores[name], equal_nan=True)
    }
    assert changed <= {"test/accuracy", "test/loss"}
    assert "test/accuracy" in changed
