"""Rules of one's own: those that installed distributions offer as entry points of the group ``babysit.diagnosis``.

They are asked after the built-in ones, in the order of the names of their distributions and entry points. A rule that
raises, or returns what is no finding, costs no trial: it is told of as a finding itself, the least grave of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pipeline.diagnosis.evidence import Evidence
from pipeline.diagnosis.trial_facts import RULE_FAILED, Finding
from pipeline.errors import UserError

GROUP = "babysit.diagnosis"
RESERVED = ("good", RULE_FAILED)
LONGEST = 1000
"""So many characters of a sentence are kept; what stores take of a tag is limited."""


@dataclass(frozen=True)
class OwnRule:
    """A rule of another distribution, and what messages call it."""

    name: str
    rule: Callable[[Evidence], Finding | None]

    def __call__(self, evidence: Evidence) -> Finding | None:
        """What the rule finds; where it fails at that, a finding that says how."""
        try:
            return checked(self.rule(evidence))
        except (Exception, SystemExit) as error:  # noqa: BLE001  it is anybody's code, and may raise anything
            said = f"the rule {self.name} failed: {in_a_line(error)}"
            return Finding(RULE_FAILED, said[:LONGEST], "mend the rule, or uninstall it")


@cache
def load_rules() -> tuple[OwnRule, ...]:
    """The rules that are installed, loaded once. Raises :class:`UserError`, naming it and its distribution, for a broken one."""
    return tuple(_load(point) for point in sorted(entry_points(group=GROUP), key=_place))


def checked(found: object) -> Finding | None:
    """What a rule returned, if it is None or a finding whose code is fit for tags and metrics. Raises ``ValueError`` otherwise."""
    if found is None:
        return None
    if not isinstance(found, Finding):
        raise ValueError(f"it returned {found!r}; expected a Finding or None")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", found.code) or found.code in RESERVED:
        raise ValueError(
            f"its code is {found.code!r}; expected 1-40 small letters, digits or -, and none of {RESERVED}"
        )
    return Finding(found.code, str(found.sentence)[:LONGEST], str(found.advice)[:LONGEST])


def _load(point: EntryPoint) -> OwnRule:
    name = f"{point.name!r} of {_distribution(point)}"
    try:
        rule = point.load()
        inspect.signature(rule).bind(None)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"the diagnosis rule {name}, {point.value}, cannot be used: {in_a_line(error)}. Mend it, or uninstall it"
        ) from error
    return OwnRule(name, rule)


def _place(point: EntryPoint) -> tuple[str, str]:
    return _distribution(point), point.name


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "no distribution"


def in_a_line(error: BaseException) -> str:
    """The kind of an error and its message, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
