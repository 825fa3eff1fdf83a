"""The validity of a comparison: reasons to withhold the verdict, and notes for the reader, one sentence each.

A study's declaration, recorded before its first trial, binds the comparison; changes after it are reasons or notes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.report.arm_titles import title
from pipeline.report.curves import Pool
from pipeline.report.formatting import amount, capital, count, listed, percent, value
from pipeline.report.looks import fewest_blocks, usable_looks
from pipeline.report.trials_table import TrialsTable
from pipeline.storage.declarations import declared_terms
from pipeline.study.spec import Arm, Categorical, Dimension, SearchSpace

SLACK = 0.01  # budgets may differ by one trial in a hundred
DIVERGED_SLACK = 0.20
SEQUENCE_TRIALS = 6  # the fewest trials by which a sequence is known; fewer are in order by chance
CHANCE = 10_000  # two sequences of points that have fewer possible orders are equal by chance
COMPARED_TRIALS = 10  # adaptive samplers often begin with this many random trials
Terms = Mapping[str, Any]
"""A declaration: ``at`` (an ISO time), the study's ``hash``, and :attr:`pipeline.study.spec.Study.terms`."""
Pools = Mapping[str, Sequence[Pool]]
"""The pools of each arm that has trials, by name."""
Contrast = tuple[Arm, Arm]


def obstacles(table: TrialsTable, pools: Pools, contrast: Contrast) -> list[str]:
    """Return the reasons to withhold the verdict of a contrast, each a clause after "Verdict withheld:"."""
    arms = [pools.get(arm.name, []) for arm in contrast]
    return [
        *_breaches(table, contrast),
        *_budgets(table, contrast, arms),
        *_sequence(table, arms),
        *_nothing_to_compare(arms),
    ]


def notes(table: TrialsTable, pools: Pools) -> list[str]:
    """Return the notes for the reader that leave the verdict valid."""
    return [
        *_deviations(table),
        *_missing(table, pools),
        *_divergence(table, pools),
        *_grids(table, pools),
        *_coupling(pools),
        *_blas(table),
    ]


def binding_declaration(table: TrialsTable) -> Terms:
    """Return the declaration that binds: the first that asked for enough blocks to reach a look. Earlier ones are pilots.

    If no declaration did, the last one binds; without any, the study itself.
    """
    declarations = declared_terms(table.provenance.get("declarations", ()))
    for terms in declarations:
        if terms["contrasts"] and terms["blocks"] >= first_look(terms):
            return terms
    if declarations:
        return declarations[-1]
    return {"at": "", "hash": table.study.hash, **table.study.terms}


def first_look(terms: Terms) -> int:
    """Return the number of blocks at the first look that could give a verdict; the fewest for one if no look could."""
    contrasts = max(len(terms["contrasts"]), 1)
    usable = usable_looks(terms["looks"], contrasts)
    return usable[0] if usable else fewest_blocks(contrasts)


def is_old(table: TrialsTable) -> bool:
    """Return True if the binding declaration was recorded by a version that had one look and another estimate."""
    return "contrast" in binding_declaration(table)


def complete_blocks(table: TrialsTable, pools: Pools, contrast: Contrast) -> int:
    """Return the number of blocks, counted from the first without a gap, in which both arms are whole.

    An arm is whole if its trials are recorded and, where the study trains choices again, its repetitions are too.
    """
    whole = _whole_blocks(table, [pools.get(arm.name, []) for arm in contrast])
    return next(block for block in itertools.count() if block not in whole)


def _whole_blocks(table: TrialsTable, arms: list[Sequence[Pool]]) -> set[int]:
    return set.intersection(*({pool.block for pool in pools if _whole(table, pool)} for pools in arms))


def _whole(table: TrialsTable, pool: Pool) -> bool:
    if len(pool) < (1 - SLACK) * table.study.trials:
        return False
    if not table.study.confirm or (table.confirmations is None and is_old(table)):
        return True
    return table.repetitions[pool.arm.name, pool.block] >= table.study.confirm


def _breaches(table: TrialsTable, contrast: Contrast) -> Iterator[str]:
    """Changes after the binding declaration. They withhold the verdict."""
    study, terms = table.study, binding_declaration(table)
    if terms["hash"] != study.hash:
        yield f"the trials belong to declaration {terms['hash']}, not to {study.hash}"
    if terms["trials"] != study.trials:
        yield f"the budget was changed from {terms['trials']} to {count(study.trials, 'trial')} after the declaration"
    if terms["delta"] != study.delta:
        scale = 100 if study.objective.is_share else 1
        then, now = (f"{scale * delta:g}" for delta in (terms["delta"], study.delta))
        yield f"the difference that matters was changed from {then} to {amount(now, study.objective)} after the declaration"
    if terms.get("confirm", study.confirm) != study.confirm:
        yield f"confirm was changed from {terms['confirm']} to {study.confirm} after the declaration"
    if {arm.name for arm in contrast} not in map(set, terms["contrasts"]):
        declared = "; ".join(" against ".join(pair) for pair in terms["contrasts"]) or "no contrast"
        names = " against ".join(arm.name for arm in contrast)
        yield f"{names} was not declared before the trials (declared: {declared}); a study started with --new declares it"


