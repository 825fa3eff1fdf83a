"""Ctrl-C and SIGTERM: the first signal waits for a write to finish, the second does not."""

import signal

import pytest

from pipeline.search.interrupts import Interrupts, Stopped


@pytest.fixture
def interrupts():
    """Interrupts that handle signals during the test; the handlers are restored after it."""
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().handled() as handled:
        yield handled
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_once_when_nothing_is_written(signum, interrupts):
    """The exit code is the one that shells give to the signal."""
    with pytest.raises(Stopped) as stopped:
        signal.raise_signal(signum)
    assert stopped.value.exit_code == 128 + signum


def write(interrupts, first, *more):
    """Write two halves with a first signal before them and others between them; return what was written and the stop."""
    written = []

    def body():
        with interrupts.deferred():
            signal.raise_signal(first)
            written.append("first half")
            for signum in more:
                signal.raise_signal(signum)
            written.append("second half")

    with pytest.raises(Stopped) as stopped:
        body()
    return written, stopped.value


def test_a_write_is_finished_first(interrupts):
    """The first signal takes effect at the end of the body, with its own exit code."""
    written, stopped = write(interrupts, signal.SIGTERM)
    assert (written, stopped.exit_code) == (["first half", "second half"], 143)


def test_a_second_signal_stops_at_once(interrupts):
    """A body that does not end can be stopped by a second signal."""
    written, _ = write(interrupts, signal.SIGINT, signal.SIGINT)
    assert written == ["first half"]
