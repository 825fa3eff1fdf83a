"""The declarations of a study, one for each change: which is the latest, and whether another decides other numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.errors import UserError
from pipeline.study.spec import Study

DECLARATIONS = "declarations"
"""The attribute of an Optuna study that lists the declarations."""
Attributes = Mapping[str, Any]
"""The attributes of one Optuna study, which is one arm in one block."""


def declared_study(attributes: Attributes) -> Study:
    """Return the study that the attributes declare."""
    return Study.from_json(json.loads(attributes["declaration"]))


def recorded_name(study: Study, recorded: Iterable[Attributes], *, new: bool) -> str:
    """Return the name to record a study by: the newest with the same declaration or, if ``new``, the next free one.

    ``recorded`` are the attributes of all studies in the storage.
    """
    by_name = {str(attributes["study"]): attributes for attributes in recorded}
    names = [study.name]
    while names[-1] in by_name:
        names.append(f"{study.name}-{len(names) + 1}")
    declared = [name for name in names[:-1] if by_name[name].get("declared_as", study.name) == study.name]
    same = [name for name in declared if declared_study(by_name[name]).hash == study.hash]
    return names[-1] if new else (same[-1] if same else names[0])


def check_unchanged(study: Study, basis: Mapping[str, Any], recorded: Attributes) -> None:
    """Raise :class:`UserError`, which names the difference, if the recorded trials are of another declaration or basis."""
    before = declared_study(recorded)
    if before.hash != study.hash or recorded.get("basis") != basis:
        then, now = {**before.identity, **recorded.get("basis", {})}, {**study.identity, **basis}
        raise UserError(
            f"study {study.name!r} is already recorded, and what decides its numbers has changed: "
            f"{_difference(then, now)}. Give it another name, start it again with --new, or undo the change"
        )


def latest(recorded: Iterable[Attributes], study: Study) -> Attributes:
    """Return the attributes with the latest declaration. Arms and blocks that the study no longer has are left out."""
    arms, everywhere = {arm.name for arm in study.arms}, list(recorded)
    current = [a for a in everywhere if a["arm"] in arms and a["block"] < study.blocks]
    return max(current or everywhere, key=_last_change, default={})


def _last_change(attributes: Attributes) -> str:
    """Return the time of the last declaration; empty if an older version, which kept none, recorded the attributes."""
    return max((str(terms["at"]) for terms in attributes.get(DECLARATIONS, ())), default="")


def with_declaration(before: Attributes, study: Study, trials: int) -> Sequence[dict[str, Any]]:
    """Return the declarations in the attributes so far, with that of the study as the last.

    A declaration is dropped if none of the ``trials``, the number recorded so far, was recorded under it. The one that
    stands keeps the largest number of blocks that were asked for under it, since a study goes on from look to look.
    """
    declarations = declarations_of(before)
    now = _entry(study, _time_after(_last_change(before)), trials)
    kept = (
        declarations
        if declarations and _same(declarations[-1], now)
        else [earlier for earlier in declarations if earlier["after"] < trials]
    )
    if kept and _same(kept[-1], now):
        asked = kept[-1]["blocks"] if kept[-1]["after"] < trials else 0
        return [*kept[:-1], {**kept[-1], "blocks": max(asked, study.blocks)}]
    return [*kept, now]


def declarations_of(attributes: Attributes) -> list[dict[str, Any]]:
    """Return the declarations in the attributes; if an older version kept none, the one that it recorded last."""
    declarations = declared_terms(attributes.get(DECLARATIONS, ()))
    if declarations or "declaration" not in attributes:
        return declarations
    study = declared_study(attributes)
    return [{**_entry(study, "", 0), "contrast": [arm.name for arm in study.arms[:2]]}]


def declared_terms(declarations: Iterable[Attributes]) -> list[dict[str, Any]]:
    """Return declarations in the form of this version; older ones had one look, after all blocks, and one contrast."""
    return [
        dict(terms)
        if "looks" in terms
        else {**terms}
        | {"looks": [terms["blocks"]], "contrasts": [terms["contrast"]] if len(terms["contrast"]) > 1 else []}
        for terms in declarations
    ]


def _time_after(last: str) -> str:
    """Return the time now, or the millisecond after the last declaration if the clock was set back: times order them."""
    now = datetime.now(UTC)
    later = max(now, datetime.fromisoformat(last) + timedelta(milliseconds=1)) if last else now
    return later.isoformat(timespec="milliseconds")


def _entry(study: Study, at: str, after: int) -> dict[str, Any]:
    return {"at": at, "after": after, "hash": study.hash, **study.terms}


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return True if two declarations have the same terms, whenever they were made.

    Block counts at or above the first look count as equal. A smaller count is a pilot.
    """
    left_out = {"at": "", "after": 0, "contrast": None}
    terms = [{**entry, **left_out, "blocks": min(entry["blocks"], entry["looks"][0])} for entry in (first, second)]
    return terms[0] == terms[1]


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first three values that differ, by path, and the number of the others."""
    a, b = _flat(then), _flat(now)
    changed = [
        f"{key} was {a.get(key, 'absent')!r}, is {b.get(key, 'absent')!r}"
        for key in sorted({*a, *b})
        if a.get(key) != b.get(key)
    ]
    return "; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
