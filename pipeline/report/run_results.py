"""The metrics and tags of a study's run, and the curves of its arms' runs."""

from __future__ import annotations

import math

import numpy as np

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Difference


def arm_curves(analysis: Analysis) -> dict[tuple[str, int], dict[str, dict[int, float]]]:
    """Return the curves of each arm in each block, by metric key and step."""
    metric = analysis.study.objective
    choices = [(name, choice) for name, choices in analysis.choices.items() for choice in choices]
    return {
        (name, choice.pool.block): {
            metric.expected: choice.expected_by_budget,
            metric.spread: dict(enumerate(np.percentile(choice.pool.validation, range(101)).tolist())),
        }
        for name, choice in sorted(choices, key=lambda item: item[1].pool.block)  # a block's arms share random draws
    }


def metrics(analysis: Analysis) -> dict[str, float]:
    """Return the numbers that compare one study with another, under ``report/``; numbers that do not exist are left out."""
    parts = (_comparison, _arms, _importance, _confirmed)
    values = {key: value for part in parts for key, value in part(analysis).items()}
    return {f"report/{key}": float(value) for key, value in values.items() if math.isfinite(value)}


def _comparison(analysis: Analysis) -> dict[str, float]:
    """Return the numbers of the headline, then those of each contrast under its arms' names."""
    values: dict[str, float] = {}
    for verdict, (contrast, comparison) in reversed([*zip(analysis.verdicts, analysis.comparisons, strict=False)]):
        if comparison:
            blocks = verdict.looks[-1].blocks if verdict.looks else len(comparison.blocks)
            difference = Difference(comparison.expected_difference.by_block[:blocks])
            numbers = (verdict.interval or difference.interval).named("difference") | {"p_value": difference.p}
            numbers["blocks"] = blocks
            values |= numbers | {f"{'-'.join(arm.name for arm in contrast)}/{key}": x for key, x in numbers.items()}
    if comparison := analysis.comparison:
        values |= comparison.difference.interval.named("chosen_difference") | {"trials": comparison.trials}
    if analysis.improvement:
        values |= analysis.improvement.interval.named("win_probability")
    for found in analysis.matchings[:1]:
        values |= {
            "matching_trials": found.trials,
            "matching_trials_low": found.low,
            "matching_trials_high": found.high,
        }
    return values


def _arms(analysis: Analysis) -> dict[str, float]:
    values: dict[str, float] = {}
    metric = analysis.study.objective.name
    for name, curve in analysis.curves.items():
        values[f"{name}/test_{metric}"] = curve.test[:, -1].mean()
        values[f"{name}/val_{metric}"] = curve.validation[:, -1].mean()
        values[f"{name}/optimism"] = (curve.validation - curve.test)[:, -1].mean()
        values[f"{name}/diverged"] = analysis.table.frame.query("arm == @name")["diverged"].mean()
    for needed in analysis.needed[analysis.quoted_target.name]:
        values[f"{needed.arm.name}/trials_needed"] = needed.median
    return values | {"target": analysis.quoted_target.value}


def _importance(analysis: Analysis) -> dict[str, float]:
    importance = analysis.importance
    if not importance:
        return {}
    shares = zip(importance.names, importance.variance.mean(axis=0), strict=True)
    values = {f"importance/{name}": share for name, share in shares}
    return values | ({"effective_hyperparameters": importance.effective.estimate} if importance.effective else {})


def _confirmed(analysis: Analysis) -> dict[str, float]:
    """Return the numbers of the choices that were trained again: accuracy, luck of the weights, the comparison."""
    values: dict[str, float] = {}
    for name, confirmation in analysis.confirmations.items():
        values |= confirmation.confirmed.named(f"{name}/confirmed_test_{analysis.study.objective.name}")
        values |= confirmation.luck.named(f"{name}/luck_of_weights")
    if difference := analysis.confirmed_difference:
        values |= difference.interval.named("confirmed_difference")
    return values


def tags(analysis: Analysis) -> dict[str, str]:
    """Return the verdict in words, as tags of a study's run."""
    return {
        "report/verdict": analysis.verdict.sentence,
        "report/label": analysis.verdict.label,
        "report/leader": analysis.verdict.leader or "none",
        "report/contrast": " - ".join(arm.name for arm in analysis.study.headline),
        "report/study_hash": analysis.study.hash,
    }
