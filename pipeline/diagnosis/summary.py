"""The summary of a study's diagnoses: in which part of the search space each finding is frequent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

from pipeline.diagnosis.diagnose import GOOD
from pipeline.diagnosis.trial_facts import RULE_FAILED
from pipeline.study.spec import Categorical, Dimension, Int, SearchSpace


@dataclass(frozen=True)
class Tally:
    """A finding at some values of the space: ``hits`` of the ``trials`` with these values have it as their health."""

    code: str
    values: Mapping[str, str]
    hits: int
    trials: int

    @property
    def sentence(self) -> str:
        """A sentence such as "activation sigmoid with init small: 41 of 43 never start"."""
        cell = " with ".join(f"{name} {value}" for name, value in self.values.items())
        return f"{cell}: {self.hits} of {self.trials} {PHRASES.get(self.code, f'are {self.code}')}"


PHRASES = {
    "diverged": "diverge",
    "dead": "die",
    "late-explosion": "explode late",
    "lr-too-high": "have too high a learning rate",
    "l2-overwhelms": "are overwhelmed by L2",
    "never-starts": "never start",
    "barely-moves": "barely move",
    "val-at-chance": "guess on held-out rows",
    "flat-then-drop": "are flat before they fall",
    "late-start": "start late",
    "low-lr": "fall in a straight line, at too low a learning rate",
    "high-plateau": "stay on a high plateau",
    "spike": "have a spike and recover",
    "slightly-low-lr": "are still falling at the end",
    "overfitting": "overfit",
    "underfitting": "underfit",
    "wiggly": "have an unsteady loss",
    "val-above-train": "do better on held-out rows",
    "full-batch-rises": "rise by full batches",
    "dead-units": "have dead units",
    "saturated": "are saturated",
    "running-statistics": "have running statistics that lag behind",
    "updates-low": "take steps that are too short",
    "updates-high": "take steps that are too long",
    "wrong-first-loss": "start from a wrong loss",
    "failed": "fail",
    "timed-out": "take too long",
    "killed": "are killed",
    RULE_FAILED: "have an installed rule that failed",
    GOOD: "are good",
}
"""The phrase of a sentence for each health, in the plural."""


def tallies(trials: Sequence[Mapping[str, Any]], space: SearchSpace) -> list[Tally]:
    """Count the trials of each health at each value of each hyperparameter, and at each pair of values.

    A trial maps the searched names to its values, and ``health`` to a code. Numbers are counted by decade on
    a log scale, and by quarter of the range on a linear scale.
    """
    cells: Counter[tuple[tuple[str, str], ...]] = Counter()
    hits: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for trial in trials:
        values = [(name, _bin(dimension, trial[name])) for name, dimension in space.items()]
        for cell in chain(combinations(values, 1), combinations(values, 2)):
            cells[cell] += 1
            hits[trial["health"], cell] += 1
    return [Tally(code, dict(cell), count, cells[cell]) for (code, cell), count in hits.items()]


def summary(trials: Sequence[Mapping[str, Any]], space: SearchSpace, *, least: int = 5) -> list[Tally]:
    """For each finding, the values where it is most frequent; the most frequent finding is first.

    Only values and pairs count where half of the trials, and at least ``least`` of them, have the finding. Of these, the
    greatest weighted relative accuracy wins: the hits minus those expected from all trials (Lavrač, Flach and Zupan 1999).
    """
    totals = Counter(trial["health"] for trial in trials)

    def surplus(tally: Tally) -> tuple[float, int]:
        return tally.hits - tally.trials * totals[tally.code] / len(trials), -len(tally.values)

    counted = tallies(trials, space)
    dense = [t for t in counted if t.code != GOOD and t.hits >= max(least, t.trials / 2)]
    greatest = {t.code: t for t in sorted(dense, key=surplus) if surplus(t)[0] > 0}
    return sorted(greatest.values(), key=lambda tally: -totals[tally.code])


def _bin(dimension: Dimension, value: Any) -> str:
    """The value; for a real one, and one of many whole numbers, its interval."""
    if isinstance(dimension, Categorical):
        return str(value)
    if isinstance(dimension, Int) and len(range(dimension.low, dimension.high + 1, dimension.step)) <= 8:
        return str(value)
    if dimension.log:
        decade = min(math.floor(math.log10(value) + 1e-9), math.ceil(math.log10(dimension.high) - 1e-9) - 1)
        return f"{10.0**decade:g} to {10.0 ** (decade + 1):g}"
    step = (dimension.high - dimension.low) / 4
    low = dimension.low + step * min(3, math.floor((value - dimension.low) / step))
    return f"{low:g} to {low + step:g}"
