"""Data sets by name: their splits, their preprocessing from training rows alone, and their bounded memory."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from pipeline.data import dataset, describe, load_block
from pipeline.data.dataset import Dataset, Rows, preprocess, split, subset
from pipeline.data.rows import CHUNK, digest
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig


def rows_of(count, features=3, classes=3, dtype=float, test=0):
    """Random rows of all classes in turn."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (count, features)).astype(dtype)
    return Rows(inputs, np.arange(count) % classes, tuple("abcdefghij"[:classes]), test)


def test_the_digits_have_the_recorded_hash():
    """The digits are the bytes that recorded studies used."""
    assert describe("digits").sha256 == "0b3e4ee14f82503950f2fd8375b2e78056c1dd5ef2cb04e4cd0cc4827c0e6bb6"


def test_the_splits_of_a_block_have_the_recorded_hash():
    """The rows of a block's splits do not change between versions, because recorded trials are compared with new ones."""
    block = load_block("digits", TrainConfig(preprocessing="none", dtype="float64"), 3)
    assert [len(part) for part in (block.train, block.val, block.test)] == [1079, 359, 359]
    labels = np.concatenate([block.train.labels, block.val.labels, block.test.labels]).astype(np.uint8)
    assert hashlib.sha256(labels.tobytes()).hexdigest()[:16] == "4ddbbc82e3ca4100"


def test_every_row_is_in_one_split():
    """Each row is in one split, the classes are in proportion, and another seed gives other splits."""
    rows = rows_of(300)
    first, second = (split(rows, TrainConfig(validation=0.2, test=0.1), seed) for seed in (0, 1))
    parts = np.concatenate([part.inputs for part in (first.train, first.val, first.test)])
    assert sorted(map(tuple, parts)) == sorted(map(tuple, rows.inputs))
    assert [np.bincount(part.labels).tolist() for part in (first.train, first.val, first.test)] == [
        [70] * 3,
        [20] * 3,
        [10] * 3,
    ]
    assert not np.array_equal(first.val.inputs, second.val.inputs)


def test_a_published_test_split_stays():
    """The last rows are the published test split; validation is a share of the other rows."""
    rows = rows_of(120, test=30)
    block = split(rows, TrainConfig(validation=1 / 3, test=0.5), 0)
    np.testing.assert_array_equal(block.test.inputs, rows.inputs[-30:])
    assert (len(block.train), len(block.val)) == (60, 30)


@pytest.mark.parametrize("config", [{"validation": 0.005}, {"validation": 0.0}, {"validation": 0.7, "test": 0.299}])
def test_a_split_smaller_than_the_classes_is_refused(config):
    """Shares that give a split fewer rows than classes are refused with the numbers."""
    with pytest.raises(UserError, match="300 rows in 3 classes: a split of"):
        split(rows_of(300), TrainConfig(**config), 0)


def test_a_subset_has_each_class_and_the_published_test():
    """A subset is stratified, always the same, and keeps the complete published test split."""
    rows = rows_of(120, test=30)
    part = subset(rows, 9, "x-9")
    assert np.bincount(part.labels[:9]).tolist() == [3, 3, 3]
    np.testing.assert_array_equal(part.inputs[-30:], rows.inputs[-30:])
    assert digest(part) == digest(subset(rows, 9, "x-9"))


@pytest.mark.parametrize("size", [1, 8, 88, 90, 10**9])
def test_a_subset_of_an_impossible_size_is_refused(size):
    """A size with too few rows for each class, or with too many, is refused with the limits."""
    with pytest.raises(UserError, match=f"'x-{size}'; expected a size from 9 to 87"):
        subset(rows_of(120, test=30), size, f"x-{size}")


@pytest.mark.parametrize("name", ["", "digit", "cifar10-", "cifar10-0", "cifar10-1e3", "digits-x", "../digits", "x\n"])
def test_an_unknown_name_is_refused(name):
    """The message lists the known names and kinds of files."""
    with pytest.raises(ValueError, match=r"dataset: got .* expected one of digits, cifar10, .*FILE.csv"):
        load_block(name, TrainConfig(), 0)


def test_a_named_subset_of_the_digits():
    """``digits-100`` is 100 of the digits."""
    block = load_block("digits-100", TrainConfig(), 0)
    assert len(block.train) + len(block.val) + len(block.test) == 100


def test_statistics_do_not_use_held_out_rows():
    """With other validation and test rows, the transformed training rows have the same bits."""
    config = TrainConfig()
    block = split(rows_of(300), config, 0)
    other = Dataset(
        block.train, *(type(block.val)(part.inputs * 7 + 1, part.labels) for part in (block.val, block.test)), 3
    )
    np.testing.assert_array_equal(preprocess(block, config).train.inputs, preprocess(other, config).train.inputs)


@pytest.mark.parametrize("name", ["none", "centre", "standardise"])
def test_chunks_change_no_bit(name):
    """Transforming a chunk at a time gives the same bits as transforming all rows at once."""
    from pipeline.data.preprocessing import learn

    rows = rows_of(5 * CHUNK // 2 * 2, features=5)
    config = TrainConfig(preprocessing=name)
    block = split(rows, config, 0)
    whole = np.asarray(learn(name, block.train.inputs)(block.train.inputs), dtype=np.float32)
    assert len(whole) > CHUNK
    np.testing.assert_array_equal(preprocess(block, config).train.inputs, whole)


def test_a_block_is_read_only():
    """The rows that callers share cannot be changed."""
    block = load_block("digits", TrainConfig(), 0)
    for part in (block.train, block.val, block.test):
        assert not part.inputs.flags.writeable
        assert not part.labels.flags.writeable


def test_preprocessing_makes_no_float64_copy():
    """In addition to the result, preprocessing takes the memory of a few chunks."""
    config = TrainConfig(preprocessing="centre")
    block = split(rows_of(16 * CHUNK, features=64, dtype=np.uint8), config, 0)
    tracemalloc.start()
    done = preprocess(block, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < done.nbytes + 3 * CHUNK * 64 * 8


def test_few_blocks_are_kept(monkeypatch):
    """A process keeps four blocks, or only the last of large ones; a kept block is the same object."""
    dataset._blocks.clear()
    for seed in range(6):
        load_block("digits", TrainConfig(), seed)
    assert [seed for *_, seed in dataset._blocks] == [2, 3, 4, 5]
    assert load_block("digits", TrainConfig(), 3) is dataset._blocks["digits", TrainConfig(), 3]
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 600_000)  # a block of digits has 460 kB
    last = load_block("digits", TrainConfig(), 6)
    assert list(dataset._blocks.values()) == [last]


def test_the_studies_name_known_data():
    """Every study in ``studies/`` names a known data set, with or without a size."""
    from pipeline.study.loading import find_declared, is_experiment, study_names

    declared = [find_declared(name, {}) for name in study_names() if not is_experiment(name)]
    studies = [study for one in declared for study in getattr(one, "studies", (one,))]
    known = {study.name: study.dataset for study in studies}
    assert {"cifar10", "cifar10_subset"} <= set(known)
    assert {name.partition("-")[0] for name in known.values()} <= set(dataset.DATASETS)
