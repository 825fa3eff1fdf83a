"""Checks of values that users write: numbers in their range, known names, texts that every store can hold."""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
from collections.abc import Collection, Mapping
from typing import Any

from pipeline.errors import UserError

LARGEST = sys.float_info.max
LONGEST_VALUE = 80
"""The most characters of a wrong value in a message."""


def check_number(name: str, value: Any, *, low: float, below: float = math.inf) -> None:
    """Raise :class:`UserError` unless the value is a finite number with low <= value < below."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
    if not (number and low <= value < below):
        limits = [f"of at least {low:g}"] if math.isfinite(low) else []
        limits += [f"below {below:g}"] if math.isfinite(below) else []
        raise UserError(f"{name}: got {shortened(value)}; expected a finite number {' and '.join(limits)}".rstrip())


def check_integer(name: str, value: Any, *, low: int, high: float = math.inf) -> None:
    """Raise :class:`UserError` unless the value is an integer with low <= value <= high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        limit = f" and at most {high:,}" if math.isfinite(high) else ""
        raise UserError(f"{name}: got {shortened(value)}; expected a whole number of at least {low}{limit}")


def check_sizes(name: str, value: Any) -> None:
    """Raise :class:`UserError` unless the value is a list or tuple of integers of at least 1."""
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{name}: got {shortened(value)}; expected sizes, like (3, 32, 32)")
    for size in value:
        check_integer(name, size, low=1)


def check_flag(name: str, value: Any) -> None:
    """Raise :class:`UserError` unless the value is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{name}: got {shortened(value)}; expected True or False")


def check_kind(name: str, value: Any, kind: type) -> None:
    """Raise :class:`UserError` unless the value is an instance of that class."""
    if not isinstance(value, kind):
        item = "Stage(...)" if name == "stages" else "Arm(...)"
        texts: dict[type, str] = {str: "text", tuple: f"a tuple, as in ({item}, {item})"}
        raise UserError(f"{name}: got {shortened(value)}; expected {texts.get(kind, f'{kind.__name__}(...)')}")


def check_choice(name: str, value: Any, known: Collection[str]) -> None:
    """Raise :class:`UserError`, with the nearest known name, unless the value is a known name."""
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{name}: got {value!r}; {did_you_mean(value, known)}expected one of {', '.join(known)}")


def check_text(name: str, text: str, longest: int) -> None:
    """Raise :class:`UserError` unless every store can hold the text."""
    if len(text) > longest:
        raise UserError(f"{name}: got {len(text):,} characters; expected {longest:,} at most. Shorten it")
    if "\0" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise UserError(f"{name}: got {text[:40]!r}; expected no NUL and no half of a surrogate pair. Leave it out")


def check_arguments(
    owner: str, arguments: Any, kind: str = "arguments", example: str = "{'n_startup_trials': 5}"
) -> None:
    """Raise :class:`UserError` unless the arguments are plain values by name, which a record can hold."""
    if not isinstance(arguments, Mapping):
        raise UserError(f"{owner}: {kind}: got {shortened(arguments)}; expected a dict, like {example}")
    try:
        json.dumps(dict(arguments))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{owner}: {kind}: {error}; expected text, numbers, True, False, None, lists and dicts"
        ) from None


def check_name(kind: str, name: str) -> None:
    """Raise :class:`UserError` unless stores, URLs and file names can contain the name."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name):
        raise UserError(
            f"{kind} name: got {name!r}; expected 1-80 letters, digits, _ . or -, the first a letter or digit"
        )


def shortened(value: Any) -> str:
    """Return the ``repr`` of a value, cut to ``LONGEST_VALUE`` characters."""
    text = f"a number beyond {LARGEST:.2g}" if isinstance(value, int) and abs(value) > LARGEST else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def did_you_mean(value: Any, known: Collection[str]) -> str:
    """Return ``did you mean x? `` with the nearest known name; empty if none is near."""
    close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.7)
    return f"did you mean {close[0]}? " if close else ""
