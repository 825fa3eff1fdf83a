"""Checks of values: what they accept, and the message for the rest."""

import math

import pytest

from pipeline.errors import UserError
from pipeline.validation import (
    check_arguments,
    check_choice,
    check_flag,
    check_integer,
    check_kind,
    check_name,
    check_number,
    check_sizes,
    check_text,
    shortened,
)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_number("x", math.nan, low=0), "x: got nan; expected a finite number of at least 0"),
        (lambda: check_number("x", True, low=0), "x: got True; expected a finite number of at least 0"),
        (lambda: check_number("x", 1, low=0, below=1), "x: got 1; expected a finite number of at least 0 and below 1"),
        (lambda: check_number("x", "1", low=-math.inf), "x: got '1'; expected a finite number"),
        (lambda: check_integer("n", 1.0, low=1), "n: got 1.0; expected a whole number of at least 1"),
        (lambda: check_integer("n", 9, low=1, high=8), "n: got 9; expected a whole number of at least 1 and at most 8"),
        (lambda: check_sizes("shape", 3), "shape: got 3; expected sizes, like (3, 32, 32)"),
        (lambda: check_sizes("shape", (3, 0)), "shape: got 0; expected a whole number of at least 1"),
        (lambda: check_flag("f", 1), "f: got 1; expected True or False"),
        (lambda: check_kind("stages", 3, tuple), "stages: got 3; expected a tuple, as in (Stage(...), Stage(...))"),
        (lambda: check_kind("x", 3, dict), "x: got 3; expected dict(...)"),
        (
            lambda: check_choice("c", "rleu", ("relu", "tanh")),
            "c: got 'rleu'; did you mean relu? expected one of relu, tanh",
        ),
        (lambda: check_text("q", "x" * 9, 8), "q: got 9 characters; expected 8 at most. Shorten it"),
        (
            lambda: check_text("q", "a\0", 8),
            "q: got 'a\\x00'; expected no NUL and no half of a surrogate pair. Leave it out",
        ),
        (
            lambda: check_arguments("arm 'a'", {"f": {1}}),
            "arm 'a': arguments: Object of type set is not JSON serializable; expected text, numbers, True, False, None, lists and dicts",
        ),
        (
            lambda: check_name("study", "-x"),
            "study name: got '-x'; expected 1-80 letters, digits, _ . or -, the first a letter or digit",
        ),
    ],
)
def test_a_wrong_value_is_named(check, message):
    """The message names the value and what is expected, in one line."""
    with pytest.raises(UserError) as error:
        check()
    assert str(error.value) == message


def test_right_values_pass():
    """Values at the limits are accepted."""
    check_number("x", 0, low=0, below=1)
    check_integer("n", 8, low=8, high=8)
    check_sizes("shape", (1, 2))
    check_choice("c", "relu", ("relu",))
    check_text("q", "é" * 8, 8)
    check_arguments("arm", {"n": [1, None, "a"]})
    check_name("study", "a" * 80)


def test_long_values_are_cut():
    """A long value is cut, and a number beyond the floats is described."""
    assert shortened("x" * 200) == repr("x" * 200)[:80] + "..."
    assert shortened(10**400) == "a number beyond 1.8e+308"
