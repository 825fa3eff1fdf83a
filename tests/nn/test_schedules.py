"""Schedules: the learning rate of every epoch, from their formulae."""

import math

import pytest

from pipeline.nn.schedules import SCHEDULES, Schedule

EPOCHS = 20
FORMULAE = {
    "constant": lambda t: t**0,
    "step": lambda t: 0.5 ** (t // 5),
    "exponential": lambda t: math.exp(-0.1 * t),
    "inverse_time": lambda t: 1 / (1 + 0.1 * t),
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t / EPOCHS)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_those_of_the_formula(name):
    """They agree with the formulae to 1e-12 in every epoch, and are exactly 1 in the first."""
    factors = [Schedule(name).factor(t, EPOCHS) for t in range(EPOCHS)]
    assert factors == pytest.approx([FORMULAE[name](t) for t in range(EPOCHS)], abs=1e-12)
    assert factors[0] == 1


def test_settings_change_the_factors():
    """The factors follow a step of 0.1 every seven epochs, and a decay of 0.3 an epoch."""
    assert Schedule("step", step_factor=0.1, step_epochs=7).factor(14, EPOCHS) == pytest.approx(0.01, abs=1e-12)
    assert Schedule("exponential", decay_rate=0.3).factor(2, EPOCHS) == pytest.approx(math.exp(-0.6), abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_to_the_schedule(name):
    """Four epochs of warm-up have one to four fifths of the schedule's rate, and later epochs all of it."""
    factors = [Schedule(name, warmup=4).factor(t, EPOCHS) for t in range(EPOCHS)]
    expected = [min(1, (t + 1) / 5) * FORMULAE[name](t) for t in range(EPOCHS)]
    assert factors == pytest.approx(expected, abs=1e-12)
