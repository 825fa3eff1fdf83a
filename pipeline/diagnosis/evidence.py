"""The evidence about a trial: what its curves and facts amount to, in the yes or no of several rules at once."""

from __future__ import annotations

from functools import cached_property

from pipeline.diagnosis.curve_features import ORDINARY_SCALE, CurveFeatures

SPIKE = 1.5
"""A loss that rose so many times above the greatest ordinary start was thrown there."""


class Evidence(CurveFeatures):
    """A trial's curves, its facts, and what they amount to."""

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
    def fits(self) -> bool:
        """Whether training took away four fifths of the first loss: then no layer can be as ill as it looks."""
        return self.settled and self.drop >= 0.8

    @cached_property
    def settled(self) -> bool:
        """Whether there is a shape to speak of: three epochs or more, which neither exploded nor stood still."""
        thrown = (self.spiked and not self.came_back) or self.lost or (self.thrown and self.at_chance)
        return not (self.diverged or thrown or self.unmoved or self.drop <= 0) and self.epochs >= 3
