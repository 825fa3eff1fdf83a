"""What no machine can train is refused before anything is written: a batch larger than the data, a network larger than memory."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.data.dataset import load_rows, split_indices
from pipeline.errors import UserError
from pipeline.search.budget import memory_bytes
from pipeline.study.spec import Study
from pipeline.training.memory import bytes_per_trial
from pipeline.trials.trial import PlannedTrial

GIB = 2**30


def check_affordable(study: Study, planned: Collection[PlannedTrial]) -> None:
    """Raise :class:`UserError`, naming the value, unless the rows suffice for the splits and the memory for every network."""
    rows, config = load_rows(study.dataset), study.config
    train, *_ = split_indices(rows, config, 0)
    if config.batch_size > len(train):
        raise UserError(f"batch_size: got {config.batch_size}; the training split has {len(train):,} rows. Give fewer")
    features, memory = rows.inputs.shape[1], memory_bytes()
    for trial in {trial.hparams.structure: trial.hparams for trial in planned}.values():
        needed = bytes_per_trial(trial, features, rows.classes, config, rows.shape)
        if needed > memory:
            raise UserError(
                f"hidden: a network of {len(trial.hidden)} hidden layers of up to {max(trial.hidden, default=0):,} units takes "
                f"{needed / GIB:,.0f} GiB to train; there are {memory / GIB:,.0f} GiB. Give fewer units"
            )
