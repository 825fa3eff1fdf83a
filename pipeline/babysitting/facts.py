"""The facts of a trial that its curves do not tell, and the findings that diagnosis makes of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.hparams import HyperParams, TrainConfig


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
