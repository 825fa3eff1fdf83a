"""Training: groups of trials in lockstep, their curves, and the memory that they take."""

from pipeline.training.history import AfterEpoch, History, TrainingRecord, Watch, never_stop
from pipeline.training.lockstep import evaluate
from pipeline.training.loop import run_epochs, score_checkpoints, train, train_group
from pipeline.training.memory import trials_per_group
from pipeline.training.metrics import CURVES

__all__ = [
    "CURVES",
    "AfterEpoch",
    "History",
    "TrainingRecord",
    "Watch",
    "evaluate",
    "never_stop",
    "run_epochs",
    "score_checkpoints",
    "train",
    "train_group",
    "trials_per_group",
]
