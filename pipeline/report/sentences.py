"""The sentences after the verdict: trials needed, chance of a win, the grid's position, optimism, confirmation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Comparison, compare
from pipeline.report.confirmation import confirmation_sentence
from pipeline.report.formatting import (
    capital,
    count,
    decimals,
    ends,
    listed,
    number,
    percent,
    points,
    probability,
    size_and_ends,
    title,
    whole_number,
)
from pipeline.report.intervals import DIFFERENCE, mean_interval
from pipeline.report.targets import CENSUS, TrialsNeeded
from pipeline.report.verdict import judge, validation_verdict
from pipeline.study.spec import Arm


def sentences(analysis: Analysis) -> tuple[str, ...]:
    """Return the verdict and the sentences after it; each text is a sentence or two."""
    writers = (_contradiction, _trials_needed, _win_probability, _grid_position, _optimism)
    texts = [text for writer in writers for text in writer(analysis)]
    confirmed = confirmation_sentence(analysis.confirmations, analysis.study.contrast)
    return (analysis.verdict.sentence, *texts, *confirmed)


def _contradiction(analysis: Analysis) -> Iterator[str]:
    """Yield the verdict by validation accuracy where it differs from the verdict by test accuracy."""
    comparison, delta = analysis.comparison, analysis.study.delta
    if comparison and analysis.verdict.rule >= 2:
        test, validation = judge(comparison, comparison.difference, delta), validation_verdict(comparison, delta)
        if None not in (test.claim, validation.claim) and test.claim != validation.claim:
            yield f"Test and validation disagree. By test accuracy: {test.sentence} By validation accuracy: {validation.sentence}"
        elif test.claim != validation.claim:
            yield f"By validation accuracy, which decides nothing here: {validation.sentence}"


def needed_by_contrast(analysis: Analysis) -> list[TrialsNeeded]:
    """Return the trials that each arm of the contrast needs for the headline target."""
    names = {arm.name for arm in analysis.study.contrast}
    return [needed for needed in analysis.needed[analysis.headline.name] if needed.arm.name in names]


def _trials_needed(analysis: Analysis) -> Iterator[str]:
    all_needed = needed_by_contrast(analysis)
    explained = next((needed for needed in all_needed if math.isfinite(needed.median)), None)
    clauses = "; ".join(needed_clause(needed, explain=needed is explained) for needed in all_needed)
    yield f"To reach {percent(analysis.headline.value)} validation accuracy, {clauses}{_ratio(all_needed)}."


def needed_clause(needed: TrialsNeeded, *, explain: bool = False) -> str:
    """Return a clause on the trials that one arm needs; ``explain`` adds what the number means."""
    name = title(needed.arm)
    if math.isfinite(needed.median):
        interval = (
            f" (95% CI {whole_number(needed.low)}\u2013{whole_number(needed.high)})"
            if math.isfinite(needed.low)
            else ""
        )
        trials = f"{count(int(needed.median), 'trial')} for an even chance" if explain else whole_number(needed.median)
        return f"{name} needs {trials}{interval}"
    if needed.hits:
        return f"{name} did not reach it in most blocks"
    if needed.method == CENSUS:
        return f"{name} never reaches it"
    more = f": more than {whole_number(needed.low)} are needed (95%)" if math.isfinite(needed.low) else ""
    return f"{name} did not reach it in {count(needed.trials, 'trial')}{more}"


def _ratio(all_needed: list[TrialsNeeded]) -> str:
    if len(all_needed) < 2 or not all(math.isfinite(needed.median) for needed in all_needed):
        return ""
    ratio = all_needed[1].median / all_needed[0].median
    return f", ratio {number(ratio, decimals(ratio))}"


def _win_probability(analysis: Analysis) -> Iterator[str]:
    improvement, comparison = analysis.improvement, analysis.comparison
    if improvement and comparison:
        interval, several = improvement.interval, len(comparison.blocks) > 1
        chance = probability(interval) if several else f"{interval.estimate:.2f} in this one block"
        size = f": a {improvement.size} effect" if improvement.size else ""
        yield f"Pick one search of each kind: {title(comparison.first)} wins with probability {chance}{size}."


def _grid_position(analysis: Analysis) -> Iterator[str]:
    """Yield the answer of the textbook's grid where the contrast is with a grid that is shifted in each block."""
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
    interval = comparison.difference.interval
    _, low, high = points(interval)
    return f"{ahead_by(comparison, interval.estimate)} ({ends(low, high, len(comparison.blocks))})"


def ahead_by(comparison: Comparison, difference: float) -> str:
    """Return who leads by a difference: ``random search 1.2 points ahead``."""
    leader: Arm = comparison.first if difference >= 0 else comparison.second
    interval = comparison.difference.interval
    lead = number(100 * abs(difference), decimals(100 * (interval.high - interval.low)))
    return f"{title(leader)} {lead} points ahead"


def _optimism(analysis: Analysis) -> Iterator[str]:
    gaps = []
    for arm in analysis.study.contrast:
        if arm.name in analysis.curves:
            curve = analysis.curves[arm.name]
            gaps_by_block = (curve.validation - curve.test)[:, -1]
            gap, interval = size_and_ends(mean_interval(gaps_by_block, within=DIFFERENCE), len(curve.blocks))
            gaps.append(f"by {gap} points with {title(arm)}{interval}")
    yield capital(f"validation overstated the winner {listed(gaps)}.")
