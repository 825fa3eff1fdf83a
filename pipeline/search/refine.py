"""Refinement from coarse to fine: each range is narrowed around the best trials, or shifted towards them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Literal

from pipeline.errors import UserError
from pipeline.study.spec import Categorical, Dimension, Float, Int, Range, SearchSpace, Study

Side = Literal["low", "high"]
BORDER, OUTER, TOP = 0.1, 0.25, 5
"""The widths of the border and the outer part, in parts of the range, and the number of best trials to look at."""
MARGIN, NARROWEST, WIDEST = 0.05, 0.25, 0.9
"""In parts of the range: the margin around the best trials, and the limits of a narrowed range's width."""
Trial = Mapping[str, Any]


@dataclass(frozen=True)
class Proposal:
    """The next study, under the same name, and the reason for each hyperparameter's range."""

    study: Study
    reasons: tuple[str, ...]


def propose(study: Study, trials: Sequence[Trial]) -> Proposal:
    """Propose the next study from the best tenth of the trials, at least five.

    A trial, such as a row of a table, maps the names of the searched hyperparameters to its values and
    the key of the metric's best validation value to its score. Raises :class:`UserError` for fewer than five trials.
    """
    if len(trials) < TOP:
        raise UserError(
            f"trials: got {len(trials)}; expected {TOP} or more, to tell good ones from bad. Search with more --trials"
        )
    score = study.objective.best_val
    ranked = sorted(trials, key=lambda trial: -trial[score])
    best, scores = best_tenth(len(ranked)), [trial[score] for trial in ranked]
    proposed = {name: _next(study, name, [trial[name] for trial in ranked], scores, best) for name in study.space}
    space = SearchSpace(**{name: dimension for name, (dimension, _) in proposed.items()})
    fine = replace(study, space=space, trials=_budget(study, space))
    return Proposal(fine, tuple(f"{name}: {reason}" for name, (_, reason) in proposed.items()))


