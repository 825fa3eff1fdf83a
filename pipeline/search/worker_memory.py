"""The memory for a group of trials, and the refusal of a study that a machine cannot train."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from pipeline.data.dataset import is_plain_and_small, load_block, load_rows
from pipeline.data.splits import split_indices
from pipeline.errors import UserError
from pipeline.nn.conv_text import image_of
from pipeline.seeds import derive_seed
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Study
from pipeline.training.inputs import check_batch
from pipeline.training.memory import bytes_per_trial
from pipeline.trials.trial import PlannedTrial

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

FOR_TRIALS = 1 / 2
"""The share of the memory that the trials of all workers may take; the rest is for data and other programs."""
UNKNOWN_BYTES = 4 * 2**30
"""The memory that is assumed where the system does not report it."""
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files that hold a container's limit of memory."""
GIB = 2**30
MIXING = ("pca", "whiten")
"""The preprocessings after which rows are no longer images."""


def check_affordable(study: Study, planned: Collection[PlannedTrial]) -> None:
    """Check that preprocessing fits the data, that they fill a batch, and that memory holds every network.

    Nothing is written before it.

    Raises :class:`UserError` that names the value.
    """
    rows, config = load_rows(study.source), study.config
    if study.model:
        return  # its memory is not known
    first = derive_seed(study.seed, "split", 0)  # a worker may have split a small block already
    if is_plain_and_small(study.source, config):
        train_rows = len(load_block(study.source, config, first).train)
    else:
        train_rows = len(split_indices(rows, config, first)[0])
    features, memory = rows.width, memory_bytes()
    for trial in {trial.hparams.structure: trial.hparams for trial in planned}.values():
        own = trial.configured(config)
        _check_preprocessing(trial, own, rows.shape)
        check_batch(own, train_rows)
        needed = bytes_per_trial(trial, features, rows.classes, config, rows.shape)
        if needed > memory:
            raise UserError(
                f"hidden: a network of {len(trial.hidden)} hidden layers of up to {max(trial.hidden, default=0):,} units takes "
                f"{needed / GIB:,.0f} GiB to train; there are {memory / GIB:,.0f} GiB. Give fewer units"
            )


def _check_preprocessing(trial: HyperParams, config: TrainConfig, shape: tuple[int, ...]) -> None:
    """Raise :class:`UserError` for a preprocessing that needs images where there are none, or leaves none for conv."""
    name = config.preprocessing
    if name == "channel_mean":
        image_of(shape, name)
    if name in MIXING and (trial.conv or config.augmentation != "none"):
        wants = "conv" if trial.conv else "augmentation"
        raise UserError(
            f"preprocessing: {name!r} mixes the pixels of images, which {wants} needs. Leave one of them out"
        )


def bytes_per_worker(workers: int) -> int:
    """Return the bytes that one task may take when this machine has that number of workers."""
    return max(1, int(memory_bytes() * FOR_TRIALS) // workers)


def memory_bytes() -> int:
    """Return the memory of this machine or, if less, the limit of its container or of a process (``ulimit -v``)."""
    limits = [_process_bytes(), *(_container_bytes(Path(path)) for path in LIMITS)]
    return min([_machine_bytes(), *filter(None, limits)])


def _machine_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system reports them
        return UNKNOWN_BYTES


def _process_bytes() -> int:
    """Return the limit of a process's address space, or 0 without one."""
    if resource is None:
        return 0
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return 0 if limit == resource.RLIM_INFINITY else limit


def _container_bytes(path: Path) -> int:
    """Return the limit that a file states, or 0 if it states none."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0
