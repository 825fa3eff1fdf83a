"""What stands in the way of a verdict, and what a reader should know beside it: each in one sentence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.report.curves import Pool
from pipeline.report.formatting import capital, count, listed, percent, title
from pipeline.report.intervals import MINIMUM_BLOCKS
from pipeline.report.table import TrialsTable
from pipeline.study.spec import Arm, Categorical, Dimension, SearchSpace

SLACK = 0.01  # budgets may differ by one trial in a hundred
DIVERGED_SLACK = 0.20
FEWEST = 6  # trials that a walk is known by; fewer fall in its order by chance
CHANCE = 10_000  # orders of as many points; of fewer, two are the same by chance
FIRST = 10  # adaptive samplers often begin with this many random trials
COMPARED = 2
"""Arms that a verdict is about."""
Terms = Mapping[str, Any]
"""A declaration: ``at`` (an ISO time), the study's ``hash``, and :attr:`pipeline.study.spec.Study.terms`."""


def obstacles(table: TrialsTable, pools: list[Pool]) -> list[str]:
    """The reasons to withhold the verdict of a table's contrast; each reads on from "Verdict withheld:"."""
    arms = [[pool for pool in pools if pool.arm.name == arm.name] for arm in table.study.contrast]
    found = [*breaches(table), *_budgets(table, arms), *_divergence(arms)]
    return [*found, *_sequence(table, arms), *_nothing_to_compare(arms)]


def _budgets(table: TrialsTable, arms: list[list[Pool]]) -> Iterator[str]:
    for arm, found in zip(table.study.contrast, arms, strict=True):
        if not found:
            yield f"{title(arm)} has no trials"
    sizes = [len(pool) for found in arms for pool in found]
    if not all(arms) or not sizes:
        return
    if max(sizes) - min(sizes) > SLACK * max(sizes):
        per_arm = [f"{title(found[0].arm)} {_range([len(p) for p in found])}" for found in arms]
        yield f"the budgets are unequal: {listed(per_arm)} trials in a block"
    elif min(sizes) < (1 - SLACK) * table.study.trials:
        yield f"{min(sizes)} of {table.study.trials} declared trials are recorded"
    common = set.intersection(*({pool.block for pool in found} for found in arms))
    if len(common) < table.study.blocks:
        yield f"{len(common)} of {count(table.study.blocks, 'declared block')} have both arms"


def _range(sizes: list[int]) -> str:
    return f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)}\u2013{max(sizes)}"


def _divergence(arms: list[list[Pool]]) -> Iterator[str]:
    shares = [np.mean(np.concatenate([p.frame["diverged"] for p in found])) for found in arms if found]
    if len(shares) == 2 and abs(shares[0] - shares[1]) > DIVERGED_SLACK:
        yield f"the shares of diverged trials differ by more than 20 points: {percent(shares[0])} and {percent(shares[1])}"


def _sequence(table: TrialsTable, arms: list[list[Pool]]) -> Iterator[str]:
    for found in arms:
        if found and len(found[0]) < table.study.space.grid_size and in_sequence(found, table.study.space):
            yield f"{title(found[0].arm)} was visited in sequence and not to its end, so its trials are no sample of it"


def _nothing_to_compare(arms: list[list[Pool]]) -> Iterator[str]:
    if not all(arms):
        return
    if identical_blocks(arms[0], arms[1]):
        yield "both arms tried identical configurations, so there is nothing to compare"
    scores = np.concatenate([pool.validation for found in arms for pool in found])
    if len(scores) > 2 and np.all(scores == scores[0]):
        yield f"every trial scored the same ({percent(scores[0])})"


def identical_blocks(first: list[Pool], second: list[Pool]) -> bool:
    """Whether the two arms tried the same configurations in every block, in whatever order where that is free."""
    mates = {pool.block: pool for pool in second}
    pairs = [(pool, mates[pool.block]) for pool in first if pool.block in mates]
    free = first[0].arm.exchangeable and second[0].arm.exchangeable
    sort = sorted if free else list
    return bool(pairs) and all(sort(a.tried) == sort(b.tried) for a, b in pairs)


def in_sequence(found: list[Pool], space: SearchSpace) -> bool:
    """Whether an arm walked its grid in order in every block; in one block alone, a shuffled order can look so by chance."""
    known = [pool for pool in found if len(pool) >= FEWEST]
    return bool(known) and all(is_sequential(pool, space) for pool in known)


def is_sequential(pool: Pool, space: SearchSpace) -> bool:
    """Whether a grid was walked in the order of its product, one hyperparameter running through before the next steps."""
    if not pool.arm.is_grid:
        return False
    codes = np.array([_steps(pool.frame[name], space[name]) for name in pool.searched])
    slowest_first = np.argsort(np.count_nonzero(np.diff(codes), axis=1), kind="stable")
    rows = codes[slowest_first].T.tolist()
    return bool(rows == sorted(rows))


