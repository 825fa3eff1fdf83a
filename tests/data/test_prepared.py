"""Prepared blocks: the bits of blocks in memory, made once, few kept, and optional."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import dataset
from pipeline.data.dataset import load_block
from pipeline.data.prepared import KEPT, prepared
from pipeline.data.transform import Transform
from pipeline.study.hparams import PREPROCESSING_NAMES, TrainConfig

SPLITS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty data folder, and no block in memory."""
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(dataset, "_blocks", {})
    return tmp_path / "prepared"


@pytest.fixture
def shared(monkeypatch):
    """Make every block large enough to be shared."""
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 1)


@pytest.mark.parametrize("name", [name for name in PREPROCESSING_NAMES if name != "none"])
def test_a_shared_block_has_the_same_bits(name, monkeypatch, folder):
    """Rows, labels, transform and shape are those of a block in memory, and read-only, too."""
    config = TrainConfig(preprocessing=name)
    in_memory = load_block("digits", config, 3)
    assert not folder.exists()
    monkeypatch.setattr(dataset, "_blocks", {})
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 1)
    block = load_block("digits", config, 3)
    assert len(list(folder.glob("*/rows.bin"))) == 1
    for expected, shared in ((getattr(in_memory, part), getattr(block, part)) for part in SPLITS):
        np.testing.assert_array_equal(expected.inputs, shared.inputs)
        np.testing.assert_array_equal(expected.labels, shared.labels)
        assert expected.inputs.dtype == shared.inputs.dtype
        assert not shared.inputs.flags.writeable
        assert not shared.labels.flags.writeable
    np.testing.assert_equal(vars(in_memory.transform), vars(block.transform))
    assert (in_memory.shape, in_memory.classes, in_memory.class_names) == (
        block.shape,
        block.classes,
        block.class_names,
    )


def test_a_shared_block_of_a_table_has_the_same_bits(monkeypatch, tmp_path):
    """A block of text and missing cells has the same inputs, shape and encoding in a file as in memory."""
    path = tmp_path / "table.csv"
    path.write_text("a,b,y\n" + "".join(f"{'' if i % 7 == 0 else i},{'uvw'[i % 3]},{i % 2}\n" for i in range(90)))
    in_memory = load_block(str(path), TrainConfig(), 0)
    monkeypatch.setattr(dataset, "_blocks", {})
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 1)
    block = load_block(str(path), TrainConfig(), 0)
    for part in SPLITS:
        np.testing.assert_array_equal(getattr(in_memory, part).inputs, getattr(block, part).inputs)
    assert (block.encoding, block.shape) == (in_memory.encoding, (5,))
    assert in_memory.shape == block.shape


@pytest.mark.usefixtures("shared")
def test_another_process_maps_the_block(monkeypatch):
    """The next process maps the file; another seed, preprocessing or precision is another block."""
    first = load_block("digits", TrainConfig(), 0)
    monkeypatch.setattr(dataset, "_blocks", {})
    learn = dataset.learn
    monkeypatch.setattr(dataset, "learn", lambda *_: pytest.fail("learned again"))
    again = load_block("digits", TrainConfig(), 0)
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    learned = []
    monkeypatch.setattr(dataset, "learn", lambda *of: learned.append(of[0]) or learn(*of))
    for config, seed in (
        (TrainConfig(), 1),
        (TrainConfig(preprocessing="centre"), 0),
        (TrainConfig(dtype="float64"), 0),
    ):
        load_block("digits", config, seed)
    assert learned == ["standardise", "centre", "standardise"]


def test_concurrent_calls_make_it_once():
    """Concurrent calls wait for the first."""
    calls = []

    def make():
        calls.append(1)
        return Transform(), (np.full((10, 3), i, float) for i in range(5))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: prepared("rows", 50, "float32", make), range(4)))
    assert len(calls) == 1
    for transform, rows in results:
        assert transform == Transform()
        np.testing.assert_array_equal(
            rows, np.repeat(np.arange(5, dtype="float32"), 10)[:, None] * np.ones(3, "float32")
        )


def test_few_blocks_are_kept(folder):
    """The data folder keeps the last used blocks; a process that has mapped a deleted one can still read it."""

    def make(number):
        return lambda: (Transform(), [np.full((2, 2), number)])

    _, first = prepared("block-0", 2, "float32", make(0))
    for number in range(1, KEPT + 2):
        prepared(f"block-{number}", 2, "float32", make(number))
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        f"block-{number}" for number in range(2, KEPT + 2)
    ]
    np.testing.assert_array_equal(first, 0)


def test_a_failure_leaves_no_incomplete_block(folder):
    """After a failure the block does not exist; the next attempt makes it."""

    def fail():
        yield np.ones((2, 2))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        prepared("block", 4, "float32", lambda: (Transform(), fail()))
    assert not (folder / "block").exists()
    _, rows = prepared("block", 2, "float32", lambda: (Transform(), [np.ones((2, 2))]))
    np.testing.assert_array_equal(rows, 1)


@pytest.mark.usefixtures("shared")
def test_without_a_folder_the_block_is_in_memory(tmp_path, monkeypatch, capsys):
    """If nothing can be written, a line is printed and the block is made in memory."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path / "file" / "inside"))
    block = load_block("digits", TrainConfig(), 0)
    assert capsys.readouterr().err.startswith("data: each worker keeps its own copy of the rows: ")
    assert isinstance(block.train.inputs, np.ndarray)
    assert not Path(tmp_path / "prepared").exists()


@pytest.mark.parametrize("lost", ["rows.bin", "transform.npz"])
@pytest.mark.usefixtures("shared")
def test_an_incomplete_block_is_made_again(lost, folder, monkeypatch):
    """A block that lacks a file, as after a kill during its deletion, is made again, without other files."""
    first = load_block("digits", TrainConfig(), 0)
    (path,) = folder.glob(f"*/{lost}")
    path.unlink()
    monkeypatch.setattr(dataset, "_blocks", {})
    again = load_block("digits", TrainConfig(), 0)
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    assert len([path for path in folder.iterdir() if not path.name.startswith(".")]) == 1
