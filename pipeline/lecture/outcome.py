"""The outcome of a demonstration: each claim of the lecture, what was measured, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.report.figures.plots import Row
from pipeline.report.style import Plot

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"


@dataclass(frozen=True)
class Claim:
    """A statement of the lecture, with the number of its experiment, and what was measured.

    ``value`` is the number that decided, if there is one. ``note`` says where the lecture is imprecise, and what was tested
    instead.
    """

    experiment: str
    says: str
    seen: str
    holds: bool
    value: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """``reproduced`` or ``not reproduced``."""
        return REPRODUCED if self.holds else NOT_REPRODUCED

    def to_json(self) -> dict[str, Any]:
        """The claim as plain values. A number that is not finite is None; ``seen`` has it as text."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {
            "experiment": self.experiment,
            "says": self.says,
            "seen": self.seen,
            "verdict": self.verdict,
            "value": value,
            "note": self.note,
        }


def near(experiment: str, says: str, value: float, expected: float, tolerance: float, *, note: str = "") -> Claim:
    """The claim that a number is the expected one, within a tolerance."""
    value = float(value)
    observed = f"{value:.4g}, to be within {tolerance:.2g} of {expected:.4g}"
    return Claim(experiment, says, observed, abs(value - expected) <= tolerance, value, note)


def between(experiment: str, says: str, value: float, low: float, high: float, *, note: str = "") -> Claim:
    """The claim that a number lies in a range, including its ends."""
    value = float(value)
    limits = f"at least {low:.4g}" if math.isinf(high) else f"{low:.4g} to {high:.4g}"
    limits = f"at most {high:.4g}" if math.isinf(low) else limits
    return Claim(experiment, says, f"{value:.4g}, to be {limits}", bool(low <= value <= high), value, note)


def at_most(experiment: str, says: str, value: float, high: float, *, note: str = "") -> Claim:
    """The claim that a number has an upper limit."""
    return between(experiment, says, value, -math.inf, high, note=note)


def at_least(experiment: str, says: str, value: float, low: float, *, note: str = "") -> Claim:
    """The claim that a number has a lower limit."""
    return between(experiment, says, value, low, math.inf, note=note)


def shown(experiment: str, says: str, observed: str, *, holds: bool, note: str = "") -> Claim:
    """The claim that a condition holds, with a text in place of a number."""
    return Claim(experiment, says, observed, bool(holds), None, note)


@dataclass(frozen=True)
class Outcome:
    """The claims of a demonstration, its numbers as rows of a table, its figures, and its data in words."""

    claims: Sequence[Claim]
    rows: Sequence[Row]
    figures: Sequence[Plot] = ()
    data: str = ""
    extra: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``reproduced`` if every claim is reproduced."""
        return REPRODUCED if all(claim.holds for claim in self.claims) else NOT_REPRODUCED

    def to_json(self) -> dict[str, Any]:
        """The verdict and its claims as plain values."""
        held = sum(claim.holds for claim in self.claims)
        return {
            "verdict": self.verdict,
            "claims_reproduced": held,
            "claims": len(self.claims),
            "data": self.data,
            "each": [claim.to_json() for claim in self.claims],
        }
