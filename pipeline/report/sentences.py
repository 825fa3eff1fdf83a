"""The sentences at the top: the verdicts, trials that match, trials needed, the price of choosing, confirmation."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import title
from pipeline.report.confirmation import confirmation_sentence
from pipeline.report.formatting import (
    all_of,
    amount,
    capital,
    count,
    decimals,
    drawn_again,
    listed,
    number,
    points,
    probability,
    size_and_ends,
    value,
    whole_number,
)
from pipeline.report.intervals import mean_interval
from pipeline.report.matching import Matching
from pipeline.report.targets import CENSUS, POOLED, TrialsNeeded


def sentences(analysis: Analysis) -> tuple[str, ...]:
    """Return the verdicts, the headline first, and the sentences after them; each text is a few sentences."""
    writers = (_shifted_grid, _two_estimates, _matchings, _trials_needed, _win_probability, _optimism)
    texts = [text for writer in writers for text in writer(analysis)]
    confirmed = confirmation_sentence(analysis.confirmations, analysis.study)
    return (*(verdict.sentence for verdict in analysis.verdicts), *texts, *confirmed)


def _shifted_grid(analysis: Analysis) -> Iterator[str]:
    if any(arm.sampler == "shifted_grid" for contrast in analysis.study.compared for arm in contrast):
        yield (
            "The shifted grid is the textbook's, moved by a random part of a step in every block, so that it is not judged "
            "by where its levels happen to lie."
        )


def _two_estimates(analysis: Analysis) -> Iterator[str]:
    """Yield why the curves end elsewhere than the verdict, if their differences have opposite signs or are far apart."""
    if not (comparison := analysis.comparison):
        return
    metric, curves = analysis.study.objective, comparison.difference.interval
    expected = analysis.verdict.interval or comparison.expected_difference.interval
    (shown, *_), (judged, *_) = points(curves, metric), points(expected, metric)
    opposite = {shown[:1] == "\u2212", judged[:1] == "\u2212"} == {True, False}
    if opposite or abs(curves.estimate - expected.estimate) > (expected.high - expected.low) / 2:
        yield (
            f"The curves end with the very models that validation chose: there {title(comparison.first)} minus "
            f"{title(comparison.second)} is {amount(shown, metric)}. The verdict has {amount(judged, metric)}, which is expected of "
            f"such choices over new validation rows and new {drawn_again(analysis.study)}. It depends less on the luck of single models."
        )


def _matchings(analysis: Analysis) -> Iterator[str]:
    for found in analysis.matchings:
        everything = f"{all_of(found.other_budget)} of {title(found.other)}{matched_interval(found, ' (95% CI ', ')')}"
        if math.isfinite(found.trials):
            trials, do = count(int(found.trials), "trial"), "does" if found.trials == 1 else "do"
            yield f"{trials} of {title(found.arm)} {do} as well as {everything}."
        else:
            yield f"{capital(title(found.arm))} needs more than {count(found.budget, 'trial')} to do as well as {everything}."


def matched_interval(found: Matching, before: str = "", after: str = "") -> str:
    """Return the interval of the number that matches between two texts; empty for one block."""
    if math.isnan(found.low):
        return ""
    ends = [
        whole_number(end) if math.isfinite(end) else f"more than {found.budget:,}" for end in (found.low, found.high)
    ]
    return f"{before}{' to '.join(dict.fromkeys(ends))}{after}"


def needed_by_headline(analysis: Analysis) -> list[TrialsNeeded]:
    """Return the trials that each arm of the first contrast, or any if it has none, needs for the target that is quoted."""
    needed = analysis.needed[analysis.quoted_target.name]
    return [of_arm for of_arm in needed if of_arm.arm in analysis.study.headline] or needed


def _trials_needed(analysis: Analysis) -> Iterator[str]:
    all_needed, metric = needed_by_headline(analysis), analysis.study.objective
    explained = next((needed for needed in all_needed if math.isfinite(needed.median)), None)
    clauses = "; ".join(needed_clause(needed, explain=needed is explained) for needed in all_needed)
    yield (
        f"The target of {value(analysis.quoted_target.value, metric)} validation {metric.title}: {clauses}{_ratio(all_needed)}."
        f"{counted_differently(all_needed)}"
    )


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
        return f"{name} reached it in {needed.hit_blocks} of {count(needed.blocks, 'block')}, too few for an even chance in most"
    if needed.method == CENSUS:
        return f"{name} never reaches it"
    more = f": more than {whole_number(needed.low)} are needed (95%)" if math.isfinite(needed.low) else ""
    return f"{name} did not reach it in {count(needed.trials, 'trial')}{more}"


def counted_differently(all_needed: list[TrialsNeeded]) -> str:
    """Return why one arm has a number and another has none, after a space; empty if they are counted in one way."""
    pooled = [title(n.arm) for n in all_needed if n.method == POOLED and math.isfinite(n.median)]
    unreached = [title(n.arm) for n in all_needed if n.hits and not math.isfinite(n.median)]
    if not pooled or not unreached:
        return ""
    return f" The trials of {listed(pooled)} are counted over all blocks together, those of {listed(unreached)} block by block."


def _ratio(all_needed: list[TrialsNeeded]) -> str:
    if len(all_needed) != 2 or not all(math.isfinite(needed.median) for needed in all_needed):
        return ""
    ratio = all_needed[1].median / all_needed[0].median
    return f", {number(ratio, decimals(ratio))} times as many"


def _win_probability(analysis: Analysis) -> Iterator[str]:
    improvement, comparison = analysis.improvement, analysis.comparison
    if improvement and comparison:
        interval, several = improvement.interval, len(comparison.blocks) > 1
        chance = probability(interval) if several else f"{interval.estimate:.2f} in this one block"
        size = f": a {improvement.size} effect" if improvement.size else ""
        yield f"With one search of each kind, {title(comparison.first)} wins with probability {chance}{size}."


def _optimism(analysis: Analysis) -> Iterator[str]:
    gaps, metric = [], analysis.study.objective
    for arm in analysis.study.headline:
        if arm.name in analysis.curves:
            curve = analysis.curves[arm.name]
            gaps_by_block = (curve.validation - curve.test)[:, -1]
            gap, interval = size_and_ends(
                mean_interval(gaps_by_block, within=metric.differences), len(curve.blocks), metric
            )
            gaps.append(f"{amount(gap, metric)} with {title(arm)}{interval}")
    if gaps:
        yield f"The winner's validation {metric.title} minus its test {metric.title} is {listed(gaps)}."
