"""Where the loss may start: near ln C, which is a guess's, but for the luck of the weights."""

from __future__ import annotations

import math

LUCKY_RISE = 2.5
"""How far above ln C weights scaled by the fans may start. On standardised digits, iris, wine and breast cancer 0.2 % started
higher, all of them maxout (relu, tanh and maxout by He and by Xavier, 200 seeds each)."""
LUCKY_SHARE = 0.3
"""To what share of ln C such weights may guess by luck, where few classes are easily told apart; it went down to 0.36."""
MANY_CLASSES = 10
"""So many are not told apart by luck."""
KNOWING_NOTHING = 0.9
"""Below this share of ln C, only a leak or a wrong loss explains it."""


def lowest_first_loss(classes: int, *, small: bool) -> float:
    """The least loss that C classes may start from; ``small`` weights have no luck, since all of their logits are near 0."""
    return (KNOWING_NOTHING if small or classes >= MANY_CLASSES else LUCKY_SHARE) * math.log(classes)
