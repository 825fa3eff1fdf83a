"""What becomes of the one trial that an estimator trains: when it stops, whether it diverges, its curves."""

from __future__ import annotations

import numpy as np

from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.nn.layers import Array
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import TrainingRecord, train_group


class Patience:
    """The watch that stops a trial whose validation accuracy has not risen by ``tol`` for so many epochs."""

    def __init__(self, epochs: int, tol: float) -> None:
        self.epochs, self.tol, self.best, self.waited = epochs, tol, -np.inf, 0

    def __call__(self, members: Array, epoch: int, accuracies: Array) -> Array:
        """Whether the one trial goes on, (1,)."""
        self.waited = 0 if accuracies[0] > self.best + self.tol else self.waited + 1
        self.best = max(self.best, accuracies[0])
        return np.array([self.waited < self.epochs])


def retrain_trial(hparams: HyperParams, data: Dataset, config: TrainConfig, order_seed: int = 0) -> TrainingRecord:
    """The record of one trial, trained to the same bits as in any group. Raises :class:`UserError` for one that diverges."""
    record = train_group([hparams], data, config, order_seed)
    check_finite(record, hparams)
    return record


def check_finite(record: TrainingRecord, hparams: HyperParams) -> None:
    """Raise :class:`UserError` if the one trial of a record has diverged."""
    if record.diverged[0]:
        raise UserError(f"learning_rate: got {hparams.learning_rate!r}; training diverges. Give a lower one")


def curves_of(record: TrainingRecord) -> dict[str, list[float]]:
    """The curves of the one trial of a record, over the epochs that it was trained for."""
    return {key: curve[0][np.isfinite(curve[0])].tolist() for key, curve in record.curves.items()}
