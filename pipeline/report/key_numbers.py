"""The numbers at the top of the page: the difference, the trials that match, the price of choosing, the best network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import label, title
from pipeline.report.comparison import Comparison
from pipeline.report.curves import Curve
from pipeline.report.formatting import all_of, count, ends, listed, points, unit, value, whole_number
from pipeline.report.intervals import mean_interval
from pipeline.report.matching import Matching
from pipeline.report.sentences import matched_interval, needed_by_headline
from pipeline.report.targets import TrialsNeeded
from pipeline.report.verdict import Verdict


@dataclass(frozen=True)
class KeyNumber:
    """A number in large type, a caption that says what it is, and its interval."""

    value: str
    caption: str
    detail: str


def key_numbers(analysis: Analysis) -> list[KeyNumber]:
    """Return the key numbers of a comparison, or of a single arm."""
    if analysis.comparison:
        price = _price(analysis.curves[analysis.comparison.first.name])
        difference = _difference(analysis.comparison, analysis.verdict)
        return [difference, _matching(analysis.matchings[0]), price, *_winner(analysis)]
    return [_score(analysis), _trials_needed(analysis)]


def _winner(analysis: Analysis) -> Iterator[KeyNumber]:
    if winner := analysis.winner:
        size, _, interval = winner.test.text.partition(" ")
        metric, validation = winner.metric.title, value(winner.validation.value, winner.metric)
        kind = "model" if analysis.study.model else "network"
        caption = f"test {metric} of the best {kind}, {winner.name}, with {validation} validation {metric}"
        yield KeyNumber(size, caption, interval.strip("()"))


def _difference(comparison: Comparison, verdict: Verdict) -> KeyNumber:
    blocks = verdict.looks[-1].blocks if verdict.looks else len(comparison.blocks)
    metric = comparison.metric
    size, low, high = points(verdict.interval or comparison.expected_difference.interval, metric)
    sign = "" if size.startswith("\u2212") or not float(size) else "+"
    caption = f"{'points of ' if metric.is_share else ''}expected test {metric.title}: {label(comparison.first)} minus {label(comparison.second)}"
    return KeyNumber(f"{sign}{size}", caption, f"{ends(low, high, blocks)}; after {count(comparison.trials, 'trial')}")


def _matching(found: Matching) -> KeyNumber:
    value = whole_number(found.trials) if math.isfinite(found.trials) else f">{found.budget:,}"
    trials = "trial" if found.trials == 1 else "trials"
    match = "matches" if found.trials == 1 else "match"
    caption = f"{trials} of {title(found.arm)} {match} {all_of(found.other_budget)} of {title(found.other)}"
    return KeyNumber(value, caption, matched_interval(found, "95% CI ") or "one block: no interval")


def _price(curve: Curve) -> KeyNumber:
    metric = curve.metric
    size, low, high = points(mean_interval((curve.validation - curve.test)[:, -1], within=metric.differences), metric)
    caption = f"{'points of ' if metric.is_share else ''}{metric.title}: validation minus test, of what {title(curve.arm)} chose"
    return KeyNumber(size, caption, ends(low, high, len(curve.blocks)))


def _score(analysis: Analysis) -> KeyNumber:
    curve, metric = next(iter(analysis.curves.values())), analysis.study.objective
    size, low, high = points(mean_interval(curve.test[:, -1], within=metric.range), metric)
    caption = f"test {metric.title} of what {title(curve.arm)} chooses in a block"
    over = f", the mean over {len(curve.blocks)} blocks" if len(curve.blocks) > 1 else ""
    return KeyNumber(f"{size}{unit(metric)}", f"{caption}{over}", ends(low, high, len(curve.blocks)))


def _trials_needed(analysis: Analysis) -> KeyNumber:
    all_needed, metric = needed_by_headline(analysis), analysis.study.objective
    noun = "trial" if all(needed.median == 1 for needed in all_needed) else "trials"
    caption = f"{noun} for an even chance of {value(analysis.quoted_target.value, metric)} validation {metric.title}"
    return KeyNumber(
        " vs ".join(whole_number(needed.median) for needed in all_needed),
        f"{caption}: {' vs '.join(label(needed.arm) for needed in all_needed)}",
        _intervals(all_needed),
    )


def _intervals(all_needed: list[TrialsNeeded]) -> str:
    """Return the intervals in the order of the arms; with the arms' names, if not every arm has an interval."""
    finite = [needed for needed in all_needed if math.isfinite(needed.low)]
    names = [f" with {label(needed.arm)}" if len(finite) < len(all_needed) else "" for needed in finite]
    texts = [
        f"{whole_number(needed.low)} to {whole_number(needed.high)}{name}"
        for needed, name in zip(finite, names, strict=True)
    ]
    return f"95% CI {listed(texts)}" if texts else "no interval"
