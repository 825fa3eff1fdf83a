"""The evidence about a trial: conclusions from its curves and facts that several rules share."""

from __future__ import annotations

from functools import cached_property

from pipeline.diagnosis.curve_features import ORDINARY_SCALE, CurveFeatures

SPIKE = 1.5
"""A loss above this multiple of the greatest possible first loss is a spike."""


class Evidence(CurveFeatures):
    """A trial's curves, its facts, and conclusions from both."""

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
        known = self.facts.initial_loss is not None or not self.ordinary_init
        return self.start + ORDINARY_SCALE if known else max(self.start, self.guess + ORDINARY_SCALE)

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
        """True if the steps are small: by the update ratios, or by a fall in nine epochs of ten. Else there is no gradient."""
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
        """True if the loss ends within 1 % of a guess's and L2 alone would have shrunk the weights to 1/e or less."""
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
