"""Data sets by name, split by class and seed, transformed by the training rows alone, within bounded memory."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from pipeline.data import dataset, describe, load_block
from pipeline.data.dataset import Dataset, Rows, preprocess, split, subset
from pipeline.data.rows import CHUNK, COLUMNS, by_columns, digest
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig


def rows_of(count, features=3, classes=3, dtype=float, test=0):
    """Random rows of every class in turn."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (count, features)).astype(dtype)
    return Rows(inputs, np.arange(count) % classes, tuple("abcdefghij"[:classes]), test)


def test_digits_are_as_they_were():
    """The digits are scikit-learn's of 1998, to the byte."""
    assert describe("digits").sha256 == "0b3e4ee14f82503950f2fd8375b2e78056c1dd5ef2cb04e4cd0cc4827c0e6bb6"


def test_the_splits_of_a_block_are_as_they_were():
    """The rows of a block's splits stay the same from version to version: recorded trials are compared with new ones."""
    block = load_block("digits", TrainConfig(preprocessing="none", dtype="float64"), 3)
    assert [len(part) for part in (block.train, block.val, block.test)] == [1079, 359, 359]
    labels = np.concatenate([block.train.labels, block.val.labels, block.test.labels]).astype(np.uint8)
    assert hashlib.sha256(labels.tobytes()).hexdigest()[:16] == "4ddbbc82e3ca4100"


def test_every_row_is_in_one_split():
    """The splits share out all rows, each class in proportion, and another seed shares them out otherwise."""
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
    """The last rows are the test split as published; validation is a share of the others alone."""
    rows = rows_of(120, test=30)
    block = split(rows, TrainConfig(validation=1 / 3, test=0.5), 0)
    np.testing.assert_array_equal(block.test.inputs, rows.inputs[-30:])
    assert (len(block.train), len(block.val)) == (60, 30)


@pytest.mark.parametrize("config", [{"validation": 0.005}, {"validation": 0.0}, {"validation": 0.7, "test": 0.299}])
def test_a_split_without_room_for_each_class_is_refused(config):
    """Shares that leave a split with fewer rows than classes are told in numbers."""
    with pytest.raises(UserError, match="300 rows in 3 classes: a split of"):
        split(rows_of(300), TrainConfig(**config), 0)


def test_a_subset_has_each_class_and_the_published_test():
    """A subset is stratified, the same every time, and keeps the published test split whole."""
    rows = rows_of(120, test=30)
    some = subset(rows, 9, "x-9")
    assert np.bincount(some.labels[:9]).tolist() == [3, 3, 3]
    np.testing.assert_array_equal(some.inputs[-30:], rows.inputs[-30:])
    assert digest(some) == digest(subset(rows, 9, "x-9"))


@pytest.mark.parametrize("size", [1, 8, 88, 90, 10**9])
def test_a_subset_of_an_impossible_size_is_refused(size):
    """A size with too few rows for every class, or more than there are, is told with the limits."""
    with pytest.raises(UserError, match=f"'x-{size}'; expected a size from 9 to 87"):
        subset(rows_of(120, test=30), size, f"x-{size}")


@pytest.mark.parametrize("name", ["", "digit", "cifar10-", "cifar10-0", "cifar10-1e3", "digits-x", "../digits", "x\n"])
def test_an_unknown_name_is_told_with_those_known(name):
    """A name that is none is refused with the names and the kinds of files there are."""
    with pytest.raises(ValueError, match=r"dataset: got .* expected one of digits, cifar10, .*FILE.csv"):
        load_block(name, TrainConfig(), 0)


def test_a_named_subset_of_the_digits():
    """``digits-100`` is 100 of the digits."""
    block = load_block("digits-100", TrainConfig(), 0)
    assert len(block.train) + len(block.val) + len(block.test) == 100


