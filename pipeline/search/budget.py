"""The memory that a group of trials may take, so that no number of workers and no size of network makes a machine swap."""

from __future__ import annotations

import os
from pathlib import Path

FOR_TRIALS = 1 / 2
"""The share of the memory that the workers' trials may take; the rest is for their data, and for everybody else."""
UNKNOWN_BYTES = 4 * 2**30
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container says how much it may have."""


def bytes_per_worker(workers: int) -> int:
    """What the trials of one of so many workers on this machine may take."""
    return max(1, int(memory_bytes() * FOR_TRIALS) // workers)


def memory_bytes() -> int:
    """The memory of this machine or, if less, of its container."""
    return min([_machine(), *(limit for path in LIMITS if (limit := _limit(Path(path))))])


def _machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not said on every system
        return UNKNOWN_BYTES


def _limit(path: Path) -> int:
    """The limit that a file states, or 0."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0
