"""CIFAR: read from its archives without extracting files, and shared by processes."""

import numpy as np
import pytest
from archives import refusal

from pipeline.data import describe, load_block
from pipeline.data.cifar import ARCHIVES, PIXELS, load_cifar
from pipeline.data.folder import data_folder
from pipeline.study.hparams import TrainConfig

NAMES = ("cifar10", "cifar100")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_downloaded_and_read(name, server, folder, publish, forge):
    """A download from the address gives the rows of the archive: pixels, labels, names, the test batch last."""
    content = forge.published(forge.small(name))
    archive = publish(name, content, server.url)
    server.gives(content)
    rows = load_cifar(name)
    sent = np.concatenate([np.frombuffer(b, np.uint8) for b in forge.batches(archive).values()]).reshape(archive.shape)
    np.testing.assert_array_equal(rows.inputs, sent[:, -PIXELS:])
    np.testing.assert_array_equal(rows.labels, sent[:, archive.label_bytes - 1])
    assert (rows.test, rows.classes) == (forge.records, {"cifar10": 10, "cifar100": 100}[name])
    assert len(server.requests) == 1


def test_it_is_mapped_and_read_only(folder, publish, forge):
    """The rows stay uint8 in one file that processes share, and cannot be written to."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    inputs = load_cifar("cifar10").inputs
    assert inputs.dtype == np.uint8
    assert isinstance(inputs, np.memmap)
    assert not inputs.flags.writeable


def test_a_local_archive_needs_no_network(server, folder, publish, forge):
    """An archive in the data folder is unpacked, and no server is asked."""
    archive = publish("cifar10", url=server.url)
    (folder / archive.file.name).write_bytes(forge.published(archive))
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert server.requests == []


def test_the_unpacked_array_is_enough(folder, publish, forge):
    """After unpacking, the archive may be deleted, and loading writes nothing, so a read-only folder is enough."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    before = load_cifar("cifar10").labels
    (array,) = folder.glob("*.npy")
    for path in set(folder.iterdir()) - {array}:
        path.unlink()
    np.testing.assert_array_equal(load_cifar("cifar10").labels, before)
    assert list(folder.iterdir()) == [array]


def test_pickles_are_refused_with_the_reason(folder, publish, forge):
    """The python version under the name of the binary one is recognised and not loaded."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.tar_gz([("cifar-10-batches-py/data_batch_1", b"cos\nsystem\n")]))
    assert "pickles" in refusal()


def test_the_python_version_is_not_used(server, folder, publish, forge, capsys):
    """The python version under its own name is ignored with a message, and the binary one is downloaded."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    (folder / "cifar-10-python.tar.gz").write_bytes(b"")
    server.gives(content)
    load_cifar("cifar10")
    assert "pickles" in capsys.readouterr().err


def test_a_damaged_array_is_refused(folder, publish, forge):
    """An unpacked file of another length or shape is refused."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    load_cifar("cifar10")
    (array,) = folder.glob("*.npy")
    np.save(array, np.zeros((3, 3), np.uint8))
    assert "is damaged; expected (240, 3073) uint8, got (3, 3) uint8" in refusal()
    array.write_bytes(b"\x93NUMPY")
    assert "is damaged" in refusal()


def test_a_block_keeps_the_published_test_split(folder, publish, forge):
    """The test batch is the test split of every block; the other rows are split by class."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    rows = load_cifar("cifar10")
    config = TrainConfig(validation=0.2, preprocessing="none")
    first, second = (load_block("cifar10", config, seed) for seed in (0, 1))
    for block in (first, second):
        np.testing.assert_array_equal(block.test.inputs, rows.inputs[-forge.records :])
        assert (len(block.train), len(block.val)) == (4 * forge.records, forge.records)
        assert set(np.bincount(block.val.labels)) == {4}
        both = np.concatenate([block.train.inputs, block.val.inputs])
        assert {row.tobytes() for row in both} == {
            row.astype(np.float32).tobytes() for row in rows.inputs[: -forge.records]
        }
    assert not np.array_equal(first.val.inputs, second.val.inputs)
    assert first.class_names[3] == "cat"


def test_a_subset_is_a_part_of_it(folder, publish, forge):
    """``cifar10-60`` is 60 training rows, 6 of each class, always the same, and the whole test batch."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    block = load_block("cifar10-60", TrainConfig(validation=0.5, preprocessing="none"), 0)
    assert (len(block.train), len(block.val), len(block.test)) == (30, 30, forge.records)
    labels = np.concatenate([block.train.labels, block.val.labels])
    assert set(np.bincount(labels)) == {6}
    assert describe("cifar10-60").sha256 != describe("cifar10").sha256


@pytest.mark.parametrize("name", NAMES)
def test_the_published_archives_are_described_right(name):
    """Both archives hold 50,000 training and 10,000 test images, in the number of classes that their names give."""
    archive = ARCHIVES[name]
    assert archive.shape == (60_000, archive.label_bytes + 3072)
    assert archive.test[1] == 10_000
    assert len(set(archive.class_names)) == int(name.removeprefix("cifar"))
    assert list(archive.class_names) == sorted(archive.class_names)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_real_archive_is_as_published(name):
    """The real file, if present, has 60,000 images in equal classes, a sixth of them for testing."""
    archive, folder = ARCHIVES[name], data_folder()
    if not (folder / archive.file.name).exists() and not list(folder.glob(f"{name}-*.npy")):
        pytest.skip(f"{archive.file.name} is not in {folder}; it takes up to an hour to download")
    rows = load_cifar(name)
    assert rows.inputs.shape == (60_000, 3072)
    assert set(np.bincount(rows.labels)) == {60_000 // rows.classes}
    assert set(np.bincount(rows.labels[-rows.test :])) == {10_000 // rows.classes}
    assert 100 < rows.inputs[:1000].mean() < 140
