"""Blocks that processes share: the same bits as blocks of their own, made once, few kept, done without where they cannot be."""

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
    """Every block is large enough to be shared."""
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 1)


@pytest.mark.parametrize("name", [name for name in PREPROCESSING_NAMES if name != "none"])
def test_a_shared_block_has_the_same_bits(name, monkeypatch, folder):
    """Rows, labels, transform and shape are those of a block of one's own, and as read-only."""
    config = TrainConfig(preprocessing=name)
    own = load_block("digits", config, 3)
    assert not folder.exists()
    monkeypatch.setattr(dataset, "_blocks", {})
    monkeypatch.setattr(dataset, "BLOCKS_BYTES", 1)
    block = load_block("digits", config, 3)
    assert len(list(folder.glob("*/rows.bin"))) == 1
    for one, other in ((getattr(own, part), getattr(block, part)) for part in SPLITS):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.inputs.dtype == other.inputs.dtype
        assert not other.inputs.flags.writeable
        assert not other.labels.flags.writeable
    np.testing.assert_equal(vars(own.transform), vars(block.transform))
    assert (own.shape, own.classes, own.class_names) == (block.shape, block.classes, block.class_names)


@pytest.mark.usefixtures("shared")
def test_another_process_makes_nothing(monkeypatch):
    """What one has made, the next only maps; another seed, preprocessing or precision is another block."""
    first = load_block("digits", TrainConfig(), 0)
    monkeypatch.setattr(dataset, "_blocks", {})
    learn = dataset.learn
    monkeypatch.setattr(dataset, "learn", lambda *_: pytest.fail("learned again"))
    again = load_block("digits", TrainConfig(), 0)
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    asked = []
    monkeypatch.setattr(dataset, "learn", lambda *of: asked.append(of[0]) or learn(*of))
    for config, seed in (
        (TrainConfig(), 1),
        (TrainConfig(preprocessing="centre"), 0),
        (TrainConfig(dtype="float64"), 0),
    ):
        load_block("digits", config, seed)
    assert asked == ["standardise", "centre", "standardise"]


def test_one_of_several_makes_it():
    """Those who ask at once wait for the first."""
    made = []

    def make():
        made.append(1)
        return Transform(), (np.full((10, 3), i, float) for i in range(5))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: prepared("rows", 50, "float32", make), range(4)))
    assert len(made) == 1
    for transform, rows in found:
        assert transform == Transform()
        np.testing.assert_array_equal(
            rows, np.repeat(np.arange(5, dtype="float32"), 10)[:, None] * np.ones(3, "float32")
        )


def test_few_blocks_are_kept(folder):
    """The data folder keeps those that were used last; one that is deleted stays readable to whoever has it."""

    def make(number):
        return lambda: (Transform(), [np.full((2, 2), number)])

    _, first = prepared("block-0", 2, "float32", make(0))
    for number in range(1, KEPT + 2):
        prepared(f"block-{number}", 2, "float32", make(number))
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        f"block-{number}" for number in range(2, KEPT + 2)
    ]
    np.testing.assert_array_equal(first, 0)


def test_a_failure_leaves_nothing_half_made(folder):
    """Rows that cannot be finished are not there; the next attempt makes them."""

    def fail():
        yield np.ones((2, 2))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        prepared("block", 4, "float32", lambda: (Transform(), fail()))
    assert not (folder / "block").exists()
    _, rows = prepared("block", 2, "float32", lambda: (Transform(), [np.ones((2, 2))]))
    np.testing.assert_array_equal(rows, 1)


@pytest.mark.usefixtures("shared")
def test_without_a_folder_each_has_its_own(tmp_path, monkeypatch, capsys):
    """Where nothing can be written, a line says so and the block is made in memory."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path / "file" / "inside"))
    block = load_block("digits", TrainConfig(), 0)
    assert capsys.readouterr().err.startswith("data: each worker has rows of its own: ")
    assert isinstance(block.train.inputs, np.ndarray)
    assert not Path(tmp_path / "prepared").exists()


@pytest.mark.parametrize("lost", ["rows.bin", "transform.npz"])
@pytest.mark.usefixtures("shared")
def test_half_a_block_is_made_again(lost, folder, monkeypatch):
    """A block that lacks a file, as after a kill while it was deleted, is made again, and nothing is left beside it."""
    first = load_block("digits", TrainConfig(), 0)
    (found,) = folder.glob(f"*/{lost}")
    found.unlink()
    monkeypatch.setattr(dataset, "_blocks", {})
    again = load_block("digits", TrainConfig(), 0)
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    assert len([path for path in folder.iterdir() if not path.name.startswith(".")]) == 1
