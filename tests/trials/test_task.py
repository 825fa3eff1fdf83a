"""Tasks: their results, and that the numbers are those of the network's version."""

import pickle
import subprocess
import sys

import pytest

from pipeline.data import small_block
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.trials.task import NETWORK_VERSION, Task, run_task
from pipeline.trials.trial import PlannedTrial

POINTS = [
    {"learning_rate": 0.3, "l2": 1e-3, "activation": "relu", "init": "he", "batch_norm": False},
    {"learning_rate": 0.3, "l2": 1e-3, "activation": "tanh", "init": "xavier", "batch_norm": True},
    {"learning_rate": 0.03, "l2": 1e-5, "activation": "sigmoid", "init": "small", "batch_norm": True},
    {"learning_rate": 0.1, "l2": 0.0, "activation": "tanh", "init": 0.05, "batch_norm": False},
]
GOLDEN = {
    7: [
        [0.39522, 0.2302, 0.18041],
        [0.54459, 0.34583, 0.26344],
        [2.28765, 2.22975, 2.12114],
        [1.66635, 1.1111, 0.77045],
    ]
}
"""The validation losses of three epochs of each point, by version of the network."""


@pytest.fixture(scope="module")
def finished():
    """The four points, trained for three epochs."""
    trials = [PlannedTrial("a", "a", 0, n, point, HyperParams(**point, seed=n)) for n, point in enumerate(POINTS)]
    return run_task(Task(tuple(trials), "digits", TrainConfig(epochs=3), split_seed=1, order_seed=2))


def test_the_numbers_are_those_of_the_version(finished):
    """Trials have the recorded numbers of their version; a deliberate change needs a higher NETWORK_VERSION."""
    losses = [trial.result.curves["val/loss"] for trial in finished]
    for measured, golden in zip(losses, GOLDEN[NETWORK_VERSION], strict=True):
        assert measured == pytest.approx(golden, rel=1e-3)


def test_results_come_in_the_order_of_the_plan(finished):
    """Results have the order of the trials, whatever groups the trials were trained in."""
    assert [trial.plan.number for trial in finished] == [0, 1, 2, 3]


def test_a_result_is_plain(finished):
    """A result has no NumPy scalar, so every store accepts it."""
    for trial in finished:
        plain = [*trial.attributes.values(), *trial.result.curves["val/loss"]]
        assert {type(value) for value in plain} <= {str, int, float, bool}


def test_each_trial_is_diagnosed():
    """A learning rate far too high gives a code and a sentence; the metrics are those of a guess."""
    plan = PlannedTrial("a", "a", 0, 0, {"learning_rate": 1e4}, HyperParams(learning_rate=1e4))
    (trial,) = run_task(Task((plan,), "digits", TrainConfig(epochs=5), split_seed=1, order_seed=2))
    assert trial.attributes["health"] == "diverged"
    assert "learning rate 1e+04 far too high" in trial.attributes["diagnosis"]
    assert trial.metrics["test/accuracy"] == 0.1


def test_a_worker_that_gets_its_data_needs_numpy_alone():
    """A new process trains a task on data sent to it, to the same bits, without importing scikit-learn."""
    plan = PlannedTrial("a", "a", 0, 0, POINTS[0], HyperParams(**POINTS[0]))
    task = Task((plan,), "digits", TrainConfig(epochs=2), split_seed=1, order_seed=2)
    sent = pickle.dumps((run_task, task, small_block(task.dataset, task.config, task.split_seed)))
    code = (
        "import pickle, sys; run, *sent = pickle.load(sys.stdin.buffer); (trial,) = run(*sent);"
        "assert 'sklearn' not in sys.modules; print(trial.result.curves['val/loss'])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=sent, stdout=subprocess.PIPE, check=True)
    (alone,) = run_task(task)
    assert done.stdout.decode().strip() == str(alone.result.curves["val/loss"])


def test_a_large_dataset_is_not_sent(monkeypatch):
    """A large dataset is not sent with its task: workers load the file that it was prepared into."""
    monkeypatch.setattr("pipeline.data.dataset.SMALL_BYTES", 1000)
    assert small_block("digits", TrainConfig(), 0) is None
