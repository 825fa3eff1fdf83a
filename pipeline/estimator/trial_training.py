"""The training of a single trial: early stopping, divergence, and its curves."""

from __future__ import annotations

import numpy as np

from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.nn.layers import Array
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import TrainingRecord, train_group


class Patience:
    """A watch for one trial: it stops when validation accuracy has not risen by ``tol`` for a number of epochs."""

    def __init__(self, epochs: int, tol: float) -> None:
        self.epochs, self.tol, self.best, self.waited = epochs, tol, -np.inf, 0

    def __call__(self, members: Array, epoch: int, accuracies: Array) -> Array:
        """Return whether the trial continues, (1,)."""
        self.waited = 0 if accuracies[0] > self.best + self.tol else self.waited + 1
        self.best = max(self.best, accuracies[0])
        return np.array([self.waited < self.epochs])


def retrain_trial(hparams: HyperParams, data: Dataset, config: TrainConfig, order_seed: int = 0) -> TrainingRecord:
    """Train one trial to the same bits as in any group. Raises :class:`UserError` if it diverges."""
    record = train_group([hparams], data, config, order_seed)
    check_finite(record, hparams)
    return record


def check_finite(record: TrainingRecord, hparams: HyperParams) -> None:
    """Raise :class:`UserError` if the only trial of a record has diverged."""
    if record.diverged[0]:
        raise UserError(f"learning_rate: got {hparams.learning_rate!r}; training diverges. Give a lower one")


def curves_of(record: TrainingRecord) -> dict[str, list[float]]:
    """Return the curves of the only trial of a record, up to its last finite epoch."""
    return {key: curve[0][np.isfinite(curve[0])].tolist() for key, curve in record.curves.items()}
