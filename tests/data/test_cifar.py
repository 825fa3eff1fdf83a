"""CIFAR: found or downloaded, compared with its hash, read without extracting files, and shared by processes."""

import errno
import hashlib
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from pipeline.data import describe, load_block
from pipeline.data.cifar import ARCHIVES, PIXELS, load_cifar
from pipeline.data.files import MIRRORS_VARIABLE
from pipeline.data.folder import data_folder
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig

NAMES = ("cifar10", "cifar100")

LOAD = """
import resource, sys
from dataclasses import replace
from pipeline.data import cifar, describe
from pipeline.errors import UserError
url, sha256, size, records, limit = sys.argv[1:]
true = cifar.ARCHIVES["cifar10"]
file = replace(true.file, url=url, sha256=sha256, size=int(size))
train = tuple((name, int(records)) for name, _ in true.train)
cifar.ARCHIVES["cifar10"] = replace(true, file=file, train=train, test=(true.test[0], int(records)))
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    print(describe("cifar10").sha256)
except UserError as error:
    print(error)
"""


def start(archive, records, limit=0, stderr=subprocess.PIPE):
    """A new process that loads the small CIFAR-10 and prints its hash, or the line of its error."""
    file = archive.file
    arguments = [file.url, file.sha256, str(file.size), str(records), str(limit)]
    pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
    return subprocess.Popen([sys.executable, "-c", LOAD, *arguments], **pipes)


def refusal(name="cifar10"):
    """The one line with which loading is refused."""
    with pytest.raises(UserError) as caught:
        load_cifar(name)
    line = str(caught.value)
    assert "\n" not in line
    return line


