"""The report's tables that belong to no figure, and the sentences that explain them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import title
from pipeline.report.confirmation import confirmed_difference
from pipeline.report.formatting import amount, capital, indefinite, point, value
from pipeline.report.selection import Choice
from pipeline.report.validity import COMPARED_TRIALS
from pipeline.study.metrics import ACCURACY
from pipeline.trials.row_scores import unpack


def estimates(analysis: Analysis) -> pd.DataFrame:
    """Return a row for each contrast and estimate of its difference, over all recorded blocks; the first is the verdict's."""
    rows = []
    for contrast, comparison in analysis.comparisons:
        if comparison is None:
            continue
        named = {
            f"expected {comparison.metric.title} of the choice": comparison.expected_difference,
            "the very model that was chosen": comparison.difference,
            f"its validation {comparison.metric.title}, which is flattered": comparison.validation_difference,
        }
        again = [analysis.confirmations[arm.name] for arm in contrast if arm.name in analysis.confirmations]
        if len(again) == 2 and (confirmed := confirmed_difference(*again)):
            named["the chosen trial trained again"] = confirmed
        arms = {"first": contrast[0].name, "second": contrast[1].name}
        for name, difference in named.items():
            spread = float(np.std(difference.by_block, ddof=1)) if len(difference.by_block) > 1 else np.nan
            values = {"blocks": len(difference.by_block), **difference.interval.named("difference")}
            rows.append({**arms, "estimate": name, **values, "p": difference.p, "sd_over_blocks": spread})
    return pd.DataFrame(rows)


def looks(analysis: Analysis) -> list[pd.DataFrame]:
    """Return a table with a row for each look at each contrast; none without looks."""
    rows = [
        {
            "first": verdict.contrast[0].name,
            "second": verdict.contrast[1].name,
            "blocks": look.blocks,
            **look.interval.named("difference"),
            "equality_low": look.equality_interval.low,
            "equality_high": look.equality_interval.high,
            "decided": "ahead" if look.ahead else "equal enough" if look.equal else "",
        }
        for verdict in analysis.verdicts
        for look in verdict.looks
    ]
    return [pd.DataFrame(rows)] if rows else []


def trials_needed(analysis: Analysis) -> pd.DataFrame:
    """Return a row for each target and arm: trials for 50 and 95 %, and the ratio to the first arm."""
    rows = []
    for target in analysis.targets:
        needed = analysis.needed[target.name]
        for n in needed:
            trials = {"trials": n.median, "low": n.low, "high": n.high, "trials_95": n.n95}
            ratio = n.median / needed[0].median if np.isfinite(needed[0].median) else np.nan
            place = {"target": target.name, f"val_{analysis.study.objective.name}": target.value, "arm": n.arm.name}
            rows.append({**place, **trials, "ratio": ratio, "hits": n.hits, "of": n.trials, "method": n.method})
    return pd.DataFrame(rows)


def values_tried(analysis: Analysis) -> pd.DataFrame:
    """Return how many different values of each hyperparameter an arm tried in a block, the median over blocks."""
    rows = [
        {"arm": name, **{h: float(np.median([p.frame[h].nunique() for p in pools])) for h in analysis.study.space}}
        for name, pools in analysis.pools.items()
    ]
    return pd.DataFrame(rows)


def selection(analysis: Analysis) -> pd.DataFrame:
    """Return means over blocks for each arm: the winner's scores, their gap, overtuning and tied trials."""
    rows = []
    for name, choices in analysis.choices.items():
        by_block = [_scores(choice) for choice in choices]
        means = {column: float(np.mean([scores[column] for scores in by_block])) for column in by_block[0]}
        rows.append({"arm": name, **means})
    return pd.DataFrame(rows)


def _scores(choice: Choice) -> dict[str, float]:
    return {
        f"val_{choice.pool.metric.name}": float(choice.pool.validation[choice.winner]),
        f"test_{choice.pool.metric.name}": choice.test,
        "gap": choice.gap,
        "overtuning": choice.overtuning,
        "below_median_incumbent": choice.below_median,
        "tied_trials": choice.n_tied,
        "tie_aware_test": choice.tie_aware,
        "expected_test": choice.expected,
    }


