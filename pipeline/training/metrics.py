"""The keys under which metrics are recorded: the same in curves, scores, MLflow, Optuna and the trials table.

Those of the metric that a study is judged by are in :class:`pipeline.study.metrics.Metric`.
"""

TRAIN_LOSS, TRAIN_ACCURACY = "train/loss", "train/accuracy"
VAL_LOSS, VAL_ACCURACY = "val/loss", "val/accuracy"
CURVES = (TRAIN_LOSS, VAL_LOSS, TRAIN_ACCURACY, VAL_ACCURACY)
"""The metrics of every epoch."""

BEST_VAL_ACCURACY, BEST_EPOCH = "best/val_accuracy", "best/epoch"
"""The validation accuracy of a trial's checkpoint, and its epoch: the first of the metric's best validation value."""
TEST_LOSS, TEST_ACCURACY = "test/loss", "test/accuracy"
GAP = "gap"
"""Training minus validation accuracy at the best epoch."""
INITIAL_LOSS = "initial/loss"
"""The loss before the first step."""
BATCH_MODE_ACCURACY = "batch_mode/accuracy"
"""The checkpoint's validation accuracy where batch norm uses the statistics of each batch."""
UPDATE_RATIO = "update_ratio/layer"
"""The norm of a step over the norm of the weights; the layer's number, from 1, follows."""

TRIALS, DIVERGED, DIVERGED_SHARE = "trials", "diverged", "diverged_share"
"""The numbers of trials and of diverged ones so far, and the share of these."""
