"""The runs of arms: the best trial so far by number of trials, appended, resumed, and written again where they disagree."""

from dataclasses import replace

import pytest

from pipeline.tracking import arm_runs
from pipeline.tracking.arm_runs import ArmRuns

VAL, TEST = "best_so_far/val_accuracy", "best_so_far/test_accuracy"
SCORES = [(0.5, 0.4), (0.7, 0.6), (0.6, 0.9), (0.7, 0.8)]
"""The validation and test accuracies of four trials; the last ties with the second."""


@pytest.fixture(scope="module")
def small(study):
    """The study with as many trials as there are scores."""
    return replace(study, trials=len(SCORES))


def opened(tracker, study, numbers, arm="random", scores=SCORES):
    """The arms' runs, with these trials of one block recorded before."""
    found = ArmRuns(tracker, study)
    for number in numbers:
        add(found, number, arm, scores)
    found.compare()
    return found


def add(found, number, arm="random", scores=SCORES, epochs=5):
    """Add a trial; the first diverged."""
    validation, test = scores[number]
    place = {"arm": arm, "block": 2, "trial": number, "diverged": number == 0, "epochs": epochs}
    found.add(
        {**place, "best/val_accuracy": validation, "test/accuracy": test}, f"{number:032x}", 1_700_000_000 + number
    )


def curve(tracker, run, metric):
    """The recorded values of a metric by step; no step is there twice."""
    points = tracker.client.get_metric_history(run.info.run_id, metric)
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in sorted(points, key=lambda point: point.step)}


def only(tracker):
    """The one run of an arm."""
    (run,) = tracker.children("arm")
    return run


def test_a_whole_run_has_the_best_so_far(either, small):
    """By number of trials: the best validation accuracy, and the test accuracy of the earliest trial that has it."""
    opened(either, small, range(4)).close()
    run = only(either)
    assert curve(either, run, VAL) == {1: 0.5, 2: 0.7, 3: 0.7, 4: 0.7}
    assert curve(either, run, TEST) == {1: 0.4, 2: 0.6, 3: 0.6, 4: 0.6}
    totals = {"trials": 4, "diverged": 1, "diverged_share": 0.25}
    assert run.data.metrics == {VAL: 0.7, TEST: 0.6, **totals}
    tags = {
        "kind": "arm",
        "arm": "random",
        "block": "2",
        "sampler": "random",
        "budget": "4",
        "choice": "random-b02-0001",
    }
    assert {key: run.data.tags[key] for key in tags} == tags
    assert run.data.tags["mlflow.parentRunId"] == either.run_id
    assert f"/runs/{1:032x}?" in run.data.tags["mlflow.note.content"]
    assert (run.info.run_name, run.info.status) == ("random-b02", "FINISHED")


def test_a_trial_that_was_pruned_is_not_chosen(tracker, small):
    """A pruned trial with the highest validation accuracy is not the best so far, as it is not on the report's page."""
    found = opened(tracker, small, ())
    for number in range(4):
        add(found, number, epochs=3 if number == 1 else 5)
    found.close()
    assert curve(tracker, only(tracker), VAL) == {1: 0.5, 2: 0.7, 3: 0.6, 4: 0.7}
    assert only(tracker).data.tags["choice"] == "random-b02-0003"


def test_a_run_grows_with_its_search(tracker, small, monkeypatch):
    """During a search new points are appended to a RUNNING run; it is FINISHED when its budget is recorded."""
    monkeypatch.setattr(arm_runs, "WRITE_SECONDS", 0)
    monkeypatch.setattr(arm_runs, "WRITE_SHARE", 1e9)
    found, seen = opened(tracker, small, []), []
    for number in range(4):
        add(found, number)
        found.write_if_due()
        run = only(tracker)
        seen.append((run.info.run_id, run.info.status, len(curve(tracker, run, VAL))))
    assert [(status, points) for _, status, points in seen] == [
        ("RUNNING", 1),
        ("RUNNING", 2),
        ("RUNNING", 3),
        ("FINISHED", 4),
    ]
    assert len({run_id for run_id, *_ in seen}) == 1


