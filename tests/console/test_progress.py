"""The live display: what it counts, and that it is plain where there is no terminal."""

import io

import pytest
from rich.console import Console

from pipeline.console.progress import Progress
from pipeline.study.hparams import HyperParams
from pipeline.trials.trial import FinishedTrial, PlannedTrial, TrialResult
from studies.random_vs_grid import STUDY

BEFORE = [("random", 0.5, False), ("grid", 0.1, True)]


def trial(arm, number, score, *, diverged=False):
    """A finished trial of the default study."""
    result = TrialResult({}, {"best/val_accuracy": score}, diverged, 0, 0.0, 0.0, 0, 0, "", "")
    return FinishedTrial(PlannedTrial(arm, arm, 0, number, {}, HyperParams()), result)


@pytest.fixture
def shown():
    """What a search of 20 more trials prints where there is no terminal."""
    study = STUDY.from_json({**STUDY.to_json(), "blocks": 1, "trials": 8})
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    with Progress(study, BEFORE, console) as progress:
        for number in range(20):
            progress.recorded(trial("shifted_grid", number, number / 20, diverged=number % 5 == 0))
        progress.recorded(trial("random", 20, 0.75))
        progress.recorded(trial("random", 21, 0.25))
    return console.file.getvalue().splitlines(), progress


def test_a_log_gets_about_ten_plain_lines(shown):
    """Each line is whole, without colours, and the last one has everything, with what was recorded before."""
    lines, _ = shown
    assert 8 <= len(lines) <= 11
    assert not any("\x1b" in line for line in lines)
    assert lines[-1].startswith(
        "  24/24 trials; best val accuracy: random 0.750, shifted_grid 0.950, grid 0.100; 5 diverged;"
    )


def test_the_summary_counts_what_was_trained_now(shown):
    """Trials that were recorded earlier are not counted again."""
    _, progress = shown
    assert progress.summary().startswith("22 trials trained and recorded, 4 of them diverged, in ")


def test_a_terminal_sees_the_arms_live():
    """On a terminal a table names each arm, its trials and its best; at first, no time is guessed."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress(STUDY, [], console) as progress:
        before = progress._line()
        progress.recorded(trial("random", 0, 0.75))
        with console.capture() as capture:
            console.print(progress._table())
    table = capture.get()
    assert "starting" in before
    assert "left" in table
    assert "0.750" in table
    assert all(arm.name in table for arm in STUDY.arms)
