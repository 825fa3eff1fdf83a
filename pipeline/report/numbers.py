"""The report's main numbers as plain values: metrics and tags for a study's run, and the whole of ``verdict.json``."""

from __future__ import annotations

import math
from typing import Any

from pipeline.report.findings import Findings
from pipeline.report.intervals import mean_interval


def metrics(findings: Findings) -> dict[str, float]:
    """The numbers that compare one study with another, under ``report/``; those that do not exist are left out."""
    values = dict(_comparison(findings)) | {"report/blocks": len(next(iter(findings.curves.values())).blocks)}
    for name, curve in findings.curves.items():
        values[f"report/{name}/test_accuracy"] = curve.test[:, -1].mean()
        values[f"report/{name}/val_accuracy"] = curve.validation[:, -1].mean()
    return {key: float(value) for key, value in values.items() if math.isfinite(value)}


def _comparison(findings: Findings) -> dict[str, float]:
    if not findings.comparison:
        return {}
    seen = findings.comparison.evidence
    return {
        "report/difference": seen.interval.estimate,
        "report/difference_low": seen.interval.low,
        "report/difference_high": seen.interval.high,
        "report/p_value": seen.p,
        "report/detectable_difference": seen.detectable,
        "report/trials": findings.comparison.trials,
    }


def tags(findings: Findings) -> dict[str, str]:
    """The verdict in words, for a study's run."""
    return {
        "report/verdict": findings.verdict.sentence,
        "report/label": findings.verdict.label,
        "report/leader": findings.verdict.leader or "none",
        "report/contrast": " - ".join(arm.name for arm in findings.study.contrast),
        "report/study_hash": findings.study.hash,
    }


def summary(findings: Findings) -> dict[str, Any]:
    """The content of ``verdict.json``."""
    study, verdict = findings.study, findings.verdict
    return {
        "study": study.name,
        "question": study.question,
        "dataset": study.dataset,
        "study_hash": study.hash,
        "contrast": [arm.name for arm in study.contrast],
        "rule": verdict.rule,
        "label": verdict.label,
        "leader": verdict.leader,
        "sentences": list(findings.sentences),
        "notes": findings.notes,
        "delta": study.delta,
        "metrics": metrics(findings),
        "ends": {name: _end(curve.test[:, -1]) for name, curve in findings.curves.items()},
    }


def _end(accuracies: Any) -> dict[str, float | None]:
    """Mean test accuracy at the last trial and its interval; null where a single block gives none."""
    interval = mean_interval(accuracies)
    values = {"test_accuracy": interval.estimate, "low": interval.low, "high": interval.high}
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
