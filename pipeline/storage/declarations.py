"""What a study was declared to be, each time that it changed, and how one declaration differs from another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.study.spec import Study

DECLARATIONS = "declarations"
"""The attribute that they are kept in."""
Attributes = Mapping[str, Any]
"""Of an Optuna study: of one arm in one block."""


def latest(own: Iterable[Attributes], study: Study) -> Attributes:
    """The attributes that were noted last; those of an arm or block that the study has no longer may be behind."""
    arms, all_of_it = {arm.name for arm in study.arms}, list(own)
    current = [a for a in all_of_it if a["arm"] in arms and a["block"] < study.blocks]
    return max(current or all_of_it, key=_noted, default={})


def _noted(attributes: Attributes) -> str:
    """When the declarations in some attributes last changed; nothing where an older version kept none."""
    return max((str(terms["at"]) for terms in attributes.get(DECLARATIONS, ())), default="")


def declared_anew(before: Attributes, study: Study, trials: int) -> Sequence[dict[str, Any]]:
    """The declarations in the attributes from before, and the study's own as the last, after so many recorded trials.

    One that no trial was recorded under leaves no trace.
    """
    known = list(before.get(DECLARATIONS, ()))
    if trials and not known:  # recorded by a version that kept none
        known = [_entry(Study.from_json(json.loads(before["declaration"])), "", 0)]
    now = _entry(study, _time_after(_noted(before)), trials)
    kept = known if known and _same(known[-1], now) else [earlier for earlier in known if earlier["after"] < trials]
    return kept if kept and _same(kept[-1], now) else [*kept, now]


def _time_after(last: str) -> str:
    """Return the time now; the millisecond after the last declaration if the clock was set back, since times order them."""
    now = datetime.now(UTC)
    later = max(now, datetime.fromisoformat(last) + timedelta(milliseconds=1)) if last else now
    return later.isoformat(timespec="milliseconds")


def _entry(study: Study, at: str, after: int) -> dict[str, Any]:
    return {"at": at, "after": after, "hash": study.hash, **study.terms}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two entries ask the same, at whatever time."""
    return {**one, "at": "", "after": 0} == {**other, "at": "", "after": 0}


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first few values that differ, by their path."""
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
