"""The outcome of a demonstration: each claim beside what was seen, and whether that is what the lecture says."""

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
    """Something that the lecture says, with the number of its experiment, and what was seen here.

    ``value`` is the number that decided, if one did; ``note`` says where the lecture's own words are loose and what was
    tested in their place.
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
        """Plain values; a number that is not finite is left to the words."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        return {
            "experiment": self.experiment,
            "says": self.says,
            "seen": self.seen,
            "verdict": self.verdict,
            "value": value,
            "note": self.note,
        }


def near(experiment: str, says: str, seen: float, expected: float, tolerance: float, *, note: str = "") -> Claim:
    """That a number is the expected one, to a tolerance."""
    told = f"{seen:.4g}, to be within {tolerance:.2g} of {expected:.4g}"
    return Claim(experiment, says, told, bool(abs(seen - expected) <= tolerance), float(seen), note)


def between(experiment: str, says: str, seen: float, low: float, high: float, *, note: str = "") -> Claim:
    """That a number lies in a range, ends included."""
    limits = f"at least {low:.4g}" if math.isinf(high) else f"{low:.4g} to {high:.4g}"
    limits = f"at most {high:.4g}" if math.isinf(low) else limits
    return Claim(experiment, says, f"{seen:.4g}, to be {limits}", bool(low <= seen <= high), float(seen), note)


def at_most(experiment: str, says: str, seen: float, high: float, *, note: str = "") -> Claim:
    """That a number is no greater."""
    return between(experiment, says, seen, -math.inf, high, note=note)


def at_least(experiment: str, says: str, seen: float, low: float, *, note: str = "") -> Claim:
    """That a number is no smaller."""
    return between(experiment, says, seen, low, math.inf, note=note)


def shown(experiment: str, says: str, seen: str, *, holds: bool, note: str = "") -> Claim:
    """That something is so, told in words."""
    return Claim(experiment, says, seen, bool(holds), None, note)


@dataclass(frozen=True)
class Outcome:
    """The claims of a demonstration, its numbers as rows of a table, its pictures, and the data it stood on."""

    claims: Sequence[Claim]
    rows: Sequence[Row]
    pictures: Sequence[Plot] = ()
    data: str = ""
    extra: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``reproduced`` if every claim is."""
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
