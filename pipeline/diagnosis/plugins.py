"""Installed rules: entry points of the group ``babysit.diagnosis`` in other distributions.

They are applied after the built-in rules, in the order of the names of their distributions and entry points. A rule that
raises an exception or returns something else than a finding does not stop a trial: that gives a finding, the least grave.
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
from pipeline.errors import UserError, one_line

GROUP = "babysit.diagnosis"
RESERVED = ("good", RULE_FAILED)
MAX_LENGTH = 1000
"""The most characters of a sentence that are kept, because stores limit the length of a tag."""


@dataclass(frozen=True)
class InstalledRule:
    """A rule of another distribution, and its name in messages."""

    name: str
    rule: Callable[[Evidence], Finding | None]

    def __call__(self, evidence: Evidence) -> Finding | None:
        """Return the finding of the rule; if the rule fails, a finding with the error."""
        try:
            return check_finding(self.rule(evidence))
        except (Exception, SystemExit) as error:  # noqa: BLE001  code from outside may raise anything
            sentence = f"the rule {self.name} failed: {one_line(error)}"
            return Finding(RULE_FAILED, sentence[:MAX_LENGTH], "fix the rule, or uninstall it")


@cache
def load_rules() -> tuple[InstalledRule, ...]:
    """The installed rules, loaded once. Raises :class:`UserError` with the name of a rule that cannot be used."""
    return tuple(_load(point) for point in sorted(entry_points(group=GROUP), key=_order))


def check_finding(result: object) -> Finding | None:
    """Return the result of a rule if it is None or a finding with a valid code, else raise ``ValueError``."""
    if result is None:
        return None
    if not isinstance(result, Finding):
        raise ValueError(f"it returned {result!r}; expected a Finding or None")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", result.code) or result.code in RESERVED:
        raise ValueError(
            f"its code is {result.code!r}; expected 1-40 small letters, digits or -, and none of {RESERVED}"
        )
    return Finding(result.code, str(result.sentence)[:MAX_LENGTH], str(result.advice)[:MAX_LENGTH])


def _load(point: EntryPoint) -> InstalledRule:
    name = f"{point.name!r} of {_distribution(point)}"
    try:
        rule = point.load()
        inspect.signature(rule).bind(None)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"the diagnosis rule {name}, {point.value}, cannot be used: {one_line(error)}. Fix it, or uninstall it"
        ) from error
    return InstalledRule(name, rule)


def _order(point: EntryPoint) -> tuple[str, str]:
    return _distribution(point), point.name


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "no distribution"
