"""Diagnosis states what went wrong in a trial, by which numbers, and what to do about it.

A rule is a function from :class:`Evidence` to a :class:`Finding`, or None if it has no complaint. ``plugins`` loads the
rules that are installed in addition to the built-in ones. P1 to P26 in the docstrings of the rules number the pitfalls of
``docs/diagnosis.md``, which gives the source of each threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.diagnosis.evidence import Evidence
from pipeline.diagnosis.rules_fit import (
    dead_units,
    overfitting,
    running_statistics,
    saturated,
    underfitting,
    update_ratio,
    val_above_train,
    val_at_chance,
)
from pipeline.diagnosis.rules_high_rate import (
    dead,
    diverged,
    full_batch_rises,
    high_plateau,
    late_explosion,
    lr_too_high,
    spike,
    wiggly,
)
from pipeline.diagnosis.rules_slow_start import (
    barely_moves,
    flat_then_drop,
    l2_overwhelms,
    late_start,
    low_lr,
    never_starts,
    slightly_low_lr,
    wrong_first_loss,
)
from pipeline.diagnosis.trial_facts import RULE_FAILED, Facts, Finding

GOOD = "good"
Rule = Callable[[Evidence], Finding | None]

RULES: list[Rule] = [
    diverged,
    dead,
    late_explosion,
    lr_too_high,
    l2_overwhelms,
    never_starts,
    barely_moves,
    val_at_chance,
    flat_then_drop,
    late_start,
    low_lr,
    high_plateau,
    spike,
    slightly_low_lr,
    overfitting,
    underfitting,
    full_batch_rises,
    wiggly,
    dead_units,
    saturated,
    running_statistics,
    update_ratio,
    wrong_first_loss,
    val_above_train,
]
"""Every rule, gravest first: a trial's health is the code of its first finding."""


def diagnose(
    curves: Mapping[str, Sequence[float]], facts: Facts, extra_rules: Sequence[Rule] = ()
) -> tuple[Finding, ...]:
    """Return the findings about a trial, the gravest first; a healthy trial has none.

    Parameters
    ----------
    curves
        One number per epoch for each of ``train/loss``, ``val/loss``, ``train/accuracy`` and ``val/accuracy``. The curves
        of a diverged trial may end early or contain NaN.
    facts
        What the curves do not show.
    extra_rules
        Rules that are applied after the built-in ones.
    """
    evidence = Evidence.of(curves, facts)
    findings = [finding for rule in (*RULES, *extra_rules) if (finding := rule(evidence))]
    return tuple(sorted(findings, key=lambda finding: finding.code == RULE_FAILED))


def health(findings: Sequence[Finding]) -> str:
    """The value of the health tag: the code of the gravest finding, or ``good``."""
    return findings[0].code if findings else GOOD
