"""Text for numbers, lists and Markdown tables. Numbers have no more digits than their interval supports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipeline.study.metrics import ACCURACY, Metric

if TYPE_CHECKING:  # intervals loads SciPy's statistics, which a job without a report does not need
    from pipeline.report.intervals import Interval
    from pipeline.study.spec import Study


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def indefinite(noun: str) -> str:
    """Return a noun after ``a`` or ``an``."""
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def decimals(width: float) -> int:
    """Return the number of decimals, 0 to 3, that shows two significant digits of an interval's width.

    An interval without a width, or with one that is not finite, has two decimals.
    """
    if not math.isfinite(width) or width <= 0:
        return 2
    return min(max(0, 1 - math.floor(math.log10(width))), 3)


def drawn_again(study: Study) -> str:
    """Return what another training of a trial draws again: the weights of the network, or the seed of a model."""
    return "seeds" if study.model else "weights"


def number(x: float, places: int) -> str:
    """Write a number with ``places`` decimals and a true minus sign; zero has no sign."""
    text = f"{x:.{places}f}"
    return text.replace("-", "" if float(text) == 0 else "\u2212")


def points(interval: Interval, metric: Metric = ACCURACY) -> tuple[str, str, str]:
    """Write the estimate and ends of an interval at two digits of its width, of a share in points.

    There is at least one decimal: a difference of 0.4 points is not shown as 0 where few blocks leave a wide interval.
    """
    places = max(decimals(100 * (interval.high - interval.low)), 1)
    scale, more = (100, 0) if metric.is_share else (1, 2)
    estimate, low, high = (number(scale * x, places + more) for x in (interval.estimate, interval.low, interval.high))
    return estimate, low, high


def point(x: float, metric: Metric = ACCURACY) -> str:
    """Write a difference at two significant digits, of shares in points: 0.5, 1.2, 12."""
    if not metric.is_share:
        return f"{x:.2g}"
    x = 100 * x
    return number(x, decimals(x)) if not math.isclose(x, round(x, 1)) else f"{x:.1f}".removesuffix(".0")


def whole_number(n: float) -> str:
    """Write a whole number, or the sign of infinity."""
    return f"{n:,.0f}" if math.isfinite(n) else "\u221e"


def percent(x: float, places: int = 1) -> str:
    """Write a share as a percentage."""
    return f"{number(100 * x, places)}%"


def value(x: float, metric: Metric, places: int = 1) -> str:
    """Write a value of a metric: a share as a percentage, others with two decimals more."""
    return percent(x, places) if metric.is_share else number(x, places + 2)


def unit(metric: Metric) -> str:
    """Return the sign that follows a value: ``%`` for a share, nothing for others."""
    return "%" if metric.is_share else ""


def amount(size: str, metric: Metric) -> str:
    """Write a difference with its unit: ``0.5 points`` or ``1 point`` for shares, ``0.021`` for others."""
    return f"{size} point{'' if size == '1' else 's'}" if metric.is_share else size


def on_test(metric: Metric) -> str:
    """Return the words that follow a result on the test rows."""
    return "on test data" if metric is ACCURACY else f"in test {metric.title}"


def probability(interval: Interval) -> str:
    """Write a probability and its interval, at two significant digits of the interval's width."""
    places = decimals(interval.high - interval.low)
    estimate, low, high = (number(x, places) for x in (interval.estimate, interval.low, interval.high))
    return f"{estimate} (95% CI {low} to {high})"


def ends(low: str, high: str, blocks: int) -> str:
    """Write ``95% CI 1.2 to 2.3``, or why there is no interval: one block, or equal blocks."""
    if blocks < 2:
        return "one block: no interval"
    return f"the same in {all_of(blocks, 'block')}: no interval" if low == high else f"95% CI {low} to {high}"


def size_and_ends(interval: Interval, blocks: int, metric: Metric) -> tuple[str, str]:
    """Write an estimate, and its interval in brackets after a space; a single block has no interval."""
    size, low, high = points(interval, metric)
    return size, f" ({ends(low, high, blocks)})" if blocks > 1 else ""


def p_value(p: float) -> str:
    """Write ``p = 0.02``, or ``p < 0.001``; never stars."""
    return "p < 0.001" if p < 0.001 else f"p = {float(f'{p:.2g}'):g}"


def listed(items: Sequence[str]) -> str:
    """Join items: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def duration(seconds: float) -> str:
    """Write seconds in the largest unit of which there are two: 45 s, 12 min, 3.4 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def count(n: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: ``1 block``, ``10 blocks``, ``3,240 trials``."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def all_of(n: int, noun: str = "") -> str:
    """Write all of a number of things, without a noun if it is clear: ``the one block``, ``both``, ``all 10 blocks``."""
    all_n = {1: "the one", 2: "both"}.get(n, f"all {n:,}")
    return f"{all_n} {noun}{'s' if n > 1 else ''}" if noun else all_n


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown; a ``|`` inside a cell is escaped."""
    columns = list(columns)
    cells = ([cell.replace("|", "\\|") for cell in row] for row in (columns, *rows))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' --- |' * len(columns)}", *lines[1:]])