def test_nothing_is_written_before_it_is_due(tracker, small):
    """Soon after the last time, nothing is written; the end of a search writes all."""
    found = opened(tracker, small, range(2))
    found.write_if_due()
    assert tracker.children("arm") == []
    found.close()
    assert only(tracker).info.status == "KILLED"


@pytest.mark.parametrize("cut_short", ["stopped", "killed"])
def test_a_cut_run_is_resumed(cut_short, tracker, small):
    """After a stop, or a kill that left it RUNNING, the same run gets the missing points alone."""
    first = opened(tracker, small, range(2))
    first.close() if cut_short == "stopped" else first.write()
    before = only(tracker)
    assert before.info.status == ("KILLED" if cut_short == "stopped" else "RUNNING")
    opened(tracker, small, range(4)).close()
    run = only(tracker)
    assert (run.info.run_id, run.info.status) == (before.info.run_id, "FINISHED")
    assert curve(tracker, run, VAL) == {1: 0.5, 2: 0.7, 3: 0.7, 4: 0.7}


def test_a_finished_run_is_left_alone(tracker, small):
    """Opened again with the same trials, it is the same run, and nothing is added."""
    opened(tracker, small, range(4)).close()
    before = only(tracker)
    opened(tracker, small, range(4)).close()
    assert (only(tracker).info.run_id, only(tracker).data.to_dictionary()) == (
        before.info.run_id,
        before.data.to_dictionary(),
    )


@pytest.mark.parametrize("reason", ["deleted", "twice", "other scores", "fewer trials"])
def test_a_run_that_disagrees_is_written_again(reason, tracker, small):
    """A deleted run is made again, a double one removed, and one of other or lost trials replaced."""
    scores = [SCORES[0], (0.9, 0.9), *SCORES[2:]] if reason == "other scores" else SCORES
    opened(tracker, small, range(4), scores=scores).close()
    if reason == "deleted":
        tracker.client.delete_run(only(tracker).info.run_id)
    if reason == "twice":
        tracker.client.create_run(tracker.experiment_id, tags=only(tracker).data.tags)
    number = 3 if reason == "fewer trials" else 4
    opened(tracker, small, range(number)).close()
    assert curve(tracker, only(tracker), TEST) == dict(enumerate([0.4, 0.6, 0.6, 0.6][:number], start=1))


def test_a_trial_that_was_lost_takes_its_place(tracker, small):
    """A trial that is trained again goes before the later ones, and the whole curve is written again."""
    found = opened(tracker, small, (0, 2, 3))
    found.write()
    add(found, 1)
    found.close()
    assert curve(tracker, only(tracker), TEST) == {1: 0.4, 2: 0.6, 3: 0.6, 4: 0.6}


def test_the_reports_curves_are_added_and_replaced(either, small):
    """The first report's curves are appended, the same ones are not written twice, and others replace the run."""
    place = ("random", 2)
    opened(either, small, range(4)).close()
    before, wanted = only(either), {"expected/test_accuracy": {1: 0.4, 4: 0.7}}
    for _ in range(2):
        found = opened(either, small, range(4))
        found.set_curves({place: wanted})
        found.close()
        assert only(either).info.run_id == before.info.run_id
        assert curve(either, only(either), "expected/test_accuracy") == {1: 0.4, 4: 0.7}
    found = opened(either, small, range(4))
    found.set_curves({place: {"expected/test_accuracy": {1: 0.4, 4: 0.75}}})
    found.close()
    run = only(either)
    assert run.info.run_id != before.info.run_id
    assert curve(either, run, "expected/test_accuracy") == {1: 0.4, 4: 0.75}
    assert curve(either, run, VAL) == {1: 0.5, 2: 0.7, 3: 0.7, 4: 0.7}


def test_another_generation_is_not_touched(tracker, small):
    """The runs of another study's generation below the same run stay, and are not taken over."""
    tracker.generation = "one"
    opened(tracker, small, range(4)).close()
    theirs = only(tracker)
    tracker.generation = "two"
    opened(tracker, small, range(2)).close()
    assert only(tracker).info.run_id != theirs.info.run_id
    tracker.generation = "one"
    assert only(tracker).data.to_dictionary() == theirs.data.to_dictionary()