def near_ties(analysis: Analysis) -> pd.DataFrame:
    """Return a row for each choice: the winner's own scores, the number of trials as good, and how probably it is best."""
    rows = []
    for choice in (choice for choices in analysis.choices.values() for choice in choices):
        scores = _scores(choice)
        row = {"arm": choice.pool.arm.name, "block": choice.pool.block}
        row |= {"winner": int(choice.pool.frame["trial"].iloc[choice.winner])}
        metric = choice.pool.metric.name
        columns = ("tied_trials", "tie_aware_test", "expected_test")
        row |= {f"val_{metric}": scores[f"val_{metric}"], f"test_{metric}": float(choice.pool.test[choice.winner])}
        row |= {column: scores[column] for column in columns}
        rows.append(row | {"p_best": choice.probabilities.max(), "p_best_if_independent": choice.independent_top})
    return pd.DataFrame(rows)


def selection_notes(analysis: Analysis) -> Iterator[str]:
    """Yield how to read the tables of the selection, with the standard errors of this study's scores."""
    metric = analysis.study.objective
    named = metric.title
    yield (
        f"The winner is the trial with the best validation {named}, so that {named} is flattered; the gap to its test "
        f"{named} is the price of choosing. Trials with equal {named} share the choice, as in the curves; the winner that "
        f"is named is the first of them. Overtuning is how far the winner's test {named} lies below that of the best "
        "model that was in the lead before it."
    )
    yield from _errors(analysis)
    yield (
        "Tied trials are counted by drawing validation examples and weights again, the examples for all trials at once: "
        f"1 / Σ w², with w the probability that a trial is the best; the tie-aware test {named} is Σ w · test, and the "
        "expected one Σ w · m, with m the mean over trainings from new weights. Diverged trials can not be the best. Where "
        "the table has no record of single examples, trials are taken as independent."
    )


def _errors(analysis: Analysis) -> Iterator[str]:
    """Yield the standard errors of the best validation value on the rows of a validation and of a test split."""
    frame, metric = analysis.table.frame, analysis.study.objective
    n_val, n_test = (int(frame[column].median()) for column in ("n_val", "n_test"))
    first = frame.loc[frame[metric.best_val].idxmax()]
    best = float(first[metric.best_val])
    rows = None if metric is ACCURACY else unpack([first[metric.row_scores[0]]], int(first["n_val"]), np.array([best]))
    if n_val and n_test and (metric is ACCURACY or rows is not None):
        variance = best * (1 - best) if rows is None else rows.var()
        errors = [point(float(np.sqrt(variance / n)), metric) for n in (n_val, n_test)]
        yield (
            f"A reminder of scale: {indefinite(metric.title)} of {value(best, metric)} on {n_val:,} validation examples has a standard "
            f"error of {amount(errors[0], metric)}, on {n_test:,} test examples {errors[1]}."
        )


def arm_totals(analysis: Analysis) -> pd.DataFrame:
    """Return a row for each arm: its trials, its distinct configurations, its cost, and the trials that are missing."""
    rows = []
    for name, pools in analysis.pools.items():
        frame = pd.concat([pool.frame for pool in pools])
        distinct = sum(len(set(pool.tried)) for pool in pools)
        size = {"blocks": len(pools), "trials": len(frame), "distinct": distinct}
        spent = {"epochs": int(frame["epochs"].sum()), "seconds": float(frame["seconds"].sum())}
        each = {"median_seconds": float(frame["seconds"].median()), "diverged": float(frame["diverged"].mean())}
        planned = analysis.study.trials * analysis.study.blocks
        rows.append({"arm": name, **size, **spent, **each, "missing": max(planned - len(frame), 0)})
    return pd.DataFrame(rows)


def sampler_settings(analysis: Analysis) -> Iterator[str]:
    """Yield the settings of each arm's sampler, the levels of the grid, and whether two arms began alike."""
    for arm in analysis.arms:
        listing = ", ".join(f"{key} = {value}" for key, value in arm.arguments.items()) or "no settings"
        yield capital(f"{title(arm)} (sampler {arm.sampler}): {listing}.")
    if any(arm.is_grid for arm in analysis.arms):
        levels = [f"{name} {len(dimension.grid())}" for name, dimension in analysis.study.space.items()]
        yield f"Levels of the grid: {', '.join(levels)}; {analysis.study.space.grid_size} points."
    first = {name: [pool.tried[:COMPARED_TRIALS] for pool in pools] for name, pools in analysis.pools.items()}
    alike = any(x == y for a, b in combinations(first, 2) for x, y in zip(first[a], first[b], strict=False))
    if len(first) > 1 and not alike:
        yield "No two arms began alike in any block."
