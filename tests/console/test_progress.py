"""The progress of a search: its counts, its bars on a terminal, and plain lines elsewhere."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline.console.progress import Progress
from pipeline.study.hparams import HyperParams
from pipeline.study.spec import Arm, Float, SearchSpace
from pipeline.trials.trial import FinishedTrial, PlannedTrial, TrialResult
from studies.random_vs_grid import STUDY

BEFORE = [("random", 0.5, False), ("grid", 0.1, True)]


def trial(arm, number, score, *, diverged=False, pruned=False):
    """A finished trial of the default study."""
    result = TrialResult({}, {"best/val_accuracy": score}, diverged, 0, 0.0, 0.0, 0, 0, "", "", pruned)
    return FinishedTrial(PlannedTrial(arm, arm, 0, number, {}, HyperParams()), result)


@pytest.fixture
def shown():
    """What a search of 22 more trials prints without a terminal, and its progress."""
    study = STUDY.from_json({**STUDY.to_json(), "blocks": 1, "trials": 8})
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    with Progress(study, BEFORE, console) as progress:
        for number in range(20):
            progress.count(trial("shifted_grid", number, number / 20, diverged=number % 5 == 0))
        progress.count(trial("random", 20, 0.75))
        progress.count(trial("random", 21, 0.25))
    return console.file.getvalue().splitlines(), progress


def test_a_log_gets_about_ten_plain_lines(shown):
    """Lines have no colours, and the last one counts all trials, with those recorded before."""
    lines, _ = shown
    assert 8 <= len(lines) <= 11
    assert not any("\x1b" in line for line in lines)
    assert lines[-1].startswith(
        "  24/24 trials; best val accuracy: random 0.750, grid 0.100, shifted_grid 0.950; 5 diverged;"
    )


def test_the_summary_counts_the_trials_of_this_search(shown):
    """The summary does not count trials that were recorded earlier."""
    _, progress = shown
    assert progress.summary().startswith("22 trials trained and recorded, 4 diverged, in ")


def test_the_summary_counts_pruned_trials():
    """Where a pruner stopped trials, the summary says how many; a single trial is not "1 trials"."""
    with Progress(STUDY, [], Console(file=io.StringIO())) as progress:
        progress.count(trial("random", 0, 0.5))
        assert progress.summary().startswith("1 trial trained and recorded, 0 diverged, in ")
        progress.count(trial("random", 1, 0.5, pruned=True))
    assert progress.summary().startswith("2 trials trained and recorded, 0 diverged, 1 pruned, in ")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_sees_the_arms_live(width):
    """At each width each arm has its trials, its best score and the time left, whole and apart; a wide one has bars."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    with Progress(STUDY, [], console) as progress:
        assert "starting" in progress._line()
        for number in range(STUDY.trials):
            progress.count(trial("random", number, 0.75, diverged=True))
        display = Console(file=io.StringIO(), width=width)
        display.print(progress._bars.get_renderable())
    rows = display.file.getvalue().splitlines()
    names = [*(arm.name for arm in STUDY.arms), "all arms"]
    assert [name in row for name, row in zip(names, rows, strict=True)] == [True] * len(names)
    per_arm = STUDY.blocks * STUDY.trials
    for row, total in ((rows[0], per_arm), (rows[-1], per_arm * len(STUDY.arms))):
        assert re.search(rf"  {STUDY.trials}/{total} best 0.750 {STUDY.trials} diverged \d:\d\d:\d\d( left)?$", row)
    assert ("━" in rows[0]) == (width > 60)


def test_trials_of_an_own_model_fail():
    """A terminal's bars and the plain lines say of a study's own model that trials failed, not that they diverged."""
    changes = {"model": "sklearn.svm:SVC", "fixed": {}, "space": SearchSpace(C=Float(0.1, 9)), "trials": 3}
    study = replace(STUDY, arms=(Arm("random"),), contrasts=(), **changes)
    display = Console(file=io.StringIO(), width=80)
    with Progress(study, [], Console(file=io.StringIO(), width=80)) as progress:
        display.print(progress._bars.get_renderable())
        assert "; 0 failed; " in progress._line()
    assert "0 failed" in display.file.getvalue()
    assert "diverged" not in display.file.getvalue()


def test_a_long_name_of_an_arm_is_cut_and_nothing_else():
    """On a narrow terminal a long name ends in an ellipsis; the counts and the time left stay whole."""
    study = STUDY.from_json({**STUDY.to_json(), "arms": [{"name": "r" * 60, "sampler": "random"}], "contrasts": ()})
    display = Console(file=io.StringIO(), width=60)
    with Progress(study, [], Console(file=io.StringIO(), width=60)) as progress:
        display.print(progress._bars.get_renderable())
    first = display.file.getvalue().splitlines()[0]
    assert re.search(r" r+…  0/\d+ best 0.000 0 diverged -:--:--$", first)


def test_the_time_left_follows_from_the_mean_speed_since_the_start():
    """A batch of trials that is recorded at once, after a minute, counts as a minute of training."""
    clock = [0.0]
    console = Console(file=io.StringIO(), force_terminal=False, get_time=lambda: clock[0])
    study = STUDY.from_json({**STUDY.to_json(), "blocks": 1, "trials": 8})
    progress = Progress(study, BEFORE, console)
    clock[0] = 60.0
    for number in range(11):
        progress.count(trial("random", number, 0.5))
    assert progress._line().partition("; about ")[2] in ("1 min 00 s left", "1 min 01 s left")
