"""Ctrl-C and SIGTERM: what is being written is finished first, and a second signal is not held back."""

import signal

import pytest

from pipeline.search.interrupts import Interrupts, Stopped


@pytest.fixture
def interrupts():
    """Signals are handled during the test, and as before after it."""
    before = signal.getsignal(signal.SIGINT)
    with (found := Interrupts()).handled():
        yield found
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_once_where_nothing_is_written(signum, interrupts):
    """It has the exit code that shells give to that signal."""
    with pytest.raises(Stopped) as stopped:
        signal.raise_signal(signum)
    assert stopped.value.exit_code == 128 + signum


def write(interrupts, first, *more):
    """What is written of two halves, the first signal coming before the first half and more of them after it."""
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


def test_what_is_being_written_is_finished_first(interrupts):
    """A first signal takes effect at the end of the body, as the signal that it was."""
    written, stopped = write(interrupts, signal.SIGTERM)
    assert (written, stopped.exit_code) == (["first half", "second half"], 143)


def test_a_second_signal_leaves_at_once(interrupts):
    """A body that does not end can be left all the same."""
    written, _ = write(interrupts, signal.SIGINT, signal.SIGINT)
    assert written == ["first half"]
