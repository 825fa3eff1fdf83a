"""The keys under which metrics are recorded: the same in curves, scores, MLflow, Optuna and the trials table."""

TRAIN_LOSS, TRAIN_ACCURACY = "train/loss", "train/accuracy"
VAL_LOSS, VAL_ACCURACY = "val/loss", "val/accuracy"
CURVES = (TRAIN_LOSS, VAL_LOSS, TRAIN_ACCURACY, VAL_ACCURACY)
"""The metrics of every epoch."""

BEST_VAL_ACCURACY, BEST_EPOCH = "best/val_accuracy", "best/epoch"
"""The highest validation accuracy of a trial, by which trials are compared, and the first epoch that reaches it."""
TEST_LOSS, TEST_ACCURACY = "test/loss", "test/accuracy"
GAP = "gap"
"""Training minus validation accuracy at the best epoch."""
INITIAL_LOSS = "initial/loss"
"""The loss before the first step."""
BATCH_MODE_ACCURACY = "batch_mode/accuracy"
"""The checkpoint's validation accuracy where batch norm uses the statistics of each batch."""
UPDATE_RATIO = "update_ratio/layer"
"""The norm of a step over the norm of the weights; the layer's number, from 1, follows."""