def _deviations(table: TrialsTable) -> Iterator[str]:
    """Pilots, and changes of the declaration that leave the verdict valid."""
    terms, study = binding_declaration(table), table.study
    declarations = declared_terms(table.provenance.get("declarations", ()))
    for pilot in itertools.takewhile(lambda earlier: earlier != terms, declarations):
        yield (
            f"A pilot of {count(pilot['blocks'], 'block')} of {count(pilot['trials'], 'trial')} for each arm came before "
            "the declaration; its trials are included here."
        )
    if is_old(table):
        yield (
            f"This study was recorded by a version with other rules. It is judged by today's: one look after "
            f"{count(terms['blocks'], 'block')}, and the expected {table.study.objective.title} of the choice."
        )
    elif terms["looks"] != list(study.looks):
        then, now = (listed([str(look) for look in looks]) for looks in (terms["looks"], study.looks))
        yield f"The looks were changed from {then} to {now} blocks after the declaration; those declared count."
    recorded = int(table.frame["block"].max()) + 1
    look = max([look for look in terms["looks"] if look <= recorded], default=0)
    later = [following for following in terms["looks"] if following > recorded]
    if first_look(terms) <= look < recorded:
        yield (
            f"{count(recorded, 'block')} are recorded, and the last look was after {look}. The others are in figures and tables, "
            + (
                f"and enter the verdict at the next look, after {later[0]}."
                if later
                else "and not in the verdict: blocks that are added until something shows find leaders that are not there."
            )
        )


def _budgets(table: TrialsTable, contrast: Contrast, arms: list[Sequence[Pool]]) -> Iterator[str]:
    terms = binding_declaration(table)
    for arm, pools in zip(contrast, arms, strict=True):
        if not pools:
            yield f"{title(arm)} has no trials"
    if not all(arms):
        return
    complete = complete_blocks(table, {pools[0].arm.name: pools for pools in arms}, contrast)
    look = max([look for look in terms["looks"] if look <= complete], default=terms["looks"][0])
    sizes = [len(pool) for pools in arms for pool in pools if pool.block < look]
    if sizes and max(sizes) - min(sizes) > SLACK * max(sizes):
        per_arm = [f"{title(pools[0].arm)} {_range(pools)}" for pools in arms]
        yield f"the budgets are unequal: {listed(per_arm)} trials in a block"
    elif sizes and min(sizes) < (1 - SLACK) * table.study.trials:
        yield f"{min(sizes)} of {table.study.trials} declared trials of a block are recorded"
    asked = min(look, table.study.blocks)
    common = set.intersection(*({pool.block for pool in pools if pool.block < look} for pools in arms))
    if len(common) < asked:
        yield f"{len(common)} of {count(asked, 'declared block')} have both arms"
    elif min(sizes) >= (1 - SLACK) * table.study.trials:
        untrained = sum(block not in _whole_blocks(table, arms) for block in range(asked))
        if untrained:
            yield (
                f"the choices of {untrained} of {count(asked, 'block')} are not trained again yet; run the same command to "
                "train them"
            )


def _range(pools: Sequence[Pool]) -> str:
    fewest, most = min(map(len, pools)), max(map(len, pools))
    return f"{fewest}" if fewest == most else f"{fewest}\u2013{most}"


def _divergence(table: TrialsTable, pools: Pools) -> Iterator[str]:
    """A note where much of an arm diverged: such a trial scores as a guess, so it counts as a bad outcome."""
    shares = {name: np.mean(np.concatenate([pool.frame["diverged"] for pool in arm])) for name, arm in pools.items()}
    for first, second in table.study.compared:
        if first.name in shares and second.name in shares:
            two = shares[first.name], shares[second.name]
            if abs(two[0] - two[1]) > DIVERGED_SLACK:
                yield (
                    f"The shares of diverged trials differ: {percent(two[0])} of {title(first)}, {percent(two[1])} of "
                    f"{title(second)}. A diverged trial counts as a guess, so this is part of the outcome."
                )


def _sequence(table: TrialsTable, arms: list[Sequence[Pool]]) -> Iterator[str]:
    space = table.study.space
    for pools in arms:
        if pools and len(pools[0]) < space.grid_size and _in_sequence(pools, space):
            yield f"{title(pools[0].arm)} was walked in order and only in part, so its trials are not a random sample"


