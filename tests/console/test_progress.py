"""The progress of a search: its counts, its bars on a terminal, and plain lines elsewhere."""

import io
import re

import pytest
from rich.console import Console

from pipeline.console.progress import Progress
from pipeline.study.hparams import HyperParams
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
    assert progress.summary().startswith("22 trials trained and recorded, 4 of them diverged, in ")


def test_the_summary_counts_pruned_trials():
    """Where a pruner stopped trials, the summary says how many."""
    with Progress(STUDY, [], Console(file=io.StringIO())) as progress:
        progress.count(trial("random", 0, 0.5))
        progress.count(trial("random", 1, 0.5, pruned=True))
    assert progress.summary().startswith("2 trials trained and recorded, 0 of them diverged, 1 pruned, in ")


def test_a_terminal_sees_the_arms_live():
    """On a terminal each arm has a bar with its trials and its best score; the time left is unknown before the first."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress(STUDY, [], console) as progress:
        assert "starting" in progress._line()
        progress.count(trial("random", 0, 0.75))
        display = Console(file=io.StringIO(), width=80)
        display.print(progress._bars.get_renderable())
    rows = display.file.getvalue().splitlines()
    assert [row.split()[0] for row in rows] == [*(arm.name for arm in STUDY.arms), "all"]
    per_arm = STUDY.blocks * STUDY.trials
    for row, total in ((rows[0], per_arm), (rows[-1], per_arm * len(STUDY.arms))):
        assert f"1/{total} best val accuracy 0.750 0 diverged" in row
        assert re.search(r" \d:\d\d:\d\d$", row)


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
