"""Rules about the accuracies, and about measurements of the layers."""

from __future__ import annotations

import math
from statistics import median

from pipeline.diagnosis.evidence import Evidence
from pipeline.diagnosis.rules_high_rate import dead, high_plateau
from pipeline.diagnosis.rules_slow_start import l2_overwhelms, low_lr, slightly_low_lr
from pipeline.diagnosis.trial_facts import Finding


def overfitting(e: Evidence) -> Finding | None:
    """P13: training accuracy is 0.10 above validation's, or it rises while validation falls by 0.02 from its best."""
    if not e.settled or high_plateau(e):
        return None
    best = max(range(e.epochs), key=e.val_accuracy.__getitem__)
    fall = e.val_accuracy[best] - e.val_accuracy[-1]
    declined = (
        e.gap >= 0
        and fall >= 0.02
        and e.train_accuracy[-1] > e.train_accuracy[best]
        and e.val_loss[-1] > e.val_loss[best]
    )
    if e.gap <= 0.10 and not declined:
        return None
    sentence = f"training accuracy {e.train_accuracy[-1]:.3f}, validation {e.val_accuracy[-1]:.3f}"
    fell = f", down from {e.val_accuracy[best]:.3f} at epoch {best + 1}" if declined else ""
    return Finding("overfitting", f"overfits: {sentence}{fell}", "more L2 or dropout, more data, or stop earlier")


def underfitting(e: Evidence) -> Finding | None:
    """P14: no gap, a loss that no longer falls, and a training accuracy below 0.9."""
    if not e.settled or e.gap >= 0.02 or e.slope >= 0.1 or e.train_accuracy[-1] >= 0.9:
        return None
    if high_plateau(e) or low_lr(e) or slightly_low_lr(e) or l2_overwhelms(e):
        return None
    sentence = f"underfits: the loss rests at {e.final:.3g} with a training accuracy of {e.train_accuracy[-1]:.3f}"
    less = f"less L2 (now {e.facts.hparams.l2:.2g}), " if e.facts.hparams.l2 >= 1e-3 else ""
    return Finding("underfitting", sentence, f"{less}a bigger network, or longer training")


def val_above_train(e: Evidence) -> Finding | None:
    """P26: validation accuracy is 0.05 above training's and the loss no longer falls (before, training's mean lags)."""
    if not e.settled or e.gap >= -0.05 or e.slope >= 0.1:
        return None
    sentence = f"validation accuracy {e.val_accuracy[-1]:.3f} is above training's {e.train_accuracy[-1]:.3f}"
    return Finding(
        "val-above-train", sentence, "look for wrong training labels, or validation rows among the training rows"
    )


def val_at_chance(e: Evidence) -> Finding | None:
    """P21: training accuracy is above 0.9, and validation accuracy is that of a guess, to two standard errors."""
    if e.diverged or not e.facts.rows or e.train_accuracy[-1] <= 0.9:
        return None
    error = math.sqrt(e.chance * (1 - e.chance) / e.facts.rows)
    if e.val_accuracy[-1] > e.chance + 2 * error:
        return None
    sentence = f"training accuracy is {e.train_accuracy[-1]:.3g}, validation accuracy {e.val_accuracy[-1]:.3g}, that of a guess"
    return Finding("val-at-chance", sentence, "check that inputs and labels belong together")


def running_statistics(e: Evidence) -> Finding | None:
    """P24: the best epoch is 0.05 worse with batch norm's running statistics than with each batch's own (lecture 6)."""
    running, batch = e.facts.best_accuracy, e.facts.batch_accuracy
    if e.diverged or running is None or batch is None or batch - running <= 0.05:
        return None
    sentence = (
        f"validation accuracy is {running:.3f} by batch norm's running statistics, {batch:.3f} by each batch's own"
    )
    return Finding(
        "running-statistics", sentence, "train longer, or in larger batches: the running statistics lag behind"
    )


def dead_units(e: Evidence) -> Finding | None:
    """P11: over 10 % of a layer's units are dead, 40 % if the network fits (lecture 6, notes 1)."""
    share = e.facts.dead
    if share is None or share <= (0.4 if e.fits else 0.1) or dead(e):
        return None
    much = "far too many" if share > 0.4 else "many"
    he = "" if e.facts.hparams.init == "he" else "He, "
    return Finding(
        "dead-units", f"{much} units are dead: {share:.0%} of a layer", f"a lower learning rate, {he}leaky ReLU"
    )


def saturated(e: Evidence) -> Finding | None:
    """P12: over half of a layer's outputs are within 0.01 of tanh's or sigmoid's limits, without a fit."""
    share = e.facts.saturated
    if share is None or share <= 0.5 or e.fits:
        return None
    return Finding("saturated", f"{share:.0%} of a layer's outputs are saturated", "a smaller init, or batch norm")


def update_ratio(e: Evidence) -> Finding | None:
    """P25: |update|/|W| should be near 1e-3 (lecture 6); below 2e-4 in all layers it is low, above 2e-2 high.

    A network that fits may take longer steps: batch norm and weight decay make them harmless.
    """
    ratios = [ratio for ratio in e.facts.update_ratios if math.isfinite(ratio)]
    if not ratios or e.diverged or 2e-4 <= max(ratios) <= (math.inf if e.fits else 2e-2):
        return None
    low = max(ratios) < 2e-4
    word = "low" if low else "far too high" if max(ratios) > 0.1 else "high"
    sentence = f"updates are {median(ratios):.1g} of the weights, where 0.001 is usual: {word}"
    return Finding(
        "updates-low" if low else "updates-high", sentence, f"{'raise' if low else 'lower'} the learning rate"
    )
