"""How the report writes numbers and names: no more digits than the interval supports, and each arm by its title."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipeline.study.spec import Arm

if TYPE_CHECKING:  # intervals loads SciPy's statistics, which a job without a report does not need
    from pipeline.report.intervals import Interval

TITLES = {
    "random": "random search",
    "grid": "the textbook grid",
    "shifted_grid": "the shifted grid",
    "sobol": "the Sobol sequence",
    "halton": "the Halton sequence",
    "tpe": "TPE",
    "gp": "the Gaussian process",
    "cmaes": "CMA-ES",
    "nsga2": "NSGA-II",
}


def title(arm: Arm) -> str:
    """What sentences call an arm: a well-known sampler by its title, anything else by its own name."""
    return TITLES.get(arm.sampler, arm.name) if arm.name == arm.sampler else arm.name


def label(arm: Arm) -> str:
    """What plots and tables call an arm: its title without an article."""
    return title(arm).removeprefix("the ")


def capital(text: str) -> str:
    """The sentence with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def decimals(width: float) -> int:
    """The decimals that show two significant digits of an interval's width; two if it has none."""
    if not math.isfinite(width) or width <= 0:
        return 2
    return min(max(0, 1 - math.floor(math.log10(width))), 3)


def number(x: float, places: int) -> str:
    """A number with so many decimals, a true minus sign, and no minus zero."""
    text = f"{x:.{places}f}"
    return text.replace("-", "" if float(text) == 0 else "\u2212")


def points(interval: Interval) -> tuple[str, str, str]:
    """An interval of accuracies, in points (hundredths), at two significant digits of its width."""
    values = [100 * x for x in (interval.estimate, interval.low, interval.high)]
    places = decimals(values[2] - values[1])
    first, low, high = (number(x, places) for x in values)
    return first, low, high


def point(x: float) -> str:
    """A length in points, at two significant digits: 0.5, 1.2, 12."""
    x = 100 * x
    return number(x, decimals(x)) if not math.isclose(x, round(x, 1)) else f"{x:.1f}".removesuffix(".0")


def whole(n: float) -> str:
    """A count of trials, which may be infinite."""
    return f"{n:,.0f}" if math.isfinite(n) else "\u221e"


def percent(x: float, places: int = 1) -> str:
    """A share as a percentage."""
    return f"{number(100 * x, places)}%"


def chance(interval: Interval) -> str:
    """A probability and its interval, at two significant digits of its width."""
    places = decimals(interval.high - interval.low)
    estimate, low, high = (number(x, places) for x in (interval.estimate, interval.low, interval.high))
    return f"{estimate} (95% CI {low} to {high})"


def ends(low: str, high: str, blocks: int) -> str:
    """``95% CI 1.2 to 2.3``, or why there is none: of one block, or of blocks that do not differ, nothing is known."""
    if blocks < 2:
        return "one block: no interval"
    return f"the same in all {blocks} blocks: no interval" if low == high else f"95% CI {low} to {high}"


def p_value(p: float) -> str:
    """``p = 0.02``, or ``p < 0.001``; never a star."""
    return "p < 0.001" if p < 0.001 else f"p = {float(f'{p:.2g}'):g}"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def count(n: int, noun: str) -> str:
    """``1 block``, ``10 blocks``, ``3,240 trials``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, in which a bar inside a cell is escaped."""
    columns = list(columns)
    cells = ([cell.replace("|", "\\|") for cell in row] for row in (columns, *rows))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' --- |' * len(columns)}", *lines[1:]])
