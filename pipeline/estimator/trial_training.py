"""The training of a single trial: when it stops, what it prints, divergence, and its curves."""

from __future__ import annotations

import numpy as np

from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import TrainingRecord, train_group
from pipeline.training.metrics import TRAIN_LOSS, VAL_ACCURACY


class Patience:
    """Counts the epochs since a score last rose by more than ``tol``; their limit may be infinite."""

    def __init__(self, epochs: float, tol: float) -> None:
        self.epochs, self.tol, self.best, self.waited = epochs, tol, -np.inf, 0

    def add(self, score: float) -> bool:
        """Add the score of an epoch, and return whether training continues."""
        self.waited = 0 if score > self.best + self.tol else self.waited + 1
        self.best = max(self.best, score)
        return not self.ended

    @property
    def ended(self) -> bool:
        """True if the score has not risen for the limit of epochs."""
        return self.waited >= self.epochs


class Monitor:
    """Called after each epoch of a trial: stops it by a :class:`Patience`, and prints a line if it is ``verbose``.

    The score is the accuracy on held-out rows if they are ``validated``, else minus the training loss.
    """

    def __init__(self, patience: Patience, *, validated: bool, verbose: bool) -> None:
        self.patience, self.validated, self.verbose = patience, validated, verbose

    def __call__(self, record: TrainingRecord, epoch: int) -> bool:
        """Return whether training continues."""
        loss, accuracy = (float(record.curves[key][0, epoch - 1]) for key in (TRAIN_LOSS, VAL_ACCURACY))
        if self.verbose:
            held_out = f", validation accuracy = {accuracy:.4f}" if self.validated else ""
            print(f"Epoch {epoch}, loss = {loss:.6f}{held_out}", flush=True)  # noqa: T201  the user asks for it
        return self.patience.add(accuracy if self.validated else -loss)


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
