"""Diagnosis states what went wrong in a trial, by which numbers, and what to do about it.

A rule is a function from :class:`Evidence` to a :class:`Finding`, or None if it has no complaint. ``plugins`` loads the
rules that are installed in addition to the built-in ones. P1 to P26 in the docstrings of the rules number the pitfalls of
``docs/diagnosis.md``, which gives the source of each threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.diagnosis import rules_fit, rules_high_rate, rules_slow_start
from pipeline.diagnosis.evidence import Evidence
from pipeline.diagnosis.trial_facts import RULE_FAILED, Facts, Finding
from pipeline.training import CURVES

GOOD = "good"
Rule = Callable[[Evidence], Finding | None]

RULES: list[Rule] = [
    rules_high_rate.diverged,
    rules_high_rate.dead,
    rules_high_rate.late_explosion,
    rules_high_rate.lr_too_high,
    rules_slow_start.l2_overwhelms,
    rules_slow_start.never_starts,
    rules_slow_start.barely_moves,
    rules_fit.val_at_chance,
    rules_slow_start.flat_then_drop,
    rules_slow_start.late_start,
    rules_slow_start.low_lr,
    rules_high_rate.high_plateau,
    rules_high_rate.spike,
    rules_slow_start.slightly_low_lr,
    rules_fit.overfitting,
    rules_fit.underfitting,
    rules_high_rate.full_batch_rises,
    rules_high_rate.wiggly,
    rules_fit.dead_units,
    rules_fit.saturated,
    rules_fit.running_statistics,
    rules_fit.update_ratio,
    rules_slow_start.wrong_first_loss,
    rules_fit.val_above_train,
]
"""Every rule, gravest first: a trial's health is the code of its first finding."""

CURVE_RULES: list[Rule] = [rules_fit.val_at_chance, rules_fit.overfitting, rules_fit.val_above_train]
"""The rules about the curves of any model; the others need the network's hyperparameters or insides."""
CURVE_ADVICE = {"overfitting": "stronger regularisation, more data, or fewer epochs"}
"""The advice for a model that is not the network, where the rule's speaks of the network."""


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


def diagnose_curves(curves: Mapping[str, Sequence[float]], facts: Facts) -> tuple[Finding, ...]:
    """Return the findings of the rules that hold for any model; none without all four curves, up to their last epoch."""
    if not all(len(values := curves.get(key, ())) and np.isfinite(values).all() for key in CURVES):
        return ()
    evidence = Evidence.of(curves, facts)
    findings = [finding for rule in CURVE_RULES if (finding := rule(evidence))]
    return tuple(replace(finding, advice=CURVE_ADVICE.get(finding.code, finding.advice)) for finding in findings)


def health(findings: Sequence[Finding]) -> str:
    """The value of the health tag: the code of the gravest finding, or ``good``."""
    return findings[0].code if findings else GOOD
