"""The evidence about a trial: numbers from its curves, and conclusions that several rules share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

from pipeline.diagnosis.trial_facts import Facts
from pipeline.training import CURVES

ORDINARY_SCALE = 0.7
"""How far above ln C the loss of an ordinary initialisation may start."""
SMALL = 0.05
"""With weights of at most this standard deviation, the loss starts at ln C."""
SPIKE = 1.5
"""A loss above this multiple of the greatest possible first loss is a spike."""
LUCKY_RISE = 2.5
"""How far above ln C the loss may start by chance with weights scaled by the fans. On standardised digits, iris, wine and
breast cancer 0.2 % started higher, all of them maxout (relu, tanh and maxout by He and by Xavier, 200 seeds each)."""
LUCKY_SHARE = 0.3
"""The share of ln C that the first loss may have by chance, if few classes are easily separated; 0.36 was the lowest observed."""
MANY_CLASSES = 10
"""From this number of classes on, weights do not separate them by chance."""
LOWEST_SHARE = 0.9
"""Only a leak or a wrong loss explains a first loss below this share of ln C, if chance cannot."""


def lowest_first_loss(classes: int, *, small: bool) -> float:
    """The lowest first loss that is not a fault. Chance cannot lower it with ``small`` weights."""
    return (LOWEST_SHARE if small or classes >= MANY_CLASSES else LUCKY_SHARE) * math.log(classes)


@dataclass(frozen=True)
class Evidence:
    """A trial's curves up to the first loss that is not finite; ``cut`` is True if there is one."""

    train_loss: Sequence[float]
    val_loss: Sequence[float]
    train_accuracy: Sequence[float]
    val_accuracy: Sequence[float]
    facts: Facts
    cut: bool = False

    @classmethod
    def of(cls, curves: Mapping[str, Sequence[float]], facts: Facts) -> Self:
        """Cut the curves (epochs,) before the first epoch with a loss that is not finite."""
        losses = zip(curves["train/loss"], curves["val/loss"], strict=True)
        ends = (epoch for epoch, pair in enumerate(losses) if not all(map(math.isfinite, pair)))
        stop = next(ends, len(curves["train/loss"]))
        loss, val_loss, accuracy, val_accuracy = ([float(value) for value in curves[key][:stop]] for key in CURVES)
        return cls(loss, val_loss, accuracy, val_accuracy, facts, cut=stop < len(curves["train/loss"]))

    @cached_property
    def epochs(self) -> int:
        """The number of finite epochs."""
        return len(self.train_loss)

    @cached_property
    def diverged(self) -> bool:
        """True if the loss became infinite or NaN."""
        return self.facts.diverged or self.cut or not self.epochs

    @cached_property
    def guess(self) -> float:
        """The loss of a guess, ln C."""
        return math.log(self.facts.classes)

    @cached_property
    def chance(self) -> float:
        """The accuracy of a guess, 1/C."""
        return 1 / self.facts.classes

    @cached_property
    def small_init(self) -> bool:
        """True if the initial weights are so small that the first loss is ln C."""
        init = self.facts.hparams.init
        return init in ("zeros", "small") or (not isinstance(init, str) and init <= SMALL)

    @cached_property
    def ordinary_init(self) -> bool:
        """True if the initial weights are small or scaled by the fans, and not enlarged: the first loss is near ln C."""
        hparams = self.facts.hparams
        scaled = isinstance(hparams.init, str) and hparams.init != "large" and hparams.init_scale <= 1
        return self.small_init or scaled

    @cached_property
    def start(self) -> float:
        """The loss before training, L0.

        If it was not recorded, it is ln C for small weights. For others it is the loss of the first epoch, but at least
        ln C, and at most 0.7 above it unless the weights are large or the loss falls gently from there.
        """
        if self.facts.initial_loss is not None:
            return self.facts.initial_loss
        if self.small_init or not self.epochs:
            return self.guess
        gentle = self.falling >= 0.9 and self.train_loss[1] > 0.9 * self.train_loss[0]
        limit = self.guess + ORDINARY_SCALE if self.ordinary_init and not gentle else math.inf
        return min(max(self.train_loss[0], self.guess), limit)

    @cached_property
    def final(self) -> float:
        """The training loss of the last finite epoch."""
        return self.train_loss[-1] if self.epochs else math.nan

    @cached_property
    def drop(self) -> float:
        """D: the fall of the loss as a share of the first loss."""
        return (self.start - self.final) / self.start if self.epochs else 0.0

    @cached_property
    def peak(self) -> float:
        """The greatest training loss of an epoch, divided by the first loss."""
        return max(self.train_loss) / self.start if self.epochs else math.inf

    def fallen(self, share: float) -> float:
        """f_q: the part of the whole fall that was done after a share q of the epochs."""
        if not self.epochs:
            return 0.0
        at = max(1, round(share * self.epochs))
        return (self.start - self.train_loss[at - 1]) / (self.start - self.final or 1e-12)

    @cached_property
    def slope(self) -> float:
        """s: the slope of the loss over the last tenth of the epochs, divided by the first tenth's.

        A tenth has at least two epochs. The loss of an epoch is the loss at its middle, so the first tenth is half an epoch shorter.
        """
        span = max(2, round(0.1 * self.epochs))
        if self.epochs <= span:
            return 1.0
        first = (self.start - self.train_loss[span - 1]) / (span - 0.5)
        last = (self.train_loss[-1 - span] - self.final) / span
        if first > 0:
            return last / first
        return math.inf if last > 0 else 0.0

    @cached_property
    def falling(self) -> float:
        """The share of the epochs after the first in which the loss fell."""
        pairs = pairwise(self.train_loss)
        return sum(b < a for a, b in pairs) / max(1, self.epochs - 1)

    @cached_property
    def flat_epochs(self) -> int:
        """The number of epochs at the beginning without a fall.

        The loss is then above 0.99 of a guess's, and the steepest fall after it is more than four times as fast.
        """
        level = 0.99 * min(self.start, self.guess)
        flat = next((epoch for epoch, loss in enumerate(self.train_loss) if loss <= level), self.epochs)
        if not 0 < flat < self.epochs:
            return flat
        crept = (self.train_loss[0] - self.train_loss[flat - 1]) / flat
        return flat if self.steepest > 4 * crept else 0

    @cached_property
    def steepest(self) -> float:
        """The greatest fall of the loss between two epochs."""
        return max((a - b for a, b in pairwise(self.train_loss)), default=0.0)

    @cached_property
    def wiggle(self) -> float:
        """The sd of the differences of the loss in the last half of the epochs, over √2 and its mean."""
        tail = self.train_loss[self.epochs // 2 :]
        steps = [b - a for a, b in pairwise(tail)]
        if len(steps) < 2 or not any(tail):  # a float32 loss can be exactly 0
            return 0.0
        mean = sum(steps) / len(steps)
        deviation = math.sqrt(sum((step - mean) ** 2 for step in steps) / len(steps))
        return deviation / math.sqrt(2) / (sum(tail) / len(tail))

    @cached_property
    def luck(self) -> float:
        """The accuracy that chance explains: 1.5 times that of a guess, but at most 0.1 above it."""
        return min(1.5 * self.chance, self.chance + 0.1)

    @cached_property
    def at_chance(self) -> bool:
        """True if both accuracies of the last epoch are explained by chance."""
        return max(self.train_accuracy[-1], self.val_accuracy[-1]) <= self.luck

    @cached_property
    def gap(self) -> float:
        """Training accuracy minus validation accuracy at the end."""
        return self.train_accuracy[-1] - self.val_accuracy[-1]

    @cached_property
    def rate(self) -> str:
        """The beginning of a sentence about the learning rate."""
        return f"learning rate {self.facts.hparams.learning_rate:.2g}"

    @cached_property
    def lowest(self) -> int:
        """The index of the epoch of the lowest training loss."""
        return min(range(self.epochs), key=self.train_loss.__getitem__, default=0)

    @cached_property
    def progressed(self) -> bool:
        """True if the loss was ever 5 % below its start."""
        return self.epochs > 0 and self.train_loss[self.lowest] < 0.95 * self.start

    @cached_property
    def came_back(self) -> bool:
        """True if the loss ended below half of its start."""
        return not self.diverged and self.drop > 0.5

    @cached_property
    def top(self) -> float:
        """The greatest possible first loss."""
        start_counts = self.facts.initial_loss is not None or not self.ordinary_init
        return self.start + ORDINARY_SCALE if start_counts else max(self.start, self.guess + ORDINARY_SCALE)

    @cached_property
    def thrown(self) -> bool:
        """True if the loss was ever above its greatest possible start."""
        return self.epochs > 0 and max(self.train_loss) > self.top

    @cached_property
    def spiked(self) -> bool:
        """True if the loss was ever above :data:`SPIKE` times its greatest possible start."""
        return self.epochs > 0 and max(self.train_loss) > SPIKE * self.top

    @cached_property
    def unmoved(self) -> bool:
        """True if five epochs or more changed the loss by less than 1 %, without a rise above its start."""
        moved = self.diverged or self.thrown or self.lost or abs(self.drop) >= 0.01
        return not moved and self.epochs >= 5

    @cached_property
    def creeps(self) -> bool:
        """True if the steps are small: by the update ratios, or by a fall in nine epochs of ten."""
        ratios = self.facts.update_ratios
        return max(ratios) < 2e-4 if ratios else self.falling >= 0.9

    @cached_property
    def lost(self) -> bool:
        """True if an unsteady loss ended with the accuracy of a guess, at once or after twice that accuracy."""
        if self.diverged or not self.at_chance or self.falling >= 0.8 or self.final < self.guess or self.overwhelmed:
            return False
        fell_at_once = self.drop >= 0.01 and self.fallen(0.1) >= 0.8
        return max(self.val_accuracy) > 2 * self.chance or fell_at_once

    @cached_property
    def shrunk(self) -> float:
        """The exponent x of the factor exp(-x) by which L2 alone would have shrunk the weights."""
        point = self.facts.hparams
        return point.learning_rate * point.l2 * self.facts.steps * self.epochs

    @cached_property
    def overwhelmed(self) -> bool:
        """True if the loss ends at a guess's, and L2 alone would have shrunk the weights to 1/e or less."""
        return self.at_chance and self.shrunk >= 1 and abs(self.final - self.guess) <= 0.01 * self.guess

    @cached_property
    def fits(self) -> bool:
        """True if the loss fell by four fifths. Statistics of layers are then judged less strictly."""
        return self.settled and self.drop >= 0.8

    @cached_property
    def settled(self) -> bool:
        """True if the curve has a shape to judge: three epochs or more that neither exploded nor stood still."""
        failed = (self.spiked and not self.came_back) or self.lost or (self.thrown and self.at_chance)
        return not (self.diverged or failed or self.unmoved or self.drop <= 0) and self.epochs >= 3
