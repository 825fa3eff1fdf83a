"""The report's tables that belong to no figure, and the sentences that are read from them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.report.analysis import Analysis
from pipeline.report.comparison import Difference
from pipeline.report.formatting import capital, ends, p_value, percent, point, points, title
from pipeline.report.intervals import EXACT_BLOCKS
from pipeline.report.selection import Choice
from pipeline.report.validity import FIRST
from pipeline.training.metrics import BEST_VAL_ACCURACY


def difference_words(seen: Difference) -> str:
    """The difference, its interval, its p and what could have been found, in one sentence."""
    size, low, high = points(seen.interval)
    blocks = len(seen.by_block)
    flips = "exact sign flips" if blocks <= EXACT_BLOCKS else "99,999 random sign flips"
    if blocks < 2:
        return f"the difference is {size} points in one block, which has no interval."
    return (
        f"the mean difference is {size} points ({ends(low, high, blocks)}; {p_value(seen.p)} by {flips} over "
        f"{blocks} blocks). Blocks that vary like these find a difference of {point(seen.detectable)} points "
        "four times out of five."
    )


def trials_needed(analysis: Analysis) -> pd.DataFrame:
    """A row for each target and arm: trials for an even chance and for 95 %, and the ratio to the first arm."""
    rows = []
    for target in analysis.targets:
        needed = analysis.needed[target.name]
        for n in needed:
            ends = {"trials": n.median, "low": n.low, "high": n.high, "trials_95": n.n95}
            ratio = n.median / needed[0].median if np.isfinite(needed[0].median) else np.nan
            place = {"target": target.name, "val_accuracy": target.value, "arm": n.arm.name}
            rows.append({**place, **ends, "ratio": ratio, "hits": n.hits, "of": n.trials, "method": n.method})
    return pd.DataFrame(rows)


def values_tried(analysis: Analysis) -> pd.DataFrame:
    """How many different values of each hyperparameter an arm tried in a block, the median over blocks."""
    rows = [
        {"arm": name, **{h: float(np.median([p.frame[h].nunique() for p in own])) for h in analysis.study.space}}
        for name, own in analysis.pools.items()
    ]
    return pd.DataFrame(rows)


def selection(analysis: Analysis) -> pd.DataFrame:
    """For each arm, means over blocks: the winner's accuracies, their gap, and what a better stop would have kept."""
    rows = []
    for name, choices in analysis.choices.items():
        scores = {"val_accuracy": _mean([c.pool.validation[c.winner] for c in choices])}
        scores["test_accuracy"] = _mean([c.pool.test[c.winner] for c in choices])
        costs = {"gap": _mean([c.gap for c in choices]), "overtuning": _mean([c.overtuning for c in choices])}
        clear = {"below_median_incumbent": _mean([c.below_median for c in choices])}
        ties = {
            "tied_trials": _mean([c.n_tied for c in choices]),
            "tie_aware_test": _mean([c.tie_aware for c in choices]),
        }
        rows.append({"arm": name, **scores, **costs, **clear, **ties})
    return pd.DataFrame(rows)


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def near_ties(analysis: Analysis) -> pd.DataFrame:
    """A row for each choice: how many trials were as good, and how likely the winner is the best of them."""
    return pd.DataFrame([_near_tie(c) for choices in analysis.choices.values() for c in choices])


def _near_tie(c: Choice) -> dict[str, str | float]:
    where: dict[str, str | float] = {
        "arm": c.pool.arm.name,
        "block": c.pool.block,
        "winner": int(c.pool.frame["trial"].iloc[c.winner]),
    }
    scores = {"val_accuracy": float(c.pool.validation[c.winner]), "test_accuracy": float(c.pool.test[c.winner])}
    ties = {
        "tied_trials": c.n_tied,
        "tie_aware_test": c.tie_aware,
        "p_best": c.top,
        "p_best_if_independent": c.independent_top,
    }
    return {**where, **scores, **ties}


def selection_words(analysis: Analysis) -> Iterator[str]:
    """How to read the two tables, with this study's own scale of noise."""
    frame = analysis.table.frame
    n_val, n_test = (int(frame[column].median()) for column in ("n_val", "n_test"))
    best = frame[BEST_VAL_ACCURACY].max()
    yield (
        "The winner is the trial that validation liked best, so its validation accuracy is flattered; the gap to its test "
        "accuracy is the price of choosing. Of equals it is the first here; where curves are told of, equals share. Overtuning is how far the winner's test accuracy lies below that of the best "
        "model that was in the lead before it."
    )
    if n_val and n_test:
        errors = [np.sqrt(best * (1 - best) / n) for n in (n_val, n_test)]
        yield (
            f"A reminder of scale: an accuracy of {percent(best)} on {n_val:,} validation examples has a standard error of "
            f"{point(errors[0])} points, on {n_test:,} test examples {point(errors[1])}."
        )
    yield (
        "Tied trials are counted by drawing the validation examples anew, for all trials at once since they share them: "
        "1 / Σ w², with w the probability that a trial comes out best; the tie-aware test accuracy is Σ w · test. Where the "
        "table has no record of single examples, trials are taken as independent."
    )


def arm_totals(analysis: Analysis) -> pd.DataFrame:
    """A row for each arm: what it was given and what came of it."""
    rows = []
    for name, own in analysis.pools.items():
        frame = pd.concat([pool.frame for pool in own])
        distinct = sum(len(set(pool.tried)) for pool in own)
        size = {"blocks": len(own), "trials": len(frame), "distinct": distinct}
        spent = {"epochs": int(frame["epochs"].sum()), "seconds": float(frame["seconds"].sum())}
        each = {"median_seconds": float(frame["seconds"].median()), "diverged": float(frame["diverged"].mean())}
        planned = analysis.study.trials * analysis.study.blocks
        rows.append({"arm": name, **size, **spent, **each, "missing": max(planned - len(frame), 0)})
    return pd.DataFrame(rows)


def settings(analysis: Analysis) -> Iterator[str]:
    """What each arm's sampler was told, and whether two arms began with the same configurations."""
    samplers = analysis.table.provenance.get("samplers", {})
    for arm in analysis.arms:
        own = samplers.get(arm.name) or dict(arm.arguments)
        told = ", ".join(f"{key} = {value}" for key, value in own.items()) if own else "no settings of its own"
        yield capital(f"{title(arm)} (sampler {arm.sampler}): {told}.")
    levels = [f"{name} {len(dimension.grid())}" for name, dimension in analysis.study.space.items()]
    if any(arm.is_grid for arm in analysis.arms):
        yield f"Levels of the grid: {', '.join(levels)}; {analysis.study.space.grid_size} points."
    yield from _first_trials(analysis)


def _first_trials(analysis: Analysis) -> Iterator[str]:
    heads = {name: [pool.tried[:FIRST] for pool in own] for name, own in analysis.pools.items()}
    equal = [(a, b) for a, b in combinations(heads, 2) if any(x == y for x, y in zip(heads[a], heads[b], strict=False))]
    if len(heads) > 1 and not equal:
        yield f"No two arms began with the same {FIRST} configurations in any block."
