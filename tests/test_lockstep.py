"""A trial's numbers never depend on its company."""

import numpy as np
import pytest

from pipeline.data import load_block
from pipeline.hparams import HyperParams, TrainConfig
from pipeline.training import History, train

CONFIG = TrainConfig(epochs=3, batch_size=50)


def mixed_trials(count):
    """Trials over mixed structures and numbers, some of which diverge."""
    rng = np.random.default_rng(3)
    return [
        HyperParams(
            learning_rate=float(10 ** rng.uniform(-3, 2)),
            l2=float(10 ** rng.uniform(-6, -1)),
            momentum=float(rng.choice([0.0, 0.5])),
            activation=str(rng.choice(["relu", "tanh", "sigmoid"])),
            init=[str(rng.choice(["small", "xavier", "he"])), 0.2][k % 2],
            batch_norm=bool(rng.integers(2)),
            seed=k,
        )
        for k in range(count)
    ]


def values(history: History):
    """Everything a history says, except the time it took."""
    arrays = {**history.curves, **history.scores, "val": history.val_correct, "test": history.test_correct}
    return {**arrays, "diverged": history.diverged, "epochs": history.epochs}


@pytest.fixture(scope="module")
def data():
    """The digits in one block's splits."""
    return load_block("digits", CONFIG, 0)


@pytest.fixture(scope="module")
def together(data):
    """24 trials and what became of them in lockstep."""
    return mixed_trials(24), train(mixed_trials(24), data, CONFIG)


def assert_same(history, other, members):
    """The other history is that of these members, bit for bit."""
    for key, value in values(history).items():
        np.testing.assert_array_equal(values(other)[key], value[members], err_msg=key, strict=True)


def test_a_group_equals_its_members_trained_alone(together, data):
    """Training 24 mixed trials in lockstep gives the bits of training each alone."""
    trials, history = together
    assert history.diverged.any()
    assert not history.diverged.all()
    for k, trial in enumerate(trials):
        assert_same(history, train([trial], data, CONFIG), [k])


def test_order_and_split_change_nothing(together, data):
    """Shuffling the trials and cutting them into groups anywhere gives the same bits, each in its place."""
    trials, history = together
    order = np.random.default_rng(0).permutation(len(trials))
    for members in (order[:7], order[7:]):
        assert_same(history, train([trials[k] for k in members], data, CONFIG), members)


def test_a_diverged_trial_scores_as_a_guess_and_keeps_its_finite_curve(together):
    """It is flagged, its accuracies are 1/C, and its curves are finite exactly until it diverged."""
    _, history = together
    for k in np.flatnonzero(history.diverged):
        assert history.scores["best/val_accuracy"][k] == history.scores["test/accuracy"][k] == 0.1
        assert np.isnan(history.scores["test/loss"][k])
        for curve in history.curves.values():
            assert np.isfinite(curve[k, : history.epochs[k]]).all()
            assert np.isnan(curve[k, history.epochs[k] :]).all()
