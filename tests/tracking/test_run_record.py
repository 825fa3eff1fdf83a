"""A trial is one whole MLflow run, the same with either writer."""

import math
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from pipeline.tracking.run_record import run_record

CURVES = {"train/loss", "train/accuracy", "val/loss", "val/accuracy"}
SCORES = {"best/val_accuracy", "best/epoch", "gap", "test/accuracy", "test/loss"}


def rows(query):
    """Return what SQLite answers, without MLflow."""
    with closing(sqlite3.connect("mlflow.db")) as connection:
        return connection.execute(query).fetchall()


def record_one(tracker, study, trial):
    """Record a trial, and return its run as MLflow reads it."""
    (run_id,) = tracker.record(study, [trial])
    return tracker.client.get_run(run_id)


def test_a_run_says_what_the_trial_is(either, study, finish):
    """The tags are the trial's identity, its health and whether it diverged; the run is a child of the study's."""
    trial = finish(3)
    tags = record_one(either, study, trial).data.tags
    expected = {
        "kind": "trial",
        "study": "made_up",
        "arm": "random",
        "sampler": "random",
        "block": "2",
        "trial": "3",
        "seed": str(trial.plan.hparams.seed),
        "diverged": "False",
        "health": "good",
        "mlflow.parentRunId": either.run_id,
        "mlflow.runName": "random-b02-0003",
        "mlflow.source.name": "babysit",
        "mlflow.source.type": "LOCAL",
    }
    assert {key: tags[key] for key in tags if key != "mlflow.user"} == expected


def test_params_are_the_searched_values(either, study, finish):
    """The arm and the searched hyperparameters are params, with a log10 twin for those on a log scale."""
    assert record_one(either, study, finish(1)).data.params == {
        "arm": "random",
        "learning_rate": "0.01",
        "momentum": "0.1",
        "init": "he",
        "log10_learning_rate": "-2.0",
    }


def test_curves_go_by_epoch(either, study, finish):
    """Each of the four curves comes back whole, at steps 1 to the number of epochs."""
    trial = finish(0)
    run_id = record_one(either, study, trial).info.run_id
    for key in CURVES:
        history = either.client.get_metric_history(run_id, key)
        assert [(point.step, point.value) for point in history] == list(enumerate(trial.result.curves[key], start=1))


def test_scores_are_metrics(either, study, finish):
    """Each score of the checkpoint is a metric; of a curve MLflow shows the last epoch, not the checkpoint's."""
    trial = finish(2)
    metrics = record_one(either, study, trial).data.metrics
    assert set(metrics) == CURVES | SCORES
    assert {key: metrics[key] for key in SCORES} == {key: trial.result.scores[key] for key in SCORES}
    assert metrics["train/loss"] == trial.result.curves["train/loss"][-1] != trial.result.scores["train/loss"]


def test_a_run_is_finished_and_timed(either, study, finish):
    """A run is FINISHED, ends when the trial did, and lasts as long as the training."""
    info = record_one(either, study, finish(4)).info
    assert (info.status, info.lifecycle_stage) == ("FINISHED", "active")
    assert info.end_time == 1_700_000_004_250
    assert info.end_time - info.start_time == 1500
    assert info.artifact_uri.endswith(f"mlruns/{either.experiment_id}/{info.run_id}/artifacts")


def test_what_is_not_finite_is_left_out(either, study, finish):
    """NaN and infinity are not written: a curve ends before them, and such a score is missing."""
    curves = {key: [0.5, 0.25, math.nan, math.inf] for key in CURVES}
    scores = {**finish(0).result.scores, "test/loss": math.nan, "gap": -math.inf}
    run = record_one(either, study, finish(0, curves=curves, scores=scores, diverged=True))
    assert run.data.tags["diverged"] == "True"
    assert set(run.data.metrics) == CURVES | SCORES - {"test/loss", "gap"}
    assert [p.step for p in either.client.get_metric_history(run.info.run_id, "val/loss")] == [1, 2]
    assert rows("SELECT count(*) FROM metrics WHERE is_nan OR abs(value) > 1e300") == [(0,)]


def test_a_trial_without_numbers_is_a_run(either, study, finish):
    """A trial that diverged before its first number is a finished run that has no metric."""
    run = record_one(either, study, finish(0, curves=dict.fromkeys(CURVES, ()), scores={}, diverged=True))
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {}
    assert rows("SELECT count(*) FROM metrics") == [(0,)]


def test_numpy_scalars_are_not_stored(either, study, finish):
    """NumPy's numbers arrive as SQLite's own integers and reals; as bytes they would make the experiment unreadable."""
    curves = {key: np.linspace(0, 1, 5, dtype=np.float32) for key in CURVES}
    scores = {"best/epoch": np.int64(3), "gap": np.float32(0.5)}
    trial = finish(0, curves=curves, scores=scores, ended=np.float64(1.7e9), seconds=np.float32(2))
    points = run_record(study, trial, either.run_id).points
    assert {tuple(map(type, point)) for point in points} == {(str, float, int, int)}
    record_one(either, study, trial)
    for table in ("metrics", "latest_metrics"):
        kinds = rows(f"SELECT DISTINCT typeof(step), typeof(value), typeof(timestamp) FROM {table}")  # noqa: S608
        assert kinds == [("integer", "real", "integer")]
    assert rows("SELECT DISTINCT typeof(start_time), typeof(end_time), typeof(experiment_id) FROM runs") == [
        ("integer", "null", "integer"),
        ("integer", "integer", "integer"),
    ]


def test_ids_come_in_the_order_of_the_trials(either, study, finish):
    """The n-th id is that of the n-th trial, in any order; without trials there are no runs."""
    numbers = [5, 1, 3]
    ids = either.record(study, [finish(number) for number in numbers])
    assert [either.client.get_run(run_id).data.tags["trial"] for run_id in ids] == ["5", "1", "3"]
    assert either.record(study, []) == []


@pytest.mark.parametrize("numbers", [{"curves": {key: [0.5] for key in CURVES}}, {"seconds": 0.0}])
def test_short_trials_are_runs_too(numbers, either, study, finish):
    """One epoch, or a time too short to measure, is recorded like any other."""
    assert record_one(either, study, finish(0, **numbers)).info.status == "FINISHED"