def files(folder):
    """The names of all files in a folder, except the empty locks."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


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


def test_the_data_folder_is_in_the_users_cache_by_default(folder, monkeypatch, tmp_path):
    """BABYSIT_DATA_DIR names the folder; without it, it is babysit in the user's cache."""
    assert data_folder() == folder
    monkeypatch.delenv("BABYSIT_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert data_folder() == tmp_path / "cache" / "babysit"


WRONG = {
    "cut in its last 20 bytes": (lambda content: content[:-20], "is cut short"),
    "one flipped bit": (
        lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
        "is not the published file",
    ),
    "a page": (lambda _: b"\n<!DOCTYPE html><title>Sign in</title>", "looks like HTML"),
    "empty": (lambda _: b"", "is cut short"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_local_file_is_refused(case, folder, publish, forge):
    """A file that differs from the published one is refused with its path, both hashes and the remedy."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content)
    change, what = WRONG[case]
    path = folder / archive.file.name
    path.write_bytes(change(content))
    line = refusal()
    for part in (
        str(path),
        what,
        archive.file.sha256,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        "Delete it",
        "curl",
    ):
        assert part in line
    assert files(folder) == {path.name}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_download_leaves_nothing(case, server, folder, publish, forge):
    """Wrong content from a server is refused with both hashes, requested once, and not kept."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    change, what = WRONG[case]
    server.gives(change(content))
    line = refusal()
    for part in (archive.file.url, what, archive.file.sha256, hashlib.sha256(change(content)).hexdigest(), "curl"):
        assert part in line
    assert files(folder) == set()
    assert len(server.requests) == 1


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


def test_a_download_is_announced(server, folder, publish, forge, capsys):
    """Before a download the user reads the size, the expected rate, and the command to do it by hand."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    server.gives(content)
    load_cifar("cifar10")
    printed = capsys.readouterr().err
    assert all(part in printed for part in ("MiB", "50-80 kB/s", "curl -L -C - -o"))


def test_progress_is_shown_on_a_terminal(server, folder, publish, forge):
    """If standard error is a terminal, a line shows how much has arrived and how fast; otherwise there is none."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    server.gives(content)
    reader, terminal = os.openpty()
    process = start(archive, forge.records, stderr=terminal)
    process.communicate(timeout=60)
    os.close(terminal)
    shown = os.read(reader, 10_000).decode()
    os.close(reader)
    assert re.search(r"\rcifar-10-binary.tar.gz: \d+ of 1 MiB, [\d,]+ kB/s", shown)
    (folder / archive.file.name).unlink()
    next(folder.glob("*.npy")).unlink()
    assert "kB/s" not in start(archive, forge.records).communicate(timeout=60)[1].replace("50-80 kB/s", "")


def test_a_failed_download_is_repeated(server, folder, publish, forge):
    """After a broken connection or a 503 the request is repeated, and the file arrives."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    answers = iter(
        [{"content": content[:1000], "length": len(content)}, {"content": b"", "status": 503}, {"content": content}]
    )
    server.answer = lambda handler: handler.send(**next(answers))
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert len(server.requests) == 3


def test_without_a_network_the_remedies_are_named(folder, publish):
    """Without a server, one line has the address, the failure, the mirrors' variable and the command; no file is left."""
    archive = publish("cifar10", url="http://127.0.0.1:9")
    line = refusal()
    assert all(part in line for part in (archive.file.url, "ConnectionError", MIRRORS_VARIABLE, "curl", str(folder)))
    assert files(folder) == set()


def test_a_missing_file_is_reported_by_its_status(server, folder, publish):
    """A 404 is in the error."""
    publish("cifar10", url=server.url)
    server.gives(b"gone", status=404)
    assert "HTTP 404" in refusal()


def test_a_mirror_is_asked_first(server, folder, publish, forge, monkeypatch):
    """Mirrors come before the origin and need the same hash; after a wrong one the next is asked."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    monkeypatch.setenv(MIRRORS_VARIABLE, f"{server.url}/wrong/, {server.url}/right")
    server.answer = lambda handler: handler.send(b"<html>" if "wrong" in handler.path else content)
    load_cifar("cifar10")
    assert server.requests == [f"/wrong/{archive.file.name}", f"/right/{archive.file.name}"]


def test_a_mirror_is_an_address(folder, publish, monkeypatch, capsys):
    """A mirror that is not a web address is refused by name, before any message, download or folder."""
    publish("cifar10")
    monkeypatch.setenv(MIRRORS_VARIABLE, "ftp://mirror")
    assert "'ftp://mirror'" in refusal()
    assert capsys.readouterr().err == ""
    assert not folder.exists() or files(folder) == set()


def test_a_source_that_sends_too_much_is_stopped(server, folder, publish, forge):
    """A server that sends more than the file's size is stopped there."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    server.gives(content + bytes(10**6))
    assert "sends more than" in refusal()
    assert files(folder) == set()


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


def test_a_folder_that_cannot_be_written_is_named(folder, publish, monkeypatch):
    """One line has the folder, the reason and the variable that selects another."""
    publish("cifar10")
    (folder / "file").write_bytes(b"")
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(folder / "file" / "inside"))
    line = refusal()
    assert str(folder / "file" / "inside") in line
    assert os.strerror(errno.ENOTDIR) in line
    assert "BABYSIT_DATA_DIR" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(folder, publish):
    """One line has the reason."""
    publish("cifar10")
    folder.chmod(0o500)
    assert os.strerror(errno.EACCES) in refusal()


def test_too_little_space_is_reported_before_the_download(folder, publish, monkeypatch):
    """Too little space for the archive and the array is an error with numbers, before any request."""
    from dataclasses import replace

    archive = publish("cifar10", url="http://127.0.0.1:9")
    huge = replace(archive, file=replace(archive.file, size=2**62))
    monkeypatch.setitem(ARCHIVES, "cifar10", huge)
    line = refusal()
    assert "MiB are free" in line
    assert str(folder) in line


def test_a_full_disk_leaves_nothing(server, folder, publish, forge):
    """When a write fails, the line has the file and the reason, and no partial file stays."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    server.gives(content)
    line, _ = start(archive, forge.records, limit=len(content) // 2).communicate(timeout=60)
    assert os.strerror(errno.EFBIG) in line
    assert files(folder) == set()


def test_the_next_process_cleans_up_after_a_killed_download(server, folder, publish, forge):
    """After kill -9 during a download, the next process deletes the partial files and loads the data."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    half, over = threading.Event(), threading.Event()

    def stall(handler):
        handler.send(content[: len(content) // 2], length=len(content))
        handler.wfile.flush()
        half.set()
        over.wait(30)

    server.answer = stall
    process = start(archive, forge.records)
    assert half.wait(30)
    process.kill()
    process.communicate(timeout=30)
    over.set()
    assert files(folder) == {".cifar10.partial"}
    server.gives(content)
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert files(folder) == {archive.file.name, next(folder.glob("*.npy")).name}


def test_two_processes_share_one_download(server, folder, publish, forge):
    """The second process waits for the first; both get the same rows, and there is one request."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    asked, go = threading.Event(), threading.Event()

    def hold(handler):
        asked.set()
        go.wait(30)
        handler.send(content)

    server.answer = hold
    first = start(archive, forge.records)
    assert asked.wait(30)
    second = start(archive, forge.records)
    message = second.stderr.readline()  # it is printed while the process waits
    go.set()
    (first_hash, _), (second_hash, _) = (process.communicate(timeout=60) for process in (first, second))
    assert {first_hash.strip(), second_hash.strip()} == {describe("cifar10").sha256}
    assert "another process is preparing it" in message
    assert len(server.requests) == 1


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
