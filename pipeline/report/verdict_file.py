"""The content of ``verdict.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.report.analysis import Analysis
from pipeline.report.confirmation import confirmation_table
from pipeline.report.curves import Curve
from pipeline.report.intervals import mean_interval
from pipeline.report.run_results import metrics
from pipeline.report.sentences import sentences
from pipeline.report.verdict import Verdict
from pipeline.study.metrics import ACCURACY


def summary(analysis: Analysis) -> dict[str, Any]:
    """Return the content of ``verdict.json``."""
    study, verdict = analysis.study, analysis.verdict
    return {
        "study": study.name,
        "question": study.question,
        "dataset": study.dataset,
        "study_hash": study.hash,
        "contrast": [arm.name for arm in study.headline],
        "contrasts": [_contrast(verdict) for verdict in analysis.verdicts],
        "rule": verdict.rule,
        "label": verdict.label,
        "leader": verdict.leader,
        "sentences": list(sentences(analysis)),
        "notes": analysis.notes,
        "delta": study.delta,
        **({} if study.objective is ACCURACY else {"metric": study.objective.name}),
        "metrics": metrics(analysis),
        "ends": {name: _last(curve) for name, curve in analysis.curves.items()},
        "confirmation": _confirmations(analysis),
    }


def _contrast(verdict: Verdict) -> dict[str, Any]:
    """Return one verdict and its looks as plain values."""
    looks = [
        {
            "blocks": look.blocks,
            **_null_if_unknown(look.interval.named("difference")),
            **_null_if_unknown(
                {"equality_low": look.equality_interval.low, "equality_high": look.equality_interval.high}
            ),
            "ahead": look.ahead,
            "equal": look.equal,
        }
        for look in verdict.looks
    ]
    arms = [arm.name for arm in verdict.contrast]
    decided = {"rule": verdict.rule, "label": verdict.label, "leader": verdict.leader, "decided_at": verdict.decided_at}
    return {"arms": arms, **decided, "sentence": verdict.sentence, "looks": looks}


def _confirmations(analysis: Analysis) -> dict[str, dict[str, float | None]]:
    """Return the scores of each arm's choices, as they were chosen and trained again; empty without confirmation."""
    if not analysis.confirmations:
        return {}
    frame = confirmation_table(analysis.confirmations).drop(columns="promise").set_index("arm")
    return {str(name): _null_if_unknown(row) for name, row in frame.to_dict("index").items()}


def _last(curve: Curve) -> dict[str, float | None]:
    """Return the mean test value at the last trial and its interval, which a single block does not have."""
    interval = mean_interval(curve.test[:, -1], within=curve.metric.range)
    return _null_if_unknown(
        {f"test_{curve.metric.name}": interval.estimate, "low": interval.low, "high": interval.high}
    )


def _null_if_unknown(values: Mapping[Any, float]) -> dict[str, float | None]:
    """Replace numbers that are not finite, which JSON does not have."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
