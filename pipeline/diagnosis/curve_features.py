"""The shape of a trial's curves: the features that the rules of diagnosis read off them, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

from pipeline.diagnosis.trial_facts import Facts

KEYS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")
ORDINARY_SCALE = 0.7
"""So far above ln C may the loss of an ordinary initialisation start."""
SMALL = 0.05
"""Weights of at most this standard deviation start at ln C."""

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


@dataclass(frozen=True)
class CurveFeatures:
    """A trial's curves as far as they are finite; ``cut`` says whether they went on. Epochs count from 1."""

    train_loss: Sequence[float]
    val_loss: Sequence[float]
    train_accuracy: Sequence[float]
    val_accuracy: Sequence[float]
    facts: Facts
    cut: bool = False

    @classmethod
    def of(cls, curves: Mapping[str, Sequence[float]], facts: Facts) -> Self:
        """Cut the curves (epochs,) before the first epoch of which a loss is not finite."""
        losses = zip(curves["train/loss"], curves["val/loss"], strict=True)
        ends = (epoch for epoch, pair in enumerate(losses) if not all(map(math.isfinite, pair)))
        stop = next(ends, len(curves["train/loss"]))
        loss, val_loss, accuracy, val_accuracy = ([float(value) for value in curves[key][:stop]] for key in KEYS)
        return cls(loss, val_loss, accuracy, val_accuracy, facts, cut=stop < len(curves["train/loss"]))

    @cached_property
    def epochs(self) -> int:
        """How many epochs are finite."""
        return len(self.train_loss)

    @cached_property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite."""
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
        """Whether the weights start so small that the first loss is ln C."""
        init = self.facts.hparams.init
        return init in ("zeros", "small") or (not isinstance(init, str) and init <= SMALL)

    @cached_property
    def ordinary_init(self) -> bool:
        """Whether the weights are scaled by the fans, or small, so that the first loss is near ln C."""
        init = self.facts.hparams.init
        return self.small_init or (isinstance(init, str) and init != "large")

    @cached_property
    def start(self) -> float:
        """The loss before training, L0.

        Where it was not recorded: ln C for small weights; else the first epoch's, no more than 0.7 above ln C unless
        the weights are large or the loss goes on from there gently.
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
        """D: the share of the first loss that training took away."""
        return (self.start - self.final) / self.start if self.epochs else 0.0

    @cached_property
    def peak(self) -> float:
        """The greatest training loss of any epoch, in multiples of the first loss."""
        return max(self.train_loss) / self.start if self.epochs else math.inf

    def fallen(self, share: float) -> float:
        """f_q: how much of the whole fall was done after that share of the epochs."""
        if not self.epochs:
            return 0.0
        at = max(1, round(share * self.epochs))
        return (self.start - self.train_loss[at - 1]) / (self.start - self.final or 1e-12)

    @cached_property
    def slope(self) -> float:
        """s: the slope of the loss over the last tenth of the epochs (two at least) relative to the first tenth.

        An epoch's loss is that of its middle, so the first tenth spans half an epoch less.
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
        """The share of epochs in which the loss fell, of those after the first."""
        pairs = pairwise(self.train_loss)
        return sum(b < a for a, b in pairs) / max(1, self.epochs - 1)

    @cached_property
    def flat_epochs(self) -> int:
        """How long the loss stood still at the beginning: within 1 % of a guess's, or above it, before a fall four times as fast."""
        level = 0.99 * min(self.start, self.guess)
        flat = next((epoch for epoch, loss in enumerate(self.train_loss) if loss <= level), self.epochs)
        if not 0 < flat < self.epochs:
            return flat
        crept = (self.train_loss[0] - self.train_loss[flat - 1]) / flat
        return flat if self.steepest > 4 * crept else 0

    @cached_property
    def steepest(self) -> float:
        """The greatest fall of the loss from one epoch to the next."""
        return max((a - b for a, b in pairwise(self.train_loss)), default=0.0)

    @cached_property
    def wiggle(self) -> float:
        """The noise of the loss over the last half of the epochs: sd of the differences, over √2 and the mean loss."""
        tail = self.train_loss[self.epochs // 2 :]
        steps = [b - a for a, b in pairwise(tail)]
        if len(steps) < 2 or not any(tail):  # a loss of exactly 0 is easy to reach in float32
            return 0.0
        mean = sum(steps) / len(steps)
        deviation = math.sqrt(sum((step - mean) ** 2 for step in steps) / len(steps))
        return deviation / math.sqrt(2) / (sum(tail) / len(tail))

    @cached_property
    def luck(self) -> float:
        """The accuracy up to which nothing is learned: one and a half times a guess's and, of few classes, 0.1 above it."""
        return min(1.5 * self.chance, self.chance + 0.1)

    @cached_property
    def at_chance(self) -> bool:
        """Whether the last epoch's accuracies are no better than luck."""
        return max(self.train_accuracy[-1], self.val_accuracy[-1]) <= self.luck

    @cached_property
    def gap(self) -> float:
        """Training accuracy less validation accuracy at the end."""
        return self.train_accuracy[-1] - self.val_accuracy[-1]
