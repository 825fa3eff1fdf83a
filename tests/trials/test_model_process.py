"""The process of a study's own model: it may raise, hang or be killed, and the next trial goes on."""

import multiprocessing
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.trials.model_process import ModelProcess
from pipeline.trials.own_models import ModelData, Outcome
from pipeline.trials.trial import Failure

DATA = ModelData(np.eye(2), np.arange(2), np.eye(2), np.arange(2), np.eye(2), 2, 3)


class Speechless(Exception):  # noqa: N818
    """An exception that cannot be shown."""

    def __str__(self):
        """Raise an error."""
        raise RuntimeError


def fork():
    """Start a process that sleeps."""
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True).start()


ACTS = {"hang": lambda: time.sleep(60), "read": input, "fork": fork}


def act(params, data, seed, report):
    """Do what the parameter says; a function of a study."""
    ACTS.get(params["act"], lambda: None)()
    match params["act"]:
        case "raise" | "no message":
            raise {"raise": ValueError("no such luck"), "no message": Speechless()}[params["act"]]
        case "kill":
            os.kill(os.getpid(), 9)
        case "exit":
            os._exit(3)
        case "leave":
            sys.exit(1)
        case "fork and hang" | "fork and kill":
            multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)).start()
            act({"act": params["act"].removeprefix("fork and ")}, data, seed, report)
        case "print" | "flood":
            print("first", "x" * {"print": 1, "flood": 100_000_000}[params["act"]], "last")  # noqa: T201  models may print
    for epoch in range(1, data.epochs + 1):
        if report(epoch, val_accuracy=epoch / 10):
            break
    assert not hasattr(data, "y_test")
    return np.zeros(2, int), np.full(2, os.getpid() % 2)


@pytest.fixture
def fit():
    """Return a function that fits one trial in a process that all calls share."""
    process = ModelProcess(())

    def fitted(act, timeout=0.0, stop=None):
        return process.fit(f"{__name__}:act", {"act": act}, 0, "block", lambda: DATA, timeout, stop)

    fitted.process = process
    yield fitted
    process.close()


@pytest.mark.parametrize(
    ("act", "kind", "says"),
    [
        ("raise", "failed", "raised ValueError: no such luck"),
        ("leave", "failed", "raised SystemExit: 1"),
        ("hang", "timed-out", "did not end within the trial_timeout of 1 s"),
        ("kill", "killed", "was ended by SIGKILL, perhaps since the memory was full"),
        ("exit", "killed", "ended its process with exit code 3"),
        ("fork and hang", "timed-out", "did not end within the trial_timeout of 1 s"),
        ("fork and kill", "killed", "was ended by SIGKILL, perhaps since the memory was full"),
        ("read", "failed", "raised EOFError: EOF when reading a line"),
        ("no message", "failed", "raised Speechless: (its message cannot be shown)"),
    ],
)
def test_a_failure_is_what_it_was_and_the_next_trial_goes_on(fit, act, kind, says):
    """A trial that raises, hangs or ends its process is told apart, and a later trial has a process."""
    failure = fit(act, timeout=1.0)
    assert (failure.kind, failure.sentence) == (kind, says)
    assert ("\nValueError: no such luck" in failure.trace) == (act == "raise")
    assert isinstance(fit("print"), Outcome)


def test_trials_share_a_process_and_may_be_pruned(fit):
    """What a model prints does not disturb; the pruner is asked after each epoch until it stops the trial."""
    asked = []
    first, second = fit("print"), fit("", stop=lambda *report: asked.append(report) or report[0] == 2)
    assert first.test[0] == second.test[0]
    assert asked == [(1, 0.1), (2, 0.2)]
    assert (second.epochs, second.stopped, second.curves) == (2, True, {"val/accuracy": [0.1, 0.2]})


def test_a_flood_of_prints_is_cut(fit, capfd):
    """Of 100 MB only the start and the end are shown, with a line between; the next trial's are whole."""
    assert isinstance(fit("flood"), Outcome)
    assert isinstance(fit("print"), Outcome)
    fit.process.close()
    shown = capfd.readouterr().err
    assert len(shown) < 200_000
    assert shown.startswith("first xxx")
    assert re.search(r"x\n\.\.\. 99,\d{3},\d{3} bytes that the model printed are left out \.\.\.\nx", shown)
    assert "xxx last\n" in shown
    assert "first x last\n" in shown


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends them by a signal")
def test_what_a_model_has_forked_ends_with_its_process(fit):
    """A killed worker cannot end it, so the process that the model has forked ends with the model's own."""
    fit("fork")
    pid = fit.process._process.pid
    (forked,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(pid, signal.SIGKILL)
    stat, end = Path(f"/proc/{forked}/stat"), time.monotonic() + 20
    while stat.exists() and ") Z " not in stat.read_text() and time.monotonic() < end:
        time.sleep(0.01)
    assert time.monotonic() < end


def test_an_interrupt_ends_the_process(fit):
    """An exception while a trial is fitted reaches the caller, and no process stays."""

    def stop(epoch, accuracy):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("", stop=stop)
    assert not isinstance(fit(""), Failure)