def test_other_data_have_another_fingerprint():
    """One pixel, one label, the type or the shape changes the hash; the order in memory does not."""
    rows = rows_of(30)
    pixel, labels = rows.inputs.copy(), rows.labels.copy()
    pixel[4, 1] += 1
    labels[0] = 1
    others = [
        Rows(pixel, rows.labels, rows.class_names),
        Rows(rows.inputs, labels, rows.class_names),
        Rows(rows.inputs.astype(np.float32), rows.labels, rows.class_names),
        Rows(rows.inputs.reshape(-1, 1), rows.labels, rows.class_names),
    ]
    assert len({digest(other) for other in [*others, rows]}) == 5
    same = Rows(np.asfortranarray(rows.inputs.astype(">f8")), rows.labels.astype(np.int32), ("other", "names", "x"))
    assert digest(same) == digest(rows)


def test_statistics_know_nothing_of_the_held_out_rows():
    """Other validation and test rows leave the transformed training rows the same to the bit."""
    config = TrainConfig()
    block = split(rows_of(300), config, 0)
    other = Dataset(
        block.train, *(type(block.val)(part.inputs * 7 + 1, part.labels) for part in (block.val, block.test)), 3
    )
    np.testing.assert_array_equal(preprocess(block, config).train.inputs, preprocess(other, config).train.inputs)


@pytest.mark.parametrize("name", ["none", "centre", "standardise"])
def test_chunks_change_no_bit(name):
    """Transforming some rows at a time gives the bits of transforming them at once."""
    from pipeline.data.preprocessing import learn

    rows = rows_of(5 * CHUNK // 2 * 2, features=5)
    config = TrainConfig(preprocessing=name)
    block = split(rows, config, 0)
    whole = np.asarray(learn(name, block.train.inputs)(block.train.inputs), dtype=np.float32)
    assert len(whole) > CHUNK
    np.testing.assert_array_equal(preprocess(block, config).train.inputs, whole)


def test_a_block_is_frozen():
    """Nobody can change the rows that others share."""
    block = load_block("digits", TrainConfig(), 0)
    for part in (block.train, block.val, block.test):
        assert not part.inputs.flags.writeable
        assert not part.labels.flags.writeable


def test_converting_takes_no_copy_of_the_whole():
    """Beyond uint8 rows and the float32 rows it returns, preprocessing takes a few chunks: no float64 copy of everything."""
    config = TrainConfig(preprocessing="centre")
    block = split(rows_of(16 * CHUNK, features=64, dtype=np.uint8), config, 0)
    tracemalloc.start()
    done = preprocess(block, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < done.nbytes + 3 * CHUNK * 64 * 8


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, float])
@pytest.mark.parametrize("statistic", [np.mean, np.std])
def test_statistics_by_columns_change_no_bit(statistic, dtype):
    """Means and deviations of a few columns at a time have the bits of those of all at once."""
    inputs = rows_of(1000, features=2 * COLUMNS + 7, dtype=dtype).inputs
    np.testing.assert_array_equal(by_columns(statistic, inputs), statistic(inputs, axis=0))


def test_a_deviation_by_columns_takes_no_copy_of_the_whole():
    """The memory is that of a few columns in float64."""
    inputs = rows_of(1000, features=8 * COLUMNS, dtype=np.uint8).inputs
    tracemalloc.start()
    by_columns(np.std, inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 1000 * COLUMNS * 8


def test_large_blocks_are_not_kept(monkeypatch):
    """A process keeps few blocks, and of large ones the last alone; asked again for a kept one, it returns the same."""
    dataset._blocks.clear()
    for seed in range(6):
        load_block("digits", TrainConfig(), seed)
    assert [seed for *_, seed in dataset._blocks] == [2, 3, 4, 5]
    assert load_block("digits", TrainConfig(), 3) is dataset._blocks["digits", TrainConfig(), 3]
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 600_000)  # a block of digits has 460 kB
    last = load_block("digits", TrainConfig(), 6)
    assert list(dataset._blocks.values()) == [last]


def test_the_studies_train_on_data_that_there_are():
    """Every study that comes with the pipeline names a data set that the pipeline knows, or a number of rows of one."""
    from pipeline.study.loading import find_study, is_experiment, study_names

    known = {name: find_study(name, {}).dataset for name in study_names() if not is_experiment(name)}
    assert {"cifar10", "cifar10_subset"} <= set(known)
    assert {name.partition("-")[0] for name in known.values()} <= set(dataset.DATASETS)
