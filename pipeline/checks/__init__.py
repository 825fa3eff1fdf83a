"""The checks before a study: cheap experiments that a network with a bug fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: passed or not, a message with the numbers, and advice if there is any.

    A check that passed and has advice is a warning: it stops nothing. ``metrics`` have keys that begin with ``check/``, and
    values that may be infinite or NaN.
    """

    name: str
    passed: bool
    message: str
    advice: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """``FAILED``, ``advice`` or ``ok``."""
        return ("advice" if self.advice else "ok") if self.passed else "FAILED"
