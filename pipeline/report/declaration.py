"""What a comparison was declared to be before its first trial, held against what it now asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.report.formatting import count
from pipeline.report.intervals import MINIMUM_BLOCKS
from pipeline.report.table import TrialsTable

COMPARED = 2
"""Arms that a verdict is about."""
Terms = Mapping[str, Any]
"""A declaration: ``at`` (an ISO time), the study's ``hash``, and :attr:`pipeline.study.spec.Study.terms`."""


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
