"""The report's main numbers as plain values: metrics and tags for a study's run, and the whole of ``verdict.json``."""

from __future__ import annotations

import math
from typing import Any

from pipeline.report.analysis import Analysis
from pipeline.report.confirmation import Confirmation
from pipeline.report.intervals import SHARE, Array, Interval, mean_interval
from pipeline.report.sentences import sentences


def metrics(analysis: Analysis) -> dict[str, float]:
    """The numbers that compare one study with another, under ``report/``; those that do not exist are left out."""
    values = {**_comparison(analysis), **_improvement(analysis), **_arms(analysis), **_effective(analysis)}
    values |= _confirmed(analysis)
    return {f"report/{key}": float(value) for key, value in values.items() if math.isfinite(value)}


def _comparison(analysis: Analysis) -> dict[str, float]:
    if not analysis.comparison:
        return {}
    seen = analysis.comparison.difference
    interval = {f"difference{end}": value for end, value in _ends(seen.interval).items()}
    tested = {"p_value": seen.p, "detectable_difference": seen.detectable}
    return {**interval, **tested, "blocks": len(analysis.comparison.blocks), "trials": analysis.comparison.trials}


def _improvement(analysis: Analysis) -> dict[str, float]:
    if not analysis.improvement:
        return {}
    return {f"win_probability{end}": value for end, value in _ends(analysis.improvement.interval).items()}


def _arms(analysis: Analysis) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, curve in analysis.curves.items():
        values[f"{name}/test_accuracy"] = curve.test[:, -1].mean()
        values[f"{name}/val_accuracy"] = curve.validation[:, -1].mean()
        values[f"{name}/optimism"] = (curve.validation - curve.test)[:, -1].mean()
        values[f"{name}/diverged"] = analysis.table.frame.query("arm == @name")["diverged"].mean()
    for needed in analysis.needed[analysis.headline.name]:
        values |= {f"{needed.arm.name}/trials_needed": needed.median}
    return values | {"target": analysis.headline.value}


def _effective(analysis: Analysis) -> dict[str, float]:
    found = analysis.importance
    if not found:
        return {}
    bars = {f"importance/{name}": share for name, share in zip(found.names, found.variance.mean(axis=0), strict=True)}
    return bars | ({"effective_hyperparameters": found.effective.estimate} if found.effective else {})


def _confirmed(analysis: Analysis) -> dict[str, float]:
    """Of the choices that were trained again: their test accuracy, the luck of the first weights, and the comparison."""
    values: dict[str, float] = {}
    for name, one in analysis.confirmations.items():
        values |= {f"{name}/confirmed_test_accuracy{end}": x for end, x in _ends(one.confirmed).items()}
        values |= {f"{name}/luck_of_weights{end}": x for end, x in _ends(one.luck).items()}
    if seen := analysis.confirmed_difference:
        values |= {f"confirmed_difference{end}": x for end, x in _ends(seen.interval).items()}
    return values


def _ends(interval: Interval) -> dict[str, float]:
    return {"": interval.estimate, "_low": interval.low, "_high": interval.high}


def tags(analysis: Analysis) -> dict[str, str]:
    """The verdict in words, for a study's run."""
    return {
        "report/verdict": analysis.verdict.sentence,
        "report/label": analysis.verdict.label,
        "report/leader": analysis.verdict.leader or "none",
        "report/contrast": " - ".join(arm.name for arm in analysis.study.contrast),
        "report/study_hash": analysis.study.hash,
    }


def summary(analysis: Analysis) -> dict[str, Any]:
    """The content of ``verdict.json``."""
    study, verdict = analysis.study, analysis.verdict
    return {
        "study": study.name,
        "question": study.question,
        "dataset": study.dataset,
        "study_hash": study.hash,
        "contrast": [arm.name for arm in study.contrast],
        "rule": verdict.rule,
        "label": verdict.label,
        "leader": verdict.leader,
        "sentences": list(sentences(analysis)),
        "notes": analysis.notes,
        "delta": study.delta,
        "metrics": metrics(analysis),
        "ends": {name: _end(curve.test[:, -1]) for name, curve in analysis.curves.items()},
        "confirmation": {name: _again(one) for name, one in analysis.confirmations.items()},
    }


def _again(one: Confirmation) -> dict[str, float | None]:
    """One arm's choices: what validation promised, what they scored on test data, and what the same trained again does."""
    own = {"val_accuracy": float(one.validation.mean()), "test_accuracy": float(one.test.mean())}
    size = {"blocks": len(one.blocks), "seeds": one.seeds, "sd_of_seeds": one.sd}
    again = {"val_again": float(one.validation_again.mean())}
    for name, interval in (("test_again", one.confirmed), ("val_luck", one.luck), ("test_luck", one.test_luck)):
        again |= {name + end: value for end, value in _ends(interval).items()}
    return {key: value if math.isfinite(value) else None for key, value in {**size, **own, **again}.items()}


def _end(accuracies: Array) -> dict[str, float | None]:
    """Mean test accuracy at the last trial and its interval; null where a single block gives none."""
    interval = mean_interval(accuracies, within=SHARE)
    values = {"test_accuracy": interval.estimate, "low": interval.low, "high": interval.high}
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
