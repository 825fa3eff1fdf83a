"""Data sets by name, and their training, validation and test splits for each block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from pipeline.data.cifar import load_cifar
from pipeline.data.digit_variants import load_digits28, noise
from pipeline.data.folder import say
from pipeline.data.generated import load_convex, load_rectangles, load_rectangles_images, patches
from pipeline.data.images import is_images, load_images
from pipeline.data.prepared import prepared
from pipeline.data.preprocessing import learn
from pipeline.data.published import load_digits, load_fashion_mnist, load_mnist, load_own
from pipeline.data.rows import DataDescription, Loader, Rows, chunks
from pipeline.data.splits import split_indices
from pipeline.data.table_names import NAME_FORMS, is_table
from pipeline.data.transform import Transform
from pipeline.errors import UserError
from pipeline.study.data_source import DataSource
from pipeline.study.hparams import TrainConfig
from pipeline.study.metrics import check_classes
from pipeline.validation import check_choice

if TYPE_CHECKING:
    from pipeline.data.encoding import Encoding

BLOCKS, BLOCKS_BYTES = 4, 2**28
"""The most blocks that a process keeps, and the most bytes of them; the last one is always kept."""

SMALL_BYTES = 2**23
"""Up to this size, sending a block to a worker takes less time than importing scikit-learn there to split one."""


@dataclass(frozen=True)
class Split:
    """Rows of inputs (N, D) and their labels (N,), integers from 0 to C - 1.

    ``weights`` (N,), of any scale, are those of the rows in the training loss; without them, all rows count the same.
    """

    inputs: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def empty(self) -> Split:
        """A split of the same columns without rows."""
        return self.take(slice(0))

    def take(self, part: slice | np.ndarray) -> Split:
        """Return some of the rows, chosen by a slice, indices or a mask."""
        weights = None if self.weights is None else self.weights[part]
        return Split(self.inputs[part], self.labels[part], weights)


@dataclass(frozen=True)
class Dataset:
    """The splits of one block: to train on, to choose by, and to score once at the end.

    ``shape`` is that of a row before it was flattened, if it is known. ``transform`` was applied to the rows, and before it
    ``encoding``, if they are of a table with columns that are not numbers.
    """

    train: Split
    val: Split
    test: Split
    classes: int
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    transform: Transform = field(default_factory=Transform)
    encoding: Encoding | None = None

    @property
    def features(self) -> int:
        """The number of columns, D."""
        return int(self.train.inputs.shape[1])

    @property
    def chance(self) -> float:
        """The accuracy of a guess, 1/C. It is the score of a diverged trial."""
        return 1 / self.classes

    @property
    def nbytes(self) -> int:
        """The size of all inputs in bytes."""
        return sum(rows.inputs.nbytes for rows in (self.train, self.val, self.test))


DATASETS: dict[str, Loader] = {
    "digits": load_digits,
    "cifar10": partial(load_cifar, "cifar10"),
    "cifar100": partial(load_cifar, "cifar100"),
    "mnist": load_mnist,
    "fashion_mnist": load_fashion_mnist,
    **{name: partial(load_own, name) for name in ("iris", "wine", "breast_cancer")},
    "rectangles": load_rectangles,
    "rectangles_images": load_rectangles_images,
    "convex": load_convex,
    "digits28": partial(load_digits28, "digits28"),
    "digits28_rotated": partial(load_digits28, "digits28_rotated", rotated=True),
    "digits28_random": partial(load_digits28, "digits28_random", noise),
    "digits28_images": partial(load_digits28, "digits28_images", patches),
    "digits28_rotated_images": partial(load_digits28, "digits28_rotated_images", patches, rotated=True),
}
"""Every data set by its name in studies. ``NAME-5000`` is 5,000 of its rows, always the same."""


@lru_cache(maxsize=1)
def load_rows(data: str | DataSource) -> Rows:
    """All rows of a data set: a name in ``DATASETS``, perhaps with a size, a file, or an OpenML number.

    Raises :class:`UserError` for an unknown name and for unusable data.
    """
    source = DataSource.of(data)
    dataset = source.name
    pictures = dataset not in DATASETS and is_images(dataset)
    if is_table(dataset) and not pictures:
        from pipeline.data.tables import load_table  # pandas takes half a second to import

        return load_table(source)
    if source.settings:
        raise UserError(f"{source.settings[0]}: {dataset!r} has no named columns. Leave it out, or give a table")
    if pictures:
        return load_images(dataset)
    name, size = re.fullmatch(r"(.*?)(?:-([1-9]\d{0,11}))?", dataset, re.DOTALL).groups()  # type: ignore[union-attr]
    if dataset in DATASETS:
        return DATASETS[dataset]()
    if size and name in DATASETS:
        return subset(DATASETS[name](), int(size), dataset)
    check_choice("dataset", dataset, [*DATASETS, "one of these with a size (cifar10-5000)", NAME_FORMS])
    raise AssertionError  # pragma: no cover  check_choice has raised


def describe(data: str | DataSource) -> DataDescription:
    """The facts of a data set. Raises :class:`UserError` as :func:`load_rows` does."""
    return load_rows(data).description


def subset(rows: Rows, size: int, name: str) -> Rows:
    """``size`` rows, stratified and always the same; a published test split is kept complete in addition."""
    from sklearn.model_selection import train_test_split

    count = len(rows) - rows.test
    if not 3 * rows.classes <= size <= count - rows.classes:
        raise UserError(f"dataset: got {name!r}; expected a size from {3 * rows.classes} to {count - rows.classes:,}")
    kept, _ = train_test_split(np.arange(count), train_size=size, stratify=rows.labels[:count], random_state=0)
    indices = np.concatenate([np.sort(kept), np.arange(count, len(rows))])
    return replace(rows, inputs=rows.inputs[indices], labels=rows.labels[indices])


_blocks: dict[tuple[str | DataSource, TrainConfig, int], Dataset] = {}
_expected: dict[tuple[str | DataSource, TrainConfig, int], Callable[[], Dataset]] = {}


def load_block(data: str | DataSource, config: TrainConfig, seed: int) -> Dataset:
    """A data set in the stratified splits of one block, preprocessed, in the precision of the network.

    Raises :class:`UserError` as :func:`load_rows` does, and if the metric is not defined for the number of classes. Callers
    share the result; its arrays are read-only.
    """
    key = (data, config, seed)
    if wait := _expected.pop(key, None):
        _blocks[key] = wait()
        for part in (_blocks[key].train, _blocks[key].val, _blocks[key].test):
            part.inputs.flags.writeable = part.labels.flags.writeable = False
    if key not in _blocks:
        rows = load_rows(data)
        check_classes(config.objective, rows.classes)
        nbytes = _block_bytes(rows, config)
        _drop_blocks(nbytes)
        _blocks[key] = (_mapped_block if nbytes > BLOCKS_BYTES else _block_in_memory)(rows, config, seed)
    return _blocks[key]


def small_block(data: str | DataSource, config: TrainConfig, seed: int) -> Dataset | None:
    """The block if it is small enough to be sent to a worker, else None: the worker loads it.

    It has no encoding, which would make the worker import pandas.
    """
    small = _block_bytes(load_rows(data), config) <= SMALL_BYTES
    return replace(load_block(data, config, seed), encoding=None) if small else None


def is_plain_and_small(data: str | DataSource, config: TrainConfig) -> bool:
    """Return True for rows of numbers that are small enough to be sent to a worker."""
    rows = load_rows(data)
    return not rows.columns and _block_bytes(rows, config) <= SMALL_BYTES


def expect_block(data: str | DataSource, config: TrainConfig, seed: int, wait: Callable[[], Dataset]) -> None:
    """Take a block from another process, which this function waits for, when :func:`load_block` is asked for it."""
    _expected[data, config, seed] = wait


def _block_bytes(rows: Rows, config: TrainConfig) -> int:
    return len(rows) * rows.width * np.dtype(config.dtype).itemsize


def _block_in_memory(rows: Rows, config: TrainConfig, seed: int) -> Dataset:
    return preprocess(encoded(split(rows, config, seed), rows), config)


def _mapped_block(rows: Rows, config: TrainConfig, seed: int) -> Dataset:
    """The same block with rows in a file that the processes of a machine share.

    If the file cannot be written, each process keeps the rows in its memory.
    """
    parts = split_indices(rows, config, seed)
    encoding = fit_encoding(rows, rows.inputs[parts[0]]) if rows.columns else None

    def make() -> tuple[Transform, Iterator[np.ndarray]]:
        raw = encoded(split(rows, config, seed), rows)
        transform = learn(config.preprocessing, raw.train.inputs, raw.shape)
        return transform, (
            transform(s.inputs[chunk]) for s in (raw.train, raw.val, raw.test) for chunk in chunks(len(s))
        )

    identity = f"{rows.description.sha256} {config.preprocessing} in float64 {config.dtype}".encode()
    name = sha256(identity + b"".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()[:24]
    try:
        transform, inputs = prepared(name, sum(map(len, parts)), config.dtype, make)
    except UserError as error:
        say(f"data: each worker keeps its own copy of the rows: {error}")
        return _block_in_memory(rows, config, seed)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    train, val, test = (Split(x, rows.labels[p]) for x, p in zip(np.split(inputs, ends), parts, strict=True))
    for part in (train, val, test):
        part.labels.flags.writeable = False
    shape = _shape_after(transform, rows.shape if encoding is None else (len(encoding.inputs),))
    return Dataset(train, val, test, rows.classes, rows.class_names, shape, transform, encoding)


def _drop_blocks(nbytes: int) -> None:
    """Drop the oldest blocks until another one of ``nbytes`` bytes is within the limits."""
    while _blocks and (len(_blocks) >= BLOCKS or nbytes + sum(b.nbytes for b in _blocks.values()) > BLOCKS_BYTES):
        del _blocks[next(iter(_blocks))]


def split(rows: Rows, config: TrainConfig, seed: int) -> Dataset:
    """The splits with the indices of :func:`split_indices`."""
    train, val, test = (Split(rows.inputs[part], rows.labels[part]) for part in split_indices(rows, config, seed))
    return Dataset(train, val, test, rows.classes, rows.class_names, rows.shape)


def fit_encoding(rows: Rows, train: np.ndarray) -> Encoding:
    """The encoding of the columns of a table, fitted on the codes (N, C) of training rows."""
    from pipeline.data.encoder_fitting import fit  # scikit-learn takes a second to import

    return fit(rows.columns, train)


def encoded(data: Dataset, rows: Rows) -> Dataset:
    """The splits with inputs in place of the codes of their cells, by what the training rows say; others unchanged."""
    if not rows.columns:
        return data
    encoding = fit_encoding(rows, data.train.inputs)
    train, val, test = (Split(encoding(part.inputs), part.labels) for part in (data.train, data.val, data.test))
    return replace(data, train=train, val=val, test=test, shape=(len(encoding.inputs),), encoding=encoding)


def preprocess(data: Dataset, config: TrainConfig) -> Dataset:
    """Learn the transform from the training rows, apply it to all splits, and make them read-only."""
    transform = learn(config.preprocessing, data.train.inputs, data.shape)
    train, val, test = (transformed(rows, transform, config.dtype) for rows in (data.train, data.val, data.test))
    for rows in (train, val, test):
        rows.inputs.flags.writeable = rows.labels.flags.writeable = False
    return replace(
        data, train=train, val=val, test=test, shape=_shape_after(transform, data.shape), transform=transform
    )


def _shape_after(transform: Transform, shape: tuple[int, ...]) -> tuple[int, ...]:
    # A row on other axes is no longer an image.
    return shape if transform.basis is None else ()


def transformed(rows: Split, transform: Transform, dtype: str) -> Split:
    """The rows after preprocessing, in the precision of the network; a chunk at a time, to save memory."""
    inputs = np.empty((len(rows), transform(rows.inputs[:1]).shape[1]), dtype)
    for chunk in chunks(len(rows)):
        inputs[chunk] = transform(rows.inputs[chunk])
    return replace(rows, inputs=inputs)
