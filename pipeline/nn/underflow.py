"""Numbers that have decayed to nothing are set to 0: a processor takes twenty times as long for subnormal ones.

Under a large L2 all weights shrink by a factor a step, and behind a dead unit a velocity does, until they are subnormal,
where rounding keeps them for good.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def flush(values: Array, *, squared: bool = False) -> None:
    """Set to 0, in their place, all values (K, P) that are nothing beside any that are not.

    Products of two such values are subnormal: they are below the root of the least normal number (1e-19 in float32).
    Of values that are ``squared`` it is those below that number itself.
    """
    least = np.finfo(values.dtype).tiny
    limit = least if squared else np.sqrt(least)
    for own in values:  # one trial's at a time, which stay in the cache
        small = np.abs(own) < limit
        if small.any():
            own[small] = 0