def best_tenth(trials: int) -> int:
    """Return how many of a number of trials count as good: a tenth, and at least five, or all if there are fewer."""
    return min(max(TOP, trials // 10), trials)


def _next(study: Study, name: str, ranked: Sequence[Any], scores: Sequence[float], best: int) -> tuple[Dimension, str]:
    """Return the next range and its reason, from values and scores of all trials, best first; the first ``best`` are good."""
    dimension, values = study.space[name], ranked[:best]
    if isinstance(dimension, Categorical):
        return _kept(dimension, values)
    positions = [position(dimension, value) for value in ranked]
    side = border_check(positions[0], positions)
    if side is None or _worse_beyond(positions, scores, side):
        return _narrowed(dimension, positions[:best])
    near_border = sum(p < 0.25 if side == "low" else p > 0.75 for p in positions[:TOP])
    reason = f"the best is {_text(values[0])}, and {near_border} of the best {TOP} lie in the {side}est quarter of {_range(dimension)}"
    moved = _shifted(study, name, dimension, -0.5 if side == "low" else 0.5)
    if moved == dimension:
        return dimension, f"{reason}; it cannot go further"
    return moved, f"{reason}, so on to {_range(moved)}"


def border_check(best: float, top: Sequence[float]) -> Side | None:
    """Return the side on which a range should be extended, or None (P23).

    ``best`` is the position of the best trial in the range, 0 to 1 on its scale, and ``top`` those of the best five.
    A border is too near if the best lies in the outer tenth, or three of the five in the outer quarter.
    """
    near_border = {"low": sum(p < OUTER for p in top[:TOP]), "high": sum(p > 1 - OUTER for p in top[:TOP])}
    if best < BORDER or near_border["low"] >= 3:
        return "low"
    if best > 1 - BORDER or near_border["high"] >= 3:
        return "high"
    return None


def _worse_beyond(positions: Sequence[float], scores: Sequence[float], side: Side) -> bool:
    """Return True if trials nearer to that border than the best five were worse: five or more, or all of them in the lower half.

    On CIFAR-10, all trials near the upper end of the lecture's coarse range diverge, though the best rates lie in its
    highest quarter. A range shifted up from there would miss them.
    """
    top = positions[:TOP]
    beyond = [
        score for p, score in zip(positions, scores, strict=True) if (p < min(top) if side == "low" else p > max(top))
    ]
    return len(beyond) >= TOP or (bool(beyond) and max(beyond) <= median(scores))


def _kept(dimension: Categorical, values: Sequence[Any]) -> tuple[Dimension, str]:
    """Return the choices that occur among the best trials."""
    kept = [choice for choice in dimension.choices if choice in values]
    dropped = [str(choice) for choice in dimension.choices if choice not in kept]
    if not dropped:
        return dimension, f"every choice is among the best {len(values)}"
    shares = ", ".join(f"{choice} {list(values).count(choice)}" for choice in kept)
    reason = f"of the best {len(values)} trials: {shares}; none with {', '.join(dropped)}"
    return Categorical(*kept, levels=min(dimension.levels, len(kept))), reason


def _narrowed(dimension: Range, positions: Sequence[float]) -> tuple[Dimension, str]:
    """Return the range of the best trials with a margin, at least a quarter of the present range."""
    low, high = min(positions) - MARGIN, max(positions) + MARGIN
    if (short := NARROWEST - (high - low)) > 0:
        low, high = low - short / 2, high + short / 2
    low, high = max(0.0, low), min(1.0, high)
    if high - low > WIDEST:
        return dimension, f"the best {len(positions)} trials lie all over {_range(dimension)}: it hardly matters"
    ends = (
        dimension.low if low == 0 else _value(dimension, low),
        dimension.high if high == 1 else _value(dimension, high),
    )
    narrow = _with_ends(dimension, max(dimension.low, ends[0]), min(dimension.high, ends[1]))
    return narrow, f"the best {len(positions)} trials lie inside {_range(narrow)}, {high - low:.0%} of the range"


def _shifted(study: Study, name: str, dimension: Range, by: float) -> Range:
    """Return the range shifted by a part of its width, as far as the hyperparameter allows."""
    low, high = _value(dimension, by), _value(dimension, 1 + by)
    lows = (low, max(low, 0), *([max(low, 1)] if isinstance(dimension, Int) else []))
    candidates = [_with_ends(dimension, least, high) for least in lows if high > max(least, 0) or least == low]
    return next((shifted for shifted in candidates if _allowed(study, name, shifted)), dimension)


def _with_ends(dimension: Range, low: float, high: float) -> Range:
    """Return the range with other ends; those of whole numbers are rounded outwards, on their steps."""
    if isinstance(dimension, Float):
        return replace(dimension, low=low, high=high)
    start, step = dimension.low, dimension.step
    first = start + step * math.floor((low - start) / step)
    last = start + step * math.ceil((high - start) / step)
    return replace(dimension, low=max(first, 1) if dimension.log else first, high=max(last, first + step))


def _allowed(study: Study, name: str, dimension: Range) -> bool:
    """Return True if the hyperparameter takes both ends. Of a study's own model that is not known: only its sign is kept."""
    if study.model:
        before = study.space[name]
        return dimension.low >= 0 or (not isinstance(before, Categorical) and before.low < 0)
    try:
        for value in (dimension.low, dimension.high):
            study.hyperparams({name: value})
    except UserError:
        return False
    return True


def _value(dimension: Range, unit: float) -> float:
    """Return the value at a position, perhaps outside 0 to 1, to three digits; more in a narrow range."""
    width = (dimension.high - dimension.low) / max(abs(dimension.low), abs(dimension.high))
    digits = 3 + max(0, math.ceil(-math.log10(width)))
    low, high = (
        (math.log(dimension.low), math.log(dimension.high)) if dimension.log else (dimension.low, dimension.high)
    )
    value = low + unit * (high - low)
    return float(f"{math.exp(value) if dimension.log else value:.{digits}g}")


def position(dimension: Range, value: float) -> float:
    """Return the position of a value in its range, 0 to 1 on its scale: the inverse of :meth:`Float.at`."""
    if dimension.log:
        return math.log(value / dimension.low) / math.log(dimension.high / dimension.low)
    return (value - dimension.low) / (dimension.high - dimension.low)


def _range(dimension: Range) -> str:
    return f"{_text(dimension.low)} to {_text(dimension.high)}"


def _text(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _budget(study: Study, space: SearchSpace) -> int:
    """Return the number of trials as before; with a grid arm, no more than the new grid has points."""
    grids = any(arm.is_grid for arm in study.arms)
    return min(study.trials, space.grid_size) if grids else study.trials