def _nothing_to_compare(arms: list[Sequence[Pool]]) -> Iterator[str]:
    if not all(arms):
        return
    if _identical(arms[0], arms[1]):
        yield "both arms tried identical configurations, so there is nothing to compare"
    scores = np.concatenate([pool.validation for pools in arms for pool in pools])
    if len(scores) > 2 and np.all(scores == scores[0]):
        yield f"every trial scored the same ({value(scores[0], arms[0][0].metric)})"


def _identical(first: Sequence[Pool], second: Sequence[Pool]) -> bool:
    """Return True if two arms tried the same configurations in every common block, in any order if both are exchangeable."""
    partners = {pool.block: pool for pool in second}
    pairs = [(pool, partners[pool.block]) for pool in first if pool.block in partners]
    sort = sorted if first[0].arm.exchangeable and second[0].arm.exchangeable else list
    return bool(pairs) and all(sort(a.tried) == sort(b.tried) for a, b in pairs)


def _in_sequence(pools: Sequence[Pool], space: SearchSpace) -> bool:
    """Return True if an arm walked its grid in order in every block; one block can by chance."""
    long = [pool for pool in pools if len(pool) >= SEQUENCE_TRIALS]
    return bool(long) and all(_is_sequential(pool, space) for pool in long)


def _is_sequential(pool: Pool, space: SearchSpace) -> bool:
    """Return True if a grid was walked like a nested loop over its hyperparameters, in any order of nesting."""
    if not pool.arm.is_grid:
        return False
    codes = np.array([_steps(pool.frame[name], space[name]) for name in pool.searched])
    slowest_first = np.argsort(np.count_nonzero(np.diff(codes), axis=1), kind="stable")
    rows = codes[slowest_first].T.tolist()
    return bool(rows == sorted(rows))


def _steps(visited: pd.Series, dimension: Dimension) -> NDArray[np.int64]:
    """A hyperparameter's values as positions in its list of levels, with the sign that makes the first move upwards."""
    levels = dimension.choices if isinstance(dimension, Categorical) else sorted(visited.unique())
    codes: NDArray[np.int64] = visited.map({level: i for i, level in enumerate(levels)}).to_numpy("int64")
    moves = np.diff(codes)
    return -codes if moves[moves != 0][:1].sum() < 0 else codes


def _missing(table: TrialsTable, pools: Pools) -> Iterator[str]:
    for arm in table.study.arms:
        if arm.name not in pools:
            yield f"Arm {arm.name!r} was declared but has no trials."
    compared = {arm.name for contrast in table.study.compared for arm in contrast}
    for arm in table.study.arms:
        if arm.name in pools and arm.name not in compared and min(map(len, pools[arm.name])) < table.study.trials:
            yield f"Arm {arm.name!r} has {_range(pools[arm.name])} of {table.study.trials} declared trials in a block."


def _grids(table: TrialsTable, pools: Pools) -> Iterator[str]:
    for grids in pools.values():
        arm = grids[0].arm
        repeats = sum(len(pool) - len(set(pool.tried)) for pool in grids)
        size, trials = table.study.space.grid_size, table.study.trials
        if arm.is_grid and trials < size:
            yield f"{capital(title(arm))} has {size:,} points, and a block tries only {trials:,} of them, drawn at random."
        if arm.is_grid and repeats:
            yield f"{count(repeats, 'trial')} of {title(arm)} repeated a grid point, so its curve does not count each point once."
        if arm.is_grid and _in_sequence(grids, table.study.space):
            yield f"{capital(title(arm))} was walked in order; its curve describes a visit in random order."


def _coupling(pools: Pools) -> Iterator[str]:
    """Pairs of arms that begin with the same random trials, as samplers with one seed often do."""
    for first, second in itertools.combinations(pools.values(), 2):
        heads = [{pool.block: tuple(pool.tried[:COMPARED_TRIALS]) for pool in arm} for arm in (first, second)]
        same = [block for block in heads[0] if heads[0][block] == heads[1].get(block)]
        if not same:
            continue
        length = len(heads[0][same[0]])
        points = len({point for pool in (*first, *second) for point in pool.tried})
        if length >= SEQUENCE_TRIALS and points**length >= CHANCE:
            yield (
                f"Coupled seeds: the first {length} configurations of {title(first[0].arm)} and "
                f"{title(second[0].arm)} are equal in {count(len(same), 'block')}."
            )


def _blas(table: TrialsTable) -> Iterator[str]:
    blas = table.provenance.get("blas", ())
    if len(blas) > 1:
        yield (
            f"The trials were trained on {len(blas)} BLAS set-ups: {'; '.join(blas)}. The last digits of a trial's numbers "
            "depend on which of them trained it."
        )