def _steps(visited: pd.Series, dimension: Dimension) -> NDArray[np.int64]:
    """A hyperparameter's values as steps of a walk, up or down as the first move goes, in the order that it lists them."""
    levels = dimension.choices if isinstance(dimension, Categorical) else sorted(visited.unique())
    codes: NDArray[np.int64] = visited.map({level: i for i, level in enumerate(levels)}).to_numpy("int64")
    moves = np.diff(codes)
    return -codes if moves[moves != 0][:1].sum() < 0 else codes


def notes(table: TrialsTable, pools: list[Pool]) -> list[str]:
    """What a reader should know that does not stand in the way of the verdict."""
    return [*deviations(table), *_missing(table, pools), *_grids(table, pools), *_coupling(pools), *_blas(table)]


def _blas(table: TrialsTable) -> Iterator[str]:
    blas = table.provenance.get("blas", ())
    if len(blas) > 1:
        yield (
            f"The trials were trained on {len(blas)} BLAS set-ups: {'; '.join(blas)}. The last digits of a trial's numbers "
            "depend on which of them trained it."
        )


def _missing(table: TrialsTable, pools: list[Pool]) -> Iterator[str]:
    present = {pool.arm.name for pool in pools}
    for arm in table.study.arms:
        if arm.name not in present:
            yield f"Arm {arm.name!r} was declared but has no trials."
    sizes = {arm.name: [len(p) for p in pools if p.arm.name == arm.name] for arm in table.study.arms}
    for arm in table.study.arms[2:]:
        if sizes[arm.name] and min(sizes[arm.name]) < table.study.trials:
            yield f"Arm {arm.name!r} has {_range(sizes[arm.name])} of {table.study.trials} declared trials in a block."


def _grids(table: TrialsTable, pools: list[Pool]) -> Iterator[str]:
    for arm, found in _by_arm(pools):
        if not arm.is_grid:
            continue
        repeats = sum(len(pool) - len(set(pool.tried)) for pool in found)
        if repeats:
            yield f"{count(repeats, 'trial')} of {title(arm)} repeated a point of it: its curve is not a census."
        if in_sequence(found, table.study.space):
            yield f"{capital(title(arm))} was visited in sequence; its curve describes a visit in random order."


def _coupling(pools: list[Pool]) -> Iterator[str]:
    """Samplers that were given one seed often begin with the very same random trials."""
    for (one, first), (other, second) in itertools.combinations(list(_by_arm(pools)), 2):
        heads = [{p.block: tuple(p.tried[:FIRST]) for p in found} for found in (first, second)]
        same = [b for b in heads[0] if heads[0][b] == heads[1].get(b)]
        kinds = len({point for pool in (*first, *second) for point in pool.tried})
        if same and len(heads[0][same[0]]) >= FEWEST and kinds ** len(heads[0][same[0]]) >= CHANCE:
            yield (
                f"Coupled seeds: the first {min(FIRST, len(heads[0][same[0]]))} configurations of {title(one)} and "
                f"{title(other)} are equal in {count(len(same), 'block')}."
            )


def declared(table: TrialsTable) -> Terms | None:
    """The declaration that binds: the first from which a verdict could come; those before it are pilots."""
    known = _known(table)
    able = [terms for terms in known if terms["blocks"] >= MINIMUM_BLOCKS and len(terms["contrast"]) == COMPARED]
    return next(iter([*able, *known[-1:]]), None)


def breaches(table: TrialsTable) -> Iterator[str]:
    """What was changed once trials were seen, so that no verdict can stand on it."""
    study, terms = table.study, declared(table)
    if terms is None:
        return
    if terms["hash"] != study.hash:
        yield f"the trials belong to declaration {terms['hash']}, not to {study.hash}"
    if terms["trials"] != study.trials:
        yield f"the budget was changed from {terms['trials']} to {count(study.trials, 'trial')} after the declaration"
    if terms["delta"] != study.delta:
        then, now = (f"{100 * delta:g}" for delta in (terms["delta"], study.delta))
        yield f"the difference that matters was changed from {then} to {now} points after the declaration"
    if terms["contrast"] != study.terms["contrast"]:
        then, now = (" against ".join(arms) for arms in (terms["contrast"], study.terms["contrast"]))
        yield f"the contrast was changed from {then} to {now} after the declaration"


def deviations(table: TrialsTable) -> Iterator[str]:
    """What a reader should know of the declaration that leaves the verdict standing."""
    terms = declared(table)
    if terms is None:
        return
    known = _known(table)
    for pilot in known[: known.index(terms)]:
        yield (
            f"A pilot of {count(pilot['blocks'], 'block')} of {count(pilot['trials'], 'trial')} for each arm came before "
            "the declaration; what it trained is among these trials."
        )
    if terms["blocks"] != table.study.blocks:
        yield f"Deviation: blocks was changed from {terms['blocks']} to {table.study.blocks} after the declaration."


def _known(table: TrialsTable) -> Sequence[Terms]:
    found: Sequence[Terms] = table.provenance.get("declarations", ())
    return found


def _by_arm(pools: list[Pool]) -> list[tuple[Arm, list[Pool]]]:
    return [(arm, list(group)) for arm, group in itertools.groupby(pools, key=lambda pool: pool.arm)]
