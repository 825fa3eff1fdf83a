"""The three numbers at the top of the page: the difference, the chance of a win, the trials needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Comparison
from pipeline.report.formatting import count, decimals, ends, label, listed, number, percent, points, whole_number
from pipeline.report.intervals import SHARE, Interval, mean_interval
from pipeline.report.sentences import needed_by_contrast
from pipeline.report.targets import TrialsNeeded


@dataclass(frozen=True)
class KeyNumber:
    """A number in large type, a caption that says what it is, and its interval."""

    value: str
    caption: str
    detail: str


def key_numbers(analysis: Analysis) -> list[KeyNumber]:
    """Return the key numbers of a comparison, or of a single arm."""
    if analysis.comparison and analysis.improvement:
        chance = _win_probability(analysis.comparison, analysis.improvement.interval)
        return [_difference(analysis.comparison), chance, _trials_needed(analysis)]
    return [_accuracy(analysis), _trials_needed(analysis)]


def _difference(comparison: Comparison) -> KeyNumber:
    size, low, high = points(comparison.difference.interval)
    sign = "" if size.startswith("\u2212") or not float(size) else "+"
    caption = f"points of test accuracy: {label(comparison.first)} minus {label(comparison.second)}"
    interval = ends(low, high, len(comparison.blocks))
    return KeyNumber(f"{sign}{size}", caption, f"{interval}; after {count(comparison.trials, 'trial')}")


def _win_probability(comparison: Comparison, p: Interval) -> KeyNumber:
    places = decimals(p.high - p.low)
    estimate, low, high = (number(x, places) for x in (p.estimate, p.low, p.high))
    caption = f"probability that {label(comparison.first)} wins, one search of each kind"
    return KeyNumber(estimate, caption, ends(low, high, len(comparison.blocks)))


def _accuracy(analysis: Analysis) -> KeyNumber:
    curve = next(iter(analysis.curves.values()))
    size, low, high = points(mean_interval(curve.test[:, -1], within=SHARE))
    return KeyNumber(
        f"{size}%", f"test accuracy of the choice of {label(curve.arm)}", ends(low, high, len(curve.blocks))
    )


def _trials_needed(analysis: Analysis) -> KeyNumber:
    all_needed = needed_by_contrast(analysis)
    caption = f"trials for an even chance of {percent(analysis.headline.value)} validation accuracy"
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
