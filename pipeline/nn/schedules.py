"""Learning rate schedules: they lower the rate from epoch to epoch, starting at the rate that is configured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each epoch as a factor of the configured rate.

    The rate rises in equal steps over the first ``warmup`` epochs, w: the first has 1 / (w + 1) of it.
    """

    name: str = "constant"
    warmup: int = 0
    step_factor: float = 0.5
    step_epochs: int = 5
    decay_rate: float = 0.1

    def factor(self, epoch: int, epochs: int) -> float:
        """Return the factor of an epoch, counted from 0, of ``epochs`` in total."""
        warm = min(1.0, (epoch + 1) / (self.warmup + 1))
        return warm * SCHEDULES[self.name](self, epoch, epochs)


SCHEDULES: dict[str, Callable[[Schedule, int, int], float]] = {
    "constant": lambda schedule, epoch, epochs: 1.0,  # noqa: ARG005  every schedule is a function of all three
    "step": lambda schedule, epoch, epochs: schedule.step_factor ** (epoch // schedule.step_epochs),  # noqa: ARG005
    "exponential": lambda schedule, epoch, epochs: math.exp(-schedule.decay_rate * epoch),  # noqa: ARG005
    "inverse_time": lambda schedule, epoch, epochs: 1 / (1 + schedule.decay_rate * epoch),  # noqa: ARG005
    "cosine": lambda schedule, epoch, epochs: (1 + math.cos(math.pi * epoch / epochs)) / 2,  # noqa: ARG005
}
"""Every schedule by its name in studies; without warm-up, epoch 0 has factor 1."""
