"""Seeds and hashes, derived from what a number is drawn for, not from the process or the time."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def derive_seed(*identity: int | str) -> int:
    """Return a seed below 2³² from words: the first four bytes of their SHA-256, equal on every machine.

    >>> derive_seed(0, "weights", 3, 17)
    2924492766
    """
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def short_hash(text: str) -> str:
    """Return the first twelve hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def identity_hash(identity: Any) -> str:
    """Return the :func:`short_hash` of plain values as canonical JSON: keys sorted, no spaces."""
    return short_hash(json.dumps(identity, sort_keys=True, separators=(",", ":")))
