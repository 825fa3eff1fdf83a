"""What is known of a trial when it is diagnosed: its curves, its facts, and the features that the rules read off them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from pipeline.hparams import HyperParams, TrainConfig

KEYS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")
ORDINARY_SCALE = 0.7
"""So far above ln C may the loss of an ordinary initialisation start."""
SMALL = 0.05
"""Weights of at most this standard deviation start at ln C."""
SPIKE = 1.5
"""A loss that rose so many times above the greatest ordinary start was thrown there."""


@dataclass(frozen=True)
class Finding:
    """One complaint: a short code to count and filter by, a sentence with the numbers, and what to do about it."""

    code: str
    sentence: str
    advice: str


@dataclass(frozen=True)
class Facts:
    """What decided a trial, and what was measured while it trained, beside its curves.

    ``epochs`` and ``steps`` are the epochs planned and the updates in each; ``rows`` counts the validation rows (0:
    unknown). ``initial_loss`` is the loss before the first step, where it was recorded. ``update_ratios`` is the
    median of |update|/|W| of each layer, first to last; ``dead`` and ``saturated`` are the greatest share of dead or
    saturated units in a layer; ``rival_loss`` is the final training loss of the best trial with a smaller learning
    rate. All four may be absent.
    """

    classes: int
    hparams: HyperParams = field(default_factory=HyperParams)
    epochs: int = 0
    steps: int = 1
    rows: int = 0
    diverged: bool = False
    initial_loss: float | None = None
    update_ratios: Sequence[float] = ()
    dead: float | None = None
    saturated: float | None = None
    rival_loss: float | None = None

    @classmethod
    def of(
        cls,
        hparams: HyperParams,
        config: TrainConfig,
        *,
        classes: int,
        train_rows: int,
        val_rows: int = 0,
        diverged: bool = False,
    ) -> Facts:
        """The facts of a trial, from its point, the settings of its study and the size of its data."""
        steps = -(-train_rows // config.batch_size)
        return cls(classes, hparams, config.epochs, steps, val_rows, diverged)


@dataclass(frozen=True)
class Evidence:
    """A trial's curves as far as they are finite, its facts, and what the curves show. Epochs count from 1."""

    train_loss: Sequence[float]
    val_loss: Sequence[float]
    train_accuracy: Sequence[float]
    val_accuracy: Sequence[float]
    facts: Facts

    @classmethod
    def of(cls, curves: Mapping[str, Sequence[float]], facts: Facts) -> Evidence:
        """Cut the curves (epochs,) before the first epoch of which a loss is not finite."""
        losses = zip(curves["train/loss"], curves["val/loss"], strict=True)
        ends = (epoch for epoch, pair in enumerate(losses) if not all(map(math.isfinite, pair)))
        stop = next(ends, len(curves["train/loss"]))
        loss, val_loss, accuracy, val_accuracy = ([float(value) for value in curves[key][:stop]] for key in KEYS)
        return cls(loss, val_loss, accuracy, val_accuracy, facts)

    @cached_property
    def epochs(self) -> int:
        """How many epochs are finite."""
        return len(self.train_loss)

    @cached_property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite before the last epoch that was planned."""
        return self.facts.diverged or self.epochs < self.facts.epochs or not self.epochs

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
        return self.small_init or self.facts.hparams.init in ("xavier", "glorot", "he")

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
        if len(steps) < 2:
            return 0.0
        mean = sum(steps) / len(steps)
        deviation = math.sqrt(sum((step - mean) ** 2 for step in steps) / len(steps))
        return deviation / math.sqrt(2) / (sum(tail) / len(tail))

    @cached_property
    def at_chance(self) -> bool:
        """Whether the last epoch's accuracies are no better than one and a half times a guess."""
        return max(self.train_accuracy[-1], self.val_accuracy[-1]) <= 1.5 * self.chance

    @cached_property
    def gap(self) -> float:
        """Training accuracy less validation accuracy at the end."""
        return self.train_accuracy[-1] - self.val_accuracy[-1]

    @cached_property
    def rate(self) -> str:
        """The words that begin a sentence about the learning rate."""
        return f"learning rate {self.facts.hparams.learning_rate:.2g}"

    @cached_property
    def lowest(self) -> int:
        """The index of the epoch of the lowest training loss."""
        return min(range(self.epochs), key=self.train_loss.__getitem__, default=0)

    @cached_property
    def progressed(self) -> bool:
        """Whether the loss was ever 5 % below its start."""
        return self.epochs > 0 and self.train_loss[self.lowest] < 0.95 * self.start

    @cached_property
    def came_back(self) -> bool:
        """Whether the loss ended below half of its start."""
        return not self.diverged and self.drop > 0.5

    @cached_property
    def top(self) -> float:
        """The greatest loss that training may have started from."""
        known = self.facts.initial_loss is not None or not self.ordinary_init
        return self.start + ORDINARY_SCALE if known else max(self.start, self.guess + ORDINARY_SCALE)

    @cached_property
    def thrown(self) -> bool:
        """Whether the loss was ever above where it may have started."""
        return self.epochs > 0 and max(self.train_loss) > self.top

    @cached_property
    def spiked(self) -> bool:
        """Whether the loss was ever thrown far above where it may have started."""
        return self.epochs > 0 and max(self.train_loss) > SPIKE * self.top

    @cached_property
    def unmoved(self) -> bool:
        """Whether five epochs or more moved the loss by less than 1 %, and never threw it."""
        moved = self.diverged or self.thrown or self.lost or abs(self.drop) >= 0.01
        return not moved and self.epochs >= 5

    @cached_property
    def creeps(self) -> bool:
        """Whether the steps are small, rather than no gradient to be had: by the update ratios, or a fall in nine epochs of ten."""
        ratios = self.facts.update_ratios
        return max(ratios) < 2e-4 if ratios else self.falling >= 0.9

    @cached_property
    def lost(self) -> bool:
        """Whether a restless loss left the network with a guess's answers: at once, or after twice a guess's accuracy."""
        if self.diverged or not self.at_chance or self.falling >= 0.8 or self.final < self.guess or self.overwhelmed:
            return False
        thrown_there = self.drop >= 0.01 and self.fallen(0.1) >= 0.8
        return max(self.val_accuracy) > 2 * self.chance or thrown_there

    @cached_property
    def shrunk(self) -> float:
        """How far L2 alone would have shrunk the weights: by the factor e to the minus this."""
        point = self.facts.hparams
        return point.learning_rate * point.l2 * self.facts.steps * self.epochs

    @cached_property
    def overwhelmed(self) -> bool:
        """Whether the loss ends within 1 % of a guess's where L2 alone would have shrunk the weights to 1/e or less."""
        return self.at_chance and self.shrunk >= 1 and abs(self.final - self.guess) <= 0.01 * self.guess

    @cached_property
    def settled(self) -> bool:
        """Whether there is a shape to speak of: three epochs or more, which neither exploded nor stood still."""
        thrown = (self.spiked and not self.came_back) or self.lost or (self.thrown and self.at_chance)
        return not (self.diverged or thrown or self.unmoved or self.drop <= 0) and self.epochs >= 3
