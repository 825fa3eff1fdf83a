"""Rules about trials that start late, learn slowly, or never start."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.diagnosis.evidence import LUCKY_RISE, Evidence, lowest_first_loss
from pipeline.diagnosis.trial_facts import Finding


def start_advice(e: Evidence, *more: str) -> str:
    """Return how to start better, without what the trial does already; ``more`` are further ways."""
    hparams = e.facts.hparams
    init = better_init([hparams.init])
    ways = [*([f"initialise by {init}"] if init else []), *([] if hparams.batch_norm else ["use batch norm"]), *more]
    return ", or ".join(ways or ["use another activation"])


def better_init(inits: Sequence[str | float]) -> str:
    """Return the initialisations that may be better than each of these; empty if all of these are He's."""
    if all(init == "he" for init in inits):
        return ""
    return "He" if all(init in ("he", "xavier", "glorot", "orthogonal") for init in inits) else "He or Xavier"


def wrong_first_loss(e: Evidence) -> Finding | None:
    """P18: the first loss is outside of the range that the initialisation and chance explain."""
    first = e.facts.initial_loss
    least = lowest_first_loss(e.facts.classes, small=e.small_init)
    limit = e.guess + (0.7 if e.small_init else LUCKY_RISE if e.ordinary_init else math.inf)
    if first is None or least <= first <= limit:
        return None
    sentence = f"the first loss is {first:.3g}, and a guess's is {e.guess:.3g}"
    return Finding("wrong-first-loss", sentence, "check the scale of the init, the labels and the loss")


def l2_overwhelms(e: Evidence) -> Finding | None:
    """P15: the loss ends within 1 % of ln C, and L2 alone shrinks the weights to 1/e or less."""
    if e.diverged or e.spiked or not e.overwhelmed:
        return None
    sentence = (
        f"L2 of {e.facts.hparams.l2:.2g} overwhelms the data: the loss ends at {e.final:.4g}, a guess's {e.guess:.4g}"
    )
    return Finding("l2-overwhelms", sentence, "divide the L2 by 10")


def never_starts(e: Evidence) -> Finding | None:
    """P7: in five epochs or more the loss has neither fallen steadily nor by 1 %; accuracy is a guess's."""
    if not e.unmoved or not e.at_chance or e.creeps or l2_overwhelms(e):
        return None
    init = e.facts.hparams.init
    sentence = f"never starts: after {e.epochs} epochs the loss is still {e.final:.4g}, a guess's is {e.guess:.4g}"
    why = "all units start alike" if init in ("zeros", 0) else f"no gradient comes through from init {init}"
    return Finding("never-starts", f"{sentence}; {why}", start_advice(e))


def barely_moves(e: Evidence) -> Finding | None:
    """P4: in five epochs the loss changes by under 1 %, but steadily, or accuracy is above a guess's."""
    if not e.unmoved or never_starts(e) or l2_overwhelms(e):
        return None
    learning = e.val_accuracy[-1] > e.luck
    so = f", though accuracy has reached {e.val_accuracy[-1]:.3g}: it learns, but slowly" if learning else ""
    sentence = f"the loss fell by {max(0.0, e.drop):.2%} in {e.epochs} epochs{so}"
    return Finding("barely-moves", f"{e.rate} too low: {sentence}", "multiply it by 10")


def flat_then_drop(e: Evidence) -> Finding | None:
    """P6: no fall for a tenth of the epochs, then by over 30 %: suspect the initialisation (lecture 6)."""
    if not e.settled or e.flat_epochs < max(2, 0.1 * e.epochs) or e.drop <= 0.3:
        return None
    sentence = f"the loss stood still for {e.flat_epochs} of {e.epochs} epochs, then fell by {e.drop:.0%}"
    return Finding("flat-then-drop", f"{sentence}: suspect the init {e.facts.hparams.init}", start_advice(e))


def late_start(e: Evidence) -> Finding | None:
    """P6, unfinished: no fall for a tenth of the epochs, then one that has not reached 30 %."""
    if not e.settled or e.flat_epochs < max(2, 0.1 * e.epochs) or e.drop > 0.3 or e.slope < 1.5:
        return None
    sentence = (
        f"the loss stood still for {e.flat_epochs} of {e.epochs} epochs and has only begun to fall, by {e.drop:.0%}"
    )
    return Finding("late-start", sentence, start_advice(e, "raise the learning rate"))


def low_lr(e: Evidence) -> Finding | None:
    """P5: a nearly straight fall, half done after half of the epochs, or a fall below 10 %."""
    straight = 0.4 <= e.fallen(0.5) <= 0.65 and e.slope > 0.4
    too_slow = e.drop < 0.1 and e.shrunk < 1
    if not e.settled or not (straight or too_slow) or flat_then_drop(e) or late_start(e) or l2_overwhelms(e):
        return None
    line = "the loss falls in a straight line" if straight else "the loss has hardly fallen"
    sentence = f"{line}, by {e.drop:.0%} in {e.epochs} epochs"
    return Finding("low-lr", f"{e.rate} low: {sentence}", "multiply it by 3 to 10")


def slightly_low_lr(e: Evidence) -> Finding | None:
    """Between P5 and P9: under 85 % of the fall is done after half of the epochs, and it continues."""
    falling = e.fallen(0.1) < 0.5 and e.fallen(0.5) < 0.85 and e.slope > 0.05
    if not e.settled or e.thrown or not falling or flat_then_drop(e) or late_start(e) or low_lr(e):
        return None
    sentence = f"{e.fallen(0.5):.0%} of the fall was done by the middle of the epochs, and the loss is still falling"
    return Finding("slightly-low-lr", f"{e.rate} slightly low: {sentence}", "multiply it by 3, or train longer")
