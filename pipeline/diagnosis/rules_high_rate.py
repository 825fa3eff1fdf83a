"""Rules about too high learning rates: losses that explode, stay at ln C, recover, or stay on a plateau."""

from __future__ import annotations

import math
from itertools import pairwise

from pipeline.diagnosis.evidence import SPIKE, Evidence
from pipeline.diagnosis.trial_facts import Finding

HIGH = 0.2
"""A final loss above this share of a guess's is high."""
PRECISION = 1e-6
"""The relative rounding error of means over float32 losses."""


def diverged(e: Evidence) -> Finding | None:
    """P1, P22: the loss is not finite, before any progress; 'almost always' a high learning rate (CS231n, lecture 6)."""
    if not e.diverged or e.progressed:
        return None
    when = f"in epoch {e.epochs + 1}"
    return Finding("diverged", f"{e.rate} far too high: the loss was no longer finite {when}", "divide it by 10")


def dead(e: Evidence) -> Finding | None:
    """P10: after a spike the loss stays at ln C: a network of dead units has one output."""
    exploded = (e.thrown or e.lost) and not e.overwhelmed
    if e.diverged or not exploded or abs(e.final - e.guess) >= 0.05 or not e.at_chance:
        return None
    alive = e.facts.dead is not None and e.facts.dead <= 0.9
    if alive or max(e.facts.update_ratios, default=0.0) >= 1e-6:
        return None
    sentence = f"the network died: after a loss of {max(e.train_loss):.3g} it gives every row the same answer, at ln C = {e.guess:.3f}"
    return Finding(
        "dead",
        sentence,
        f"start again with a learning rate below {e.facts.hparams.learning_rate:.2g}, or with leaky ReLU",
    )


def late_explosion(e: Evidence) -> Finding | None:
    """P3: after at least one epoch of progress, the loss passes three times its start or is no longer finite."""
    if not e.progressed or not (e.diverged or max(e.train_loss[e.lowest :]) > 3 * e.start) or e.came_back:
        return None
    end = "was no longer finite" if e.diverged else f"rose past {3 * e.start:.3g}, three times its start"
    fell = f"fell to {min(e.train_loss):.3g} by epoch {e.lowest + 1}"
    return Finding(
        "late-explosion", f"{e.rate} at the edge: the loss {fell}, then {end}", "divide it by 3, or let it decay"
    )


def lr_too_high(e: Evidence) -> Finding | None:
    """P2: an epoch's mean loss passes three times the first (lecture 6), or does not recover from a spike."""
    raised = e.peak > 3 or e.spiked or e.lost or e.drop <= -0.01
    if e.diverged or not raised or e.came_back or late_explosion(e) or dead(e):
        return None
    rose = f"the loss rose to {e.peak:.3g} times its start and ended at {e.final:.3g}"
    fell_back = f"accuracy reached {max(e.val_accuracy):.2f}, and ended at a guess's, the loss at {e.final:.3g}"
    sentence = fell_back if e.lost and e.peak < SPIKE else rose
    return Finding("lr-too-high", f"{e.rate} too high: {sentence}", "divide it by 3 to 10")


def spike(e: Evidence) -> Finding | None:
    """P2, recovered: the loss has a spike and then falls below half of its start."""
    if e.diverged or not e.spiked or not e.came_back:
        return None
    sentence = f"the loss rose to {max(e.train_loss):.3g} before it came back to {e.final:.3g}"
    return Finding("spike", f"{e.rate} near its edge: {sentence}", "divide it by 3: the next seed may not come back")


def high_plateau(e: Evidence) -> Finding | None:
    """P8: a fast fall, then an unsteady plateau at a high level.

    It also reports a loss that the first steps raise and that then falls slowly to a high level.
    """
    if not e.settled:
        return None
    if e.thrown and e.final > HIGH * e.guess:
        sentence = f"the loss was thrown to {max(e.train_loss):.3g}, and came no lower than {min(e.train_loss):.3g}"
        return Finding("high-plateau", f"{e.rate} too high: {sentence}", "let it decay, or divide it by 3")
    if e.fallen(0.1) < 0.5 or e.slope >= 0.1 or e.final <= HIGH * e.guess or e.wiggle <= 0.01:
        return None
    sentence = f"the loss fell fast, then stayed at {e.final:.3g}, swaying by {e.wiggle:.0%} an epoch"
    return Finding("high-plateau", f"{e.rate} too high: {sentence}", "let it decay at the plateau, or divide it by 3")


def full_batch_rises(e: Evidence) -> Finding | None:
    """P17: with one minibatch per epoch and no momentum, only a step longer than 2/λ can raise the loss."""
    if e.facts.steps != 1 or e.facts.hparams.momentum or e.diverged:
        return None
    rises = [b > a * (1 + PRECISION) for a, b in pairwise(e.train_loss)]
    if not any(rises):
        return None
    sentence = f"the full-batch loss rose at epoch {rises.index(True) + 2}"
    return Finding("full-batch-rises", sentence, f"halve the learning rate of {e.facts.hparams.learning_rate:.2g}")


def wiggly(e: Evidence) -> Finding | None:
    """P16: per minibatch the loss varies by more than half its level, where its mean over the last epochs is above 0.2."""
    tail = e.train_loss[e.epochs // 2 :]
    if not e.settled or e.slope > 0.4 or e.wiggle * math.sqrt(e.facts.steps) <= 0.5 or sum(tail) / len(tail) <= 0.2:
        return None
    sentence = f"the loss sways by {e.wiggle:.0%} from epoch to epoch"
    return Finding("wiggly", sentence, "a larger batch, or a lower learning rate")
