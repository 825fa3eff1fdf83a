"""What one check before a study saw, and how a list of them is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def text_table(results: Sequence[CheckResult]) -> str:
    """Lines for a terminal, the advice on lines of its own."""
    width = max((len(result.name) for result in results), default=0)
    rows = ((f"{r.word:6}  {r.name:{width}}  {r.message}", r.advice) for r in results)
    return "\n".join(line + (f"\n{'':{width + 10}}{advice}" if advice else "") for line, advice in rows)


def markdown_table(results: Sequence[CheckResult]) -> str:
    """A table for an artifact."""
    rows = [(r.word, r.name, r.message, r.advice) for r in results]
    cells = [
        ["result", "check", "seen", "advice"],
        ["---"] * 4,
        *([c.replace("|", "\\|") for c in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
