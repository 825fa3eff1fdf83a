"""The result of one check before a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: passed or not, the message with its numbers, and advice where there is any.

    A check that passed and still has advice is a warning: it stops nothing. ``metrics`` are finite or not, by a key
    that begins with ``check/``.
    """

    name: str
    passed: bool
    message: str
    advice: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """``FAILED``, ``advice`` or ``ok``."""
        return ("advice" if self.advice else "ok") if self.passed else "FAILED"
