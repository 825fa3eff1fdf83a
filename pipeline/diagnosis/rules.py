"""The rules of diagnosis: each looks at the evidence of one trial, and complains of one thing or holds its peace.

A rule is a function from :class:`Evidence` to a :class:`Finding` or None; ``plugins`` finds those that are installed
beside these. P1 to P26 in the docstrings number the pitfalls of ``docs/diagnosis.md``, which says where each threshold
comes from.
"""

from __future__ import annotations

from collections.abc import Callable

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
from pipeline.diagnosis.trial_facts import Finding

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
