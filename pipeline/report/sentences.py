"""What always follows the verdict: how fast, how likely, how much luck was in the grid's place, and how optimistic."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Comparison, compare
from pipeline.report.confirmation import confirmation_sentence
from pipeline.report.formatting import (
    capital,
    chance,
    count,
    decimals,
    ends,
    listed,
    number,
    percent,
    points,
    title,
    whole,
)
from pipeline.report.intervals import DIFFERENCE, mean_interval
from pipeline.report.targets import CENSUS, TrialsNeeded
from pipeline.report.verdict import judge, validation_verdict
from pipeline.study.spec import Arm


def sentences(analysis: Analysis) -> tuple[str, ...]:
    """The verdict and what follows it, each a sentence or two."""
    followers = (_contradiction, _speed, _chance, _placement, _optimism, _confirmed)
    return (analysis.verdict.sentence, *(said for follower in followers for said in follower(analysis)))


def _contradiction(analysis: Analysis) -> Iterator[str]:
    comparison, delta = analysis.comparison, analysis.study.delta
    if comparison and analysis.verdict.rule >= 2:
        test, validation = judge(comparison, comparison.difference, delta), validation_verdict(comparison, delta)
        if None not in (test.claim, validation.claim) and test.claim != validation.claim:
            yield f"Test and validation disagree. By test accuracy: {test.sentence} By validation accuracy: {validation.sentence}"
        elif test.claim != validation.claim:
            yield f"By validation accuracy, which decides nothing here: {validation.sentence}"


def _speed(analysis: Analysis) -> Iterator[str]:
    target, own = analysis.headline, {arm.name for arm in analysis.study.contrast}
    needed = [n for n in analysis.needed[target.name] if n.arm.name in own]
    explained = next((n for n in needed if math.isfinite(n.median)), None)
    said = "; ".join(needs(n, first=n is explained) for n in needed)
    yield f"To reach {percent(target.value)} validation accuracy, {said}{_ratio(needed)}."


def needs(needed: TrialsNeeded, *, first: bool = False) -> str:
    """What one arm needs for an even chance, as a clause."""
    name = title(needed.arm)
    if math.isfinite(needed.median):
        between = f" (95% CI {whole(needed.low)}\u2013{whole(needed.high)})" if math.isfinite(needed.low) else ""
        trials = f"{count(int(needed.median), 'trial')} for an even chance" if first else whole(needed.median)
        return f"{name} needs {trials}{between}"
    if needed.hits:
        return f"{name} did not reach it in most blocks"
    if needed.method == CENSUS:
        return f"{name} never reaches it"
    more = f": more than {whole(needed.low)} are needed (95%)" if math.isfinite(needed.low) else ""
    return f"{name} did not reach it in {count(needed.trials, 'trial')}{more}"


def _ratio(needed: list[TrialsNeeded]) -> str:
    if len(needed) < 2 or not all(math.isfinite(n.median) for n in needed):
        return ""
    ratio = needed[1].median / needed[0].median
    return f", ratio {number(ratio, decimals(ratio))}"


def _chance(analysis: Analysis) -> Iterator[str]:
    found, comparison = analysis.improvement, analysis.comparison
    if found and comparison:
        said = (
            chance(found.interval) if len(comparison.blocks) > 1 else f"{found.interval.estimate:.2f} in this one block"
        )
        size = f": a {found.size} effect" if found.size else ""
        yield f"Pick one search of each kind: {title(comparison.first)} wins with probability {said}{size}."


def _placement(analysis: Analysis) -> Iterator[str]:
    """What a textbook grid would have answered, where the contrast is with a grid that is shifted afresh in each block."""
    comparison = analysis.comparison
    textbook = next((arm for arm in analysis.arms if arm.sampler == "grid"), None)
    if not comparison or not textbook or comparison.second.sampler != "shifted_grid":
        return
    fixed = compare(analysis.curves[comparison.first.name], analysis.curves[textbook.name])
    if fixed and len(fixed.blocks) > 1:
        spread = np.quantile(comparison.test[:, -1], [0.1, 0.9])
        low, high = (ahead_by(comparison, float(x)) for x in spread)
        yield (
            f"With {title(textbook)} the answer would have been {_answer(fixed)}; over random grid positions, one in each "
            f"block, it ranges from {low} to {high}."
        )


def _answer(comparison: Comparison) -> str:
    _, low, high = points(comparison.difference.interval)
    return (
        f"{ahead_by(comparison, comparison.difference.interval.estimate)} ({ends(low, high, len(comparison.blocks))})"
    )


def ahead_by(comparison: Comparison, difference: float) -> str:
    """``random search 1.2 points ahead``."""
    leader: Arm = comparison.first if difference >= 0 else comparison.second
    interval = comparison.difference.interval
    return (
        f"{title(leader)} {number(100 * abs(difference), decimals(100 * (interval.high - interval.low)))} points ahead"
    )


def _optimism(analysis: Analysis) -> Iterator[str]:
    gaps = []
    for arm in analysis.study.contrast:
        if arm.name in analysis.curves:
            curve = analysis.curves[arm.name]
            gap, low, high = points(mean_interval((curve.validation - curve.test)[:, -1], within=DIFFERENCE))
            interval = f" ({ends(low, high, len(curve.blocks))})" if len(curve.blocks) > 1 else ""
            gaps.append(f"by {gap} points with {title(arm)}{interval}")
    yield capital(f"validation overstated the winner {listed(gaps)}.")


def _confirmed(analysis: Analysis) -> Iterator[str]:
    return confirmation_sentence(analysis.confirmations, analysis.study.contrast)
