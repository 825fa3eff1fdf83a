"""Diagnosis puts a trial's curves into words: what went wrong, by which numbers, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.diagnosis.evidence import Evidence
from pipeline.diagnosis.rules import RULES, Rule
from pipeline.diagnosis.trial_facts import RULE_FAILED, Facts, Finding

GOOD = "good"


def diagnose(curves: Mapping[str, Sequence[float]], facts: Facts, own: Sequence[Rule] = ()) -> tuple[Finding, ...]:
    """The complaints about a trial, gravest first; none about a healthy one.

    ``curves`` holds one number an epoch for each of ``train/loss``, ``val/loss``, ``train/accuracy`` and
    ``val/accuracy``. They may end early or go on as NaN, if the trial diverged. ``own`` are rules beside the built-in
    ones, and come after them.
    """
    evidence = Evidence.of(curves, facts)
    found = [finding for rule in (*RULES, *own) if (finding := rule(evidence))]
    return tuple(sorted(found, key=lambda finding: finding.code == RULE_FAILED))


def health(findings: Sequence[Finding]) -> str:
    """One word for a tag: the code of the gravest finding, or ``good``."""
    return findings[0].code if findings else GOOD
